"""How a job of a sweep stands, in a few numbers."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyflossing._support.schema import Choice, Declaration, Items, Number, OrNull, Text
from pyflossing.training.result import TrainingResult

ENSEMBLE = "ensemble"
"""The key in a result's ``versions`` that says that it was computed in lock-step with others."""
_LAST = 100


@dataclass(frozen=True)
class JobReport:
    """How a job stands.

    Attributes:
        state: "done", "failed", "stopped" (its run has begun) or "waiting".
        error: why it failed.
        resumed: training epochs that were completed, and kept, when it was last begun; 0 if it was begun anew.
        ensemble: whether its networks were trained in lock-step with others: equal to a run alone to rounding only.
        accuracy, loss: means of the last 100 epochs, None if there are none.
        first_exponent: of the last flossing epoch, 1/step, None without flossing.
        seconds: of computing.
        result: length and time of change (ns) of the result's file: while they are the same, so is the file.
    """

    state: str
    error: str | None = None
    resumed: int = 0
    ensemble: bool = False
    accuracy: float | None = None
    loss: float | None = None
    first_exponent: float | None = None
    seconds: float | None = None
    result: list[int] | None = None

    @classmethod
    def of(cls, result: TrainingResult, path: Path, resumed: int = 0) -> JobReport:
        """Of a job that is done, with its result in a file."""
        return cls(
            "done",
            resumed=resumed,
            ensemble=ENSEMBLE in result.versions,
            accuracy=_last(result.accuracy),
            loss=_last(result.loss),
            first_exponent=_last(result.spectra[:, 0], 1) if result.spectra.size else None,
            seconds=round(result.elapsed_seconds, 3),
            result=stamp(path),
        )

    def to_dict(self) -> dict[str, Any]:
        """As it stands in files."""
        return asdict(self)


REPORT: dict[str, Declaration] = {
    "state": Choice(("done", "failed", "stopped", "waiting")),
    "error": OrNull(Text(100_000)),
    "resumed": Number(int, 0),
    "ensemble": Choice((True, False)),
    "accuracy": OrNull(Number(float, 0, 1)),
    "loss": OrNull(Number(float, 0)),
    "first_exponent": OrNull(Number(float)),
    "seconds": OrNull(Number(float, 0)),
    "result": OrNull(Items(Number(int, 0), 2)),
}
"""What a report may be in a file."""


def stamp(path: Path) -> list[int] | None:
    """Length and time of change (ns) of a file; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]


def _last(values: Any, n: int = _LAST) -> float | None:
    """The mean of the last values; None if there are none, or if it is not finite, for which JSON has no word."""
    mean = float(np.mean(values[-n:])) if len(values) else math.nan
    return mean if math.isfinite(mean) else None
