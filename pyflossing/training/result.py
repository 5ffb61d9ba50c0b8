"""What a run gives back, with its settings; and its file, an npz without pickles."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pyflossing._support.devices import CPU
from pyflossing._support.npz import Archive, opened_npz, write_npz
from pyflossing._support.schema import Choice, Named, Number, Read, Table, Text
from pyflossing._support.version import __version__
from pyflossing.config.settings import TrainingConfig
from pyflossing.gradients.kernel.library import path_in_use
from pyflossing.training.declared import PARAMETERS, parameter_arrays, require_episodes, series_arrays

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

FORMAT = "pyflossing training result 2"
_FORMATS = (FORMAT, "pyflossing training result 1")
"""The first version was compressed, and had no checksum but those of its archive."""
_SERIES = ("loss", "accuracy", "spectra", "flossing_loss", "flossing_epochs", "trial_order")
_GROUPS = ("gradient_norms", "initial", "final")
_HEADER = Table(
    {
        "format": Choice(_FORMATS),
        "config": Read(TrainingConfig.from_dict),
        "versions": Named(Text(200), most=50),
        "elapsed_seconds": Number(float, 0),
    }
)


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """Everything that a run of E epochs with n flossing epochs of k exponents produced.

    Attributes:
        config: all settings.
        loss: (E,), before each update.
        accuracy: (E,), 0 to 1, before each update.
        spectra: (n, k), 1/step, in the order of the frame's columns; (0, 0) if k = 0.
        flossing_loss: (n,), 1/step^2.
        flossing_epochs: (n, 2), training epoch and number within the episode, both from 1.
        trial_order: (E, B), from 1.
        gradient_norms: (E,) by parameter, Euclidean, before clipping.
        initial, final: parameters by name: ws (N, 1), J (N, N), wr (1, N), b (N,), offset (1,), x0 (n_states, B).
        versions: of what computed them.
        elapsed_seconds: how long it took.
    """

    config: TrainingConfig
    loss: FloatArray
    accuracy: FloatArray
    spectra: FloatArray
    flossing_loss: FloatArray
    flossing_epochs: IntArray
    trial_order: IntArray
    gradient_norms: Mapping[str, FloatArray]
    initial: Mapping[str, npt.NDArray[Any]]
    final: Mapping[str, npt.NDArray[Any]]
    versions: Mapping[str, str]
    elapsed_seconds: float

    def __repr__(self) -> str:
        config = self.config
        end = f", final loss {self.loss[-1]:.4g}, accuracy {self.accuracy[-1]:.3f}" if len(self.loss) else ""
        return (
            f"<TrainingResult: {config.network.kind} network of {config.n_units} units, {len(self.loss)} epochs, "
            f"{len(self.flossing_loss)} flossing epochs{end}>"
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All numbers by name, those of a group as "group/name"."""
        found = {name: getattr(self, name) for name in _SERIES}
        for group in _GROUPS:
            found |= {f"{group}/{name}": array for name, array in getattr(self, group).items()}
        return found

    def same_numbers(self, other: TrainingResult) -> bool:
        """Whether all arrays are equal bit for bit (times and versions aside)."""
        ours, theirs = self.arrays(), other.arrays()
        return ours.keys() == theirs.keys() and all(
            a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
            for a, b in ((array, theirs[name]) for name, array in ours.items())
        )

    def save(self, path: str | Path) -> None:
        """Write an npz file, atomically and under exactly this name."""
        header = {
            "format": FORMAT,
            "config": self.config.to_dict(),
            "versions": dict(self.versions),
            "elapsed_seconds": self.elapsed_seconds,
        }
        write_npz(Path(path), header, self.arrays())

    @classmethod
    def load(cls, path: str | Path) -> TrainingResult:
        """Read a file of ``save``.

        Raises:
            OSError: there is no such file, or it cannot be read.
            DamagedFileError: a ValueError: the file is truncated, damaged, none of ours, or of another version; or it
                holds what no run of its settings gives.
        """
        with opened_npz(path, "result") as archive:
            return _loaded(archive)


def versions(device: torch.device = CPU) -> dict[str, str]:
    """Versions of what computes: pyflossing, torch, numpy, Python, the platform, and which of the passes, and where."""
    return {
        "pyflossing": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "passes": path_in_use(device),
    }


def _loaded(archive: Archive) -> TrainingResult:
    """The result of a file's members.

    Raises:
        ValueError: they are none of a result.
    """
    header = archive.header(*_FORMATS)
    _HEADER.check("the header", header)
    config = TrainingConfig.from_dict(header["config"])
    declared = series_arrays(config, config.n_epochs)
    for group in ("initial", "final"):
        declared |= {f"{group}/{name}": array for name, array in parameter_arrays(config).items()}
    arrays = archive.arrays(declared)
    require_episodes(config, arrays["flossing_epochs"], ended=True)
    if header["format"] == FORMAT:
        archive.require_digest()
    groups: dict[str, Any] = {group: {name: arrays[f"{group}/{name}"] for name in PARAMETERS} for group in _GROUPS}
    return TrainingResult(
        config=config,
        versions=header["versions"],
        elapsed_seconds=float(header["elapsed_seconds"]),
        **{name: arrays[name] for name in _SERIES},  # type: ignore[arg-type]
        **groups,
    )
