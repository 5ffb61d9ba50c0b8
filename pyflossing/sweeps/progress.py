"""How far a sweep is, and how long it still takes."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from pyflossing.runs.folder import LOG
from pyflossing.sweeps.grid import Job
from pyflossing.sweeps.results import run_folder

_FIRST_SECONDS = 10.0
"""Until then most of the time goes into starting processes."""
_TAIL = 16384  # bytes; a line holds up to hundreds of exponents


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
        self._jobs = {job.name: job for job in jobs}
        self._before = sum(self._shares.values())
        self._started = time.monotonic()

    def seconds_left(self, ended: Mapping[str, object], submitted: Collection[str]) -> float | None:
        """About how long the rest takes.

        Args:
            ended: names of jobs that are done or failed.
            submitted: names of those that may be running.
        """
        for name in submitted:
            self._shares[name] = max(self._shares[name], self._share(self._jobs[name]))
        for name in self._shares.keys() & ended.keys():
            self._shares[name] = 1.0
        run, seconds = sum(self._shares.values()) - self._before, time.monotonic() - self._started
        if run <= 0 or seconds < _FIRST_SECONDS:
            return None
        return (len(self._shares) - sum(self._shares.values())) * seconds / run

    def _share(self, job: Job) -> float:
        """The share of a run's epochs that its log tells of."""
        if not job.config.n_epochs:
            return 0.0
        try:
            with (run_folder(self._folder, job) / LOG).open("rb") as log:
                log.seek(0, 2)
                log.seek(max(0, log.tell() - _TAIL))
                lines = log.read().splitlines()
            # the last line may not be whole
            return float(min(json.loads(lines[-2])["epoch"] / job.config.n_epochs, 1.0))
        except (OSError, ValueError, LookupError, TypeError):
            return 0.0


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
