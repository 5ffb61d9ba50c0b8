"""The file that a run is resumed from: all that its next epoch depends on, bit for bit.

An npz of arrays and a JSON header, under a SHA-256 of all of it. Where an array lay in memory, and in which layout, is
not kept: the passes bring what they are given into one layout (:mod:`pyflossing._support.alignment`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyflossing._support.alignment import aligned
from pyflossing._support.arguments import FieldError
from pyflossing._support.npz import Arrays, opened_npz, write_npz
from pyflossing._support.schema import Array, Choice, Declaration, Items, Named, Number, OrNull, Read, Table
from pyflossing.config.settings import TrainingConfig
from pyflossing.gradients.by_autograd import FLOSSED
from pyflossing.model.loss import Parameters
from pyflossing.training.declared import parameter_arrays, require_episodes, series_arrays
from pyflossing.training.history import History
from pyflossing.training.optimiser import AdamState
from pyflossing.training.state import TrainingState, initial_state

FORMAT = "pyflossing checkpoint 2"
_FORMATS = (FORMAT, "pyflossing checkpoint 1")
"""The first version told the arrays' layouts in memory besides, which no longer matter."""
_MOST = 2**63 - 1
_COUNTERS = ("epoch", "flossing_epoch", "episodes", "last_episode", "initial_state_norm")
_OPTIMISERS = {"training_adam": Parameters._fields, "flossing_adam": FLOSSED}


@dataclass
class Checkpoint:
    """A run between two updates.

    Attributes:
        config: all settings.
        state: what the next update starts from.
        initial: the parameters that the run started from.
        history: the numbers of all updates so far.
        elapsed_seconds: computing time so far.
    """

    config: TrainingConfig
    state: TrainingState
    initial: Parameters
    history: History
    elapsed_seconds: float = 0.0

    @classmethod
    def of_new_run(cls, config: TrainingConfig) -> Checkpoint:
        """Before the first update."""
        state = initial_state(config)
        return cls(config, state, state.parameters, History())

    def save(self, path: str | Path) -> None:
        """Write the file, atomically and under exactly this name."""
        header = {
            "format": FORMAT,
            "config": self.config.to_dict(),
            "elapsed_seconds": self.elapsed_seconds,
            "counters": {name: getattr(self.state, name) for name in _COUNTERS},
            "powers": {
                f"{optimiser}/{name}": [adam.power1, adam.power2]
                for optimiser in _OPTIMISERS
                for name, adam in getattr(self.state, optimiser).items()
            },
        }
        arrays = {name: tensor.detach().cpu().numpy() for name, tensor in _tensors(self).items()}
        write_npz(Path(path), header, self.history.series(self.config) | arrays)

    @classmethod
    def load(cls, path: str | Path) -> Checkpoint:
        """Read a file of ``save``.

        Raises:
            OSError: there is no such file, or it cannot be read.
            DamagedFileError: a ValueError: the file is truncated, damaged, none of ours, or of another version; or it
                holds what no run of its settings comes to.
        """
        with opened_npz(path, "checkpoint") as archive:
            header = archive.header(*_FORMATS)
            _header_of(header).check("the header", header)
            config = TrainingConfig.from_dict(header["config"])
            arrays = archive.arrays(_declared(config, header["counters"]["epoch"]))
            archive.require_digest()
            _require_one_run(config, header["counters"], arrays)
            return _from_arrays(config, header, arrays)


def _tensors(checkpoint: Checkpoint) -> dict[str, Tensor]:
    state = checkpoint.state
    tensors = {f"initial/{name}": p for name, p in checkpoint.initial._asdict().items()}
    tensors |= {f"parameters/{name}": p for name, p in state.parameters._asdict().items()}
    for optimiser in _OPTIMISERS:
        for name, adam in getattr(state, optimiser).items():
            tensors |= {f"{optimiser}/{name}/m": adam.m, f"{optimiser}/{name}/v": adam.v}
    return tensors | {"frame": state.frame}


def _header_of(header: Mapping[str, Any]) -> Table:
    """What the header must hold; its settings are read first, since other limits come from them."""
    config = header.get("config")
    Read(TrainingConfig.from_dict).check("config", config)
    epochs = TrainingConfig.from_dict(config).n_epochs  # type: ignore[arg-type]
    counters: dict[str, Declaration] = {
        "epoch": Number(int, 0, epochs),
        "flossing_epoch": Number(int, 0, _MOST),
        "episodes": Number(int, 0, _MOST),
        "last_episode": OrNull(Number(int, 2, epochs)),
        "initial_state_norm": OrNull(Number(float, 0, math.inf)),
    }
    powers = {
        f"{optimiser}/{name}": Items(Number(float, 0, 1), 2)
        for optimiser, names in _OPTIMISERS.items()
        for name in names
    }
    declared: dict[str, Declaration] = {
        "format": Choice(_FORMATS),
        "config": Read(TrainingConfig.from_dict),
        "elapsed_seconds": Number(float, 0),
        "counters": Table(counters),
        "powers": Table(powers),
    }
    if header["format"] != FORMAT:
        declared["strides"] = Named(Items(Number(int, 0, _MOST)), most=100)
    return Table(declared)


def _declared(config: TrainingConfig, epochs: int) -> dict[str, Array]:
    """The arrays after so many training epochs."""
    parameters = parameter_arrays(config)
    found = series_arrays(config, epochs)
    for group in ("initial", "parameters"):
        found |= {f"{group}/{name}": array for name, array in parameters.items()}
    for optimiser, names in _OPTIMISERS.items():
        for name in names:
            found[f"{optimiser}/{name}/m"] = parameters[name]
            found[f"{optimiser}/{name}/v"] = replace(parameters[name], least=0)
    return found | {"frame": Array(config.dtype, (config.n_states, config.flossing.n_exponents))}


def _require_one_run(config: TrainingConfig, counters: Mapping[str, Any], arrays: Arrays) -> None:
    """Refuse counters that do not fit the numbers of the updates so far.

    Raises:
        ValueError: naming the counter.
    """
    places = arrays["flossing_epochs"]
    require_episodes(config, places, ended=False)
    epoch, norms = counters["epoch"], arrays["gradient_norms/x0"]
    wanted: dict[str, Any] = {"initial_state_norm": float(norms[-1]) if epoch else None}
    if config.flossing.n_exponents:  # without exponents episodes are counted, and have no epochs
        ended = np.unique(places[(places[:, 0] > 1) & (places[:, 0] <= epoch), 0])
        now = places[places[:, 0] > epoch]
        wanted["episodes"] = len(ended)
        wanted["last_episode"] = int(ended[-1]) if len(ended) else None
        wanted["flossing_epoch"] = len(now)
        if len(now) and now[-1, 0] != epoch + 1:
            raise FieldError("flossing_epochs", now[-1].tolist(), f"the run is at epoch {epoch}")
    for name, value in wanted.items():
        if counters[name] != value:
            raise FieldError(name, counters[name], f"after the updates so far it must be {value}")


def _from_arrays(config: TrainingConfig, header: Mapping[str, Any], arrays: Arrays) -> Checkpoint:
    def tensor(name: str) -> Tensor:
        return aligned(torch.from_numpy(arrays[name]))

    def parameters(group: str) -> Parameters:
        return Parameters(*(tensor(f"{group}/{name}") for name in Parameters._fields))

    def adam(optimiser: str) -> dict[str, AdamState]:
        return {
            name: AdamState(
                tensor(f"{optimiser}/{name}/m"),
                tensor(f"{optimiser}/{name}/v"),
                *header["powers"][f"{optimiser}/{name}"],
            )
            for name in _OPTIMISERS[optimiser]
        }

    state = TrainingState(
        parameters("parameters"), adam("training_adam"), adam("flossing_adam"), **header["counters"],
        frame=tensor("frame"),
    )  # fmt: skip
    return Checkpoint(
        config, state, parameters("initial"), History.from_series(arrays), float(header["elapsed_seconds"])
    )
