"""What a sweep gives: how each job ended, and its result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyflossing._support.arguments import require_path
from pyflossing._support.words import plain
from pyflossing.config.settings import TrainingConfig
from pyflossing.runs.folder import CHECKPOINT, CONFIG, RESULT, of_config
from pyflossing.sweeps.grid import Job, Sweep
from pyflossing.sweeps.report import JobReport, stamp
from pyflossing.sweeps.summary import FORMAT, told, write_summary
from pyflossing.training.result import TrainingResult, versions

SWEEP, RUNS = "sweep.toml", "runs"


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
                **self.reports[job.name].to_dict(),
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
        write_summary(self.folder, self.to_dict())

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
        """What a folder holds of a sweep; how runs failed, and from where they went on, is what it tells.

        Raises:
            ValueError: a run is damaged or of other settings than the sweep says, naming its folder.
        """
        place = require_path("folder", folder)
        before = told(place)
        return cls(sweep, place, {job.name: _report(job, place, before.get(job.name)) for job in sweep.jobs})


def run_folder(folder: Path, job: Job) -> Path:
    """Where a job's run is."""
    return folder / RUNS / job.name


def _report(job: Job, folder: Path, told: JobReport | None) -> JobReport:
    """How a job stands: what is told of it, where its files do not say otherwise."""
    place = run_folder(folder, job)
    failed = told if told is not None and told.state == "failed" else None
    if not _holds(place / CONFIG, job.config):
        return failed or JobReport("waiting")
    found = stamp(place / RESULT)
    if found is None:
        return failed or JobReport("stopped")
    if told is not None and told.state == "done" and told.result == found:
        return told
    result = of_config(TrainingResult.load(place / RESULT), job.config, place / RESULT)
    return JobReport.of(result, place / RESULT, told.resumed if told is not None else 0)


def _holds(path: Path, config: TrainingConfig) -> bool:
    """Whether a run has begun.

    Raises:
        ValueError: one of other settings has.
    """
    try:
        if path.read_bytes() == config.to_toml().encode():  # as it was written; to read it would take longer
            return True
    except FileNotFoundError:
        return False
    if TrainingConfig.load(path) == config:
        return True
    raise ValueError(
        f"{plain(str(path.parent))} holds a run of other settings than the sweep says; choose another folder, or move "
        "that one away"
    )


def progress_mark(folder: Path) -> int | None:
    """Changes whenever a run that has not ended has kept more of its work."""
    try:
        return (folder / CHECKPOINT).stat().st_mtime_ns
    except OSError:
        return None


def _row(job: Job, report: JobReport) -> tuple[str, ...]:
    numbers = (
        "" if report.accuracy is None else f"{report.accuracy:.3f}",
        "" if report.loss is None else f"{report.loss:.4f}",
        "" if report.first_exponent is None else f"{report.first_exponent:+.4f}",
        "" if report.seconds is None else f"{report.seconds:.1f}",
    )
    return (job.name, "done (ensemble)" if report.ensemble else report.state, *numbers)
