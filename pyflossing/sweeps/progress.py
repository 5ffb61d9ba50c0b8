"""How far a sweep is, and how long it still takes."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from pyflossing.runs.folder import LOG
from pyflossing.runs.log import share_done
from pyflossing.sweeps.grid import Job
from pyflossing.sweeps.results import run_folder

_FIRST_SECONDS = 10.0
"""Until then most of the time goes into starting processes."""


@dataclass(frozen=True)
class SweepProgress:
    """How far a sweep is.

    Attributes:
        total, done, running, failed: jobs; those that were done before count as done.
        seconds_left: about, None as long as nothing can be said.
        event: what has just happened, such as "flossing_seed1: done"; empty if only time went by.
    """

    total: int
    done: int
    running: int
    failed: int
    seconds_left: float | None
    event: str = ""

    def __str__(self) -> str:
        parts = [f"{self.done}/{self.total} done", f"{self.running} running"]
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self.seconds_left is not None:
            parts.append(f"about {_duration(self.seconds_left)} left")
        return ", ".join(parts)


class Estimate:
    """Time left, from the share of epochs that were run since the start, each job counted as one.

    Args:
        jobs: those that are to run.
        folder: of the sweep.
    """

    def __init__(self, jobs: Collection[Job], folder: Path) -> None:
        self._folder = folder
        self._shares = {job.name: self._share(job) for job in jobs}
        self._before = self._done = sum(self._shares.values())
        self._started = time.monotonic()

    def ended(self, job: Job) -> None:
        """Take a job as done, or failed."""
        self._set(job, 1.0)

    def look(self, jobs: Iterable[Job]) -> None:
        """See in the logs how far jobs are that may be running."""
        for job in jobs:
            self._set(job, max(self._shares[job.name], self._share(job)))

    def seconds_left(self) -> float | None:
        """About how long the rest takes; None as long as nothing can be said."""
        run, seconds = self._done - self._before, time.monotonic() - self._started
        if run <= 0 or seconds < _FIRST_SECONDS:
            return None
        return (len(self._shares) - self._done) * seconds / run

    def _set(self, job: Job, share: float) -> None:
        self._done += share - self._shares[job.name]
        self._shares[job.name] = share

    def _share(self, job: Job) -> float:
        return share_done(run_folder(self._folder, job) / LOG, job.config)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
