"""The file that a run is resumed from: all that its next epoch depends on, bit for bit.

An npz of arrays and a JSON header, under a SHA-256 of all of it. An array's strides are kept as well, since a matrix
product of the same numbers in another memory layout may be summed in another order.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pyflossing._support.errors import DamagedFileError
from pyflossing._support.files import write_atomically
from pyflossing._support.npz import DAMAGE, read_npz
from pyflossing.config.settings import TrainingConfig
from pyflossing.gradients.by_autograd import FLOSSED
from pyflossing.model.loss import Parameters
from pyflossing.training.history import History
from pyflossing.training.optimiser import AdamState
from pyflossing.training.state import TrainingState, initial_state

FORMAT = "pyflossing checkpoint 1"
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
        tensors = _tensors(self)
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
            "strides": {name: list(tensor.stride()) for name, tensor in tensors.items()},
        }
        arrays = self.history.series(self.config) | {name: t.detach().cpu().numpy() for name, t in tensors.items()}
        arrays["header"] = np.array(json.dumps(header))
        arrays["sha256"] = np.array(_digest(arrays))
        stream = io.BytesIO()
        np.savez(stream, **arrays)  # type: ignore[arg-type]
        write_atomically(Path(path), stream.getvalue())

    @classmethod
    def load(cls, path: str | Path) -> Checkpoint:
        """Read a file of ``save``.

        Raises:
            OSError: there is no such file, or it cannot be read.
            DamagedFileError: a ValueError: the file is truncated, damaged, none of ours, or of another version.
        """
        arrays = read_npz(path, "checkpoint")
        try:
            digest, header = str(arrays.pop("sha256")[()]), json.loads(str(arrays["header"][()]))
            found = header["format"]
        except DAMAGE as error:
            raise DamagedFileError(f"{path} is not a checkpoint of pyflossing, or it is damaged ({error})") from error
        if found != FORMAT:
            raise DamagedFileError(f"{path} has the format {found!r}; this version of pyflossing reads {FORMAT!r}")
        if digest != _digest(arrays):
            raise DamagedFileError(f"{path} is a damaged checkpoint: its content does not fit its checksum")
        return _from_arrays(header, arrays)


def _tensors(checkpoint: Checkpoint) -> dict[str, Tensor]:
    state = checkpoint.state
    tensors = {f"initial/{name}": p for name, p in checkpoint.initial._asdict().items()}
    tensors |= {f"parameters/{name}": p for name, p in state.parameters._asdict().items()}
    for optimiser in _OPTIMISERS:
        for name, adam in getattr(state, optimiser).items():
            tensors |= {f"{optimiser}/{name}/m": adam.m, f"{optimiser}/{name}/v": adam.v}
    return tensors | {"frame": state.frame}


def _from_arrays(header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Checkpoint:
    # a file that fits its checksum was written by ``save``, so its content needs no checks of its own
    def tensor(name: str) -> Tensor:
        source = torch.from_numpy(np.ascontiguousarray(arrays[name])).reshape(arrays[name].shape)
        return torch.empty_strided(source.shape, header["strides"][name], dtype=source.dtype).copy_(source)

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
        TrainingConfig.from_dict(header["config"]),
        state,
        parameters("initial"),
        History.from_series(arrays),
        header["elapsed_seconds"],
    )


def _digest(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """SHA-256 over names, types, shapes and numbers."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        found.update(array.tobytes())
    return found.hexdigest()
