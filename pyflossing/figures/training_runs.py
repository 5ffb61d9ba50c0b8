"""Training runs of a figure: a grid of seeds, delays and conditions, kept one file each, so that it resumes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyflossing.config import TrainingConfig
from pyflossing.results import TrainingResult
from pyflossing.training import train

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """One run: its place in the figure and its settings."""

    condition: str
    delay: int
    seed: int
    config: TrainingConfig

    @property
    def name(self) -> str:
        """The name of its file, without the ending."""
        return f"{self.condition}_delay{self.delay}_seed{self.seed}"


def grid(
    make: Callable[[str, int, int], TrainingConfig],
    conditions: Sequence[str],
    delays: Sequence[int],
    seeds: Sequence[int],
) -> list[Job]:
    """All jobs, seed by seed: a grid that is cut short has whole realizations."""
    return [
        Job(condition, delay, seed, make(condition, delay, seed))
        for seed in seeds
        for delay in delays
        for condition in conditions
    ]


def run_jobs(
    jobs: Sequence[Job], folder: Path, progress: Progress = lambda _: None, *, only_kept: bool = False
) -> Mapping[Job, TrainingResult]:
    """The jobs' results: from the folder where it holds them with the same settings, computed and kept otherwise.

    Args:
        jobs: what to run, in this order.
        folder: made if there is none.
        progress: called with a line before every run that is computed.
        only_kept: leave out what the folder does not hold, and compute nothing.

    Raises:
        ValueError: a file is damaged, or no result.
        NonFiniteError: a run met a number that is not finite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for job in jobs:
        file = folder / f"{job.name}.npz"
        kept = TrainingResult.load(file) if file.exists() else None
        if kept is None or kept.config != job.config:
            if only_kept:
                continue
            progress(job.name)
            kept = train(job.config)
            kept.save(file)
        found[job] = kept
    return found
