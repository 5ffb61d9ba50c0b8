"""What a sweep gives: how each job ended, and its result; and the summary in a file, sweep.json."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyflossing._support.files import write_atomically
from pyflossing._support.folders import writing
from pyflossing.config.settings import TrainingConfig
from pyflossing.runs.folder import CHECKPOINT, CONFIG, RESULT
from pyflossing.sweeps.grid import Job, Sweep
from pyflossing.sweeps.tasks import ENSEMBLE
from pyflossing.training.result import TrainingResult, versions

FORMAT = "pyflossing sweep 1"
SWEEP, SUMMARY, RUNS = "sweep.toml", "sweep.json", "runs"
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
    """

    state: str
    error: str | None = None
    resumed: int = 0
    ensemble: bool = False
    accuracy: float | None = None
    loss: float | None = None
    first_exponent: float | None = None
    seconds: float | None = None

    @classmethod
    def of(cls, result: TrainingResult, resumed: int = 0) -> JobReport:
        """Of a job that is done."""
        return cls(
            "done",
            resumed=resumed,
            ensemble=ENSEMBLE in result.versions,
            accuracy=_last(result.accuracy),
            loss=_last(result.loss),
            first_exponent=_last(result.spectra[:, 0], 1) if result.spectra.size else None,
            seconds=round(result.elapsed_seconds, 3),
        )


@dataclass(frozen=True)
class SweepResults:
    """A sweep in its folder; iterated, it gives (job, result) of the jobs that are done, loading one after the other.

    Attributes:
        sweep: all jobs.
        folder: of the sweep.
        reports: by job name.
    """

    sweep: Sweep
    folder: Path
    reports: Mapping[str, JobReport]

    def __iter__(self) -> Iterator[tuple[Job, TrainingResult]]:
        for job in self.sweep.jobs:
            if self.reports[job.name].state == "done":
                yield job, TrainingResult.load(run_folder(self.folder, job) / RESULT)

    @property
    def failed(self) -> dict[str, str]:
        """Why jobs failed, by name."""
        return {name: report.error or "" for name, report in self.reports.items() if report.state == "failed"}

    def to_dict(self) -> dict[str, Any]:
        """The summary, as it stands in sweep.json."""
        jobs = [
            {
                "name": job.name,
                "condition": job.condition,
                "at": dict(job.at),
                "folder": f"{RUNS}/{job.name}",
                **self.reports[job.name].__dict__,
            }
            for job in self.sweep.jobs
        ]
        return {"format": FORMAT, "versions": versions(), "jobs": jobs}

    def table(self) -> str:
        """The summary as text, a line for each job."""
        head = ("job", "state", "accuracy", "loss", "exponent", "seconds")
        rows = [head, *(_row(job, self.reports[job.name]) for job in self.sweep.jobs)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        return "\n".join(
            "  ".join(
                text.ljust(width) if i < 2 else text.rjust(width)
                for i, (text, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        )

    def save(self) -> None:
        """Write sweep.json, atomically."""
        path = self.folder / SUMMARY
        with writing(path):
            write_atomically(path, (json.dumps(self.to_dict(), indent=1) + "\n").encode())

    @classmethod
    def load(cls, folder: str | Path) -> SweepResults:
        """The sweep of a folder as it stands, from its sweep.toml and its runs.

        Raises:
            OSError: the folder holds no sweep.
            ValueError: its sweep.toml cannot be read, a run is damaged or of other settings.
        """
        return cls.of(Sweep.load(Path(folder) / SWEEP), folder)

    @classmethod
    def of(cls, sweep: Sweep, folder: str | Path) -> SweepResults:
        """What a folder holds of a sweep; how runs failed, and from where they went on, is in its sweep.json.

        Raises:
            ValueError: a run is damaged or of other settings than the sweep says, naming its folder.
        """
        place = Path(folder)
        told = _told(place / SUMMARY)
        return cls(sweep, place, {job.name: _report(job, place, told.get(job.name, {})) for job in sweep.jobs})


def run_folder(folder: Path, job: Job) -> Path:
    """Where a job's run is."""
    return folder / RUNS / job.name


def _report(job: Job, folder: Path, told: Mapping[str, Any]) -> JobReport:
    place = run_folder(folder, job)
    if not (place / CONFIG).exists():
        return JobReport("failed", told["error"]) if told.get("state") == "failed" else JobReport("waiting")
    if TrainingConfig.load(place / CONFIG) != job.config:
        raise ValueError(
            f"{place} holds a run of other settings than the sweep says; choose another folder, or move that one away"
        )
    if (place / RESULT).exists():
        return JobReport.of(TrainingResult.load(place / RESULT), int(told.get("resumed") or 0))
    if told.get("state") == "failed":
        return JobReport("failed", told.get("error"))
    return JobReport("stopped")


def _told(path: Path) -> dict[str, Mapping[str, Any]]:
    """The jobs of a sweep.json; none of a file that cannot be read, which only repeats what the runs say."""
    try:
        return {job["name"]: job for job in json.loads(path.read_text(encoding="utf-8"))["jobs"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def progress_mark(folder: Path) -> int | None:
    """Changes whenever a run that has not ended has kept more of its work."""
    try:
        return (folder / CHECKPOINT).stat().st_mtime_ns
    except OSError:
        return None


def _last(values: Any, n: int = _LAST) -> float | None:
    """The mean of the last values; None if there are none, or if it is not finite, for which JSON has no word."""
    mean = float(np.mean(values[-n:])) if len(values) else math.nan
    return mean if math.isfinite(mean) else None


def _row(job: Job, report: JobReport) -> tuple[str, ...]:
    numbers = (
        "" if report.accuracy is None else f"{report.accuracy:.3f}",
        "" if report.loss is None else f"{report.loss:.4f}",
        "" if report.first_exponent is None else f"{report.first_exponent:+.4f}",
        "" if report.seconds is None else f"{report.seconds:.1f}",
    )
    return (job.name, "done (ensemble)" if report.ensemble else report.state, *numbers)
