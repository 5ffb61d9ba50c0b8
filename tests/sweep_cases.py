"""A small sweep that several test files run, and what is asked of running processes."""

from __future__ import annotations

import functools
import time
from pathlib import Path

import joblib
import psutil
import pytest

from pyflossing import (
    DelayedXOR,
    Flossing,
    FlossingSchedule,
    TanhNetwork,
    TrainingConfig,
    TrainingResult,
    Trials,
    train,
)
from pyflossing.runs.folder import CHECKPOINT, LOG, RESULT
from pyflossing.sweeps import Axis, Condition, Sweep, SweepResults

needs_processes = pytest.mark.skipif(joblib.effective_n_jobs(2) < 2, reason="joblib has no shared memory here")
SEEDS = ("seeds.initial_state", "seeds.network", "seeds.frame")


def sweep(n_epochs: int = 6) -> Sweep:
    """Four jobs, two of them with flossing."""
    base = TrainingConfig(
        network=TanhNetwork(),
        n_units=5,
        task=DelayedXOR(1),
        trials=Trials(2, 6),
        flossing=Flossing(3, 0.0, 14, 16, FlossingSchedule(before=4, episode=3, period=2, n_episodes=2)),
        n_epochs=n_epochs,
    )
    none = Condition("no_flossing", {"flossing.schedule.before": 0, "flossing.schedule.n_episodes": 0})
    return Sweep(base, (none, Condition("flossing")), (Axis.together("seed", SEEDS, [1, 2]),))


def assert_same_as_alone(results: SweepResults) -> None:
    """All jobs are done, and bit for bit what ``train`` gives."""
    found = {job.name: result for job, result in results}
    assert list(found) == [job.name for job in results.sweep.jobs]
    for job in results.sweep.jobs:
        assert found[job.name].same_numbers(alone(job.config)), job.name


@functools.cache
def alone(config: TrainingConfig) -> TrainingResult:
    """The result of ``train``."""
    return train(config)


def well_begun(folder: Path) -> bool:
    """Whether a run has kept some training epochs (at a checkpoint every 0.02 s) and has not ended."""
    try:
        epochs = (folder / LOG).read_text().count("accuracy")
    except OSError:
        return False
    return epochs >= 100 and (folder / CHECKPOINT).exists() and not (folder / RESULT).exists()


def run_at_work(pid: int) -> Path | None:
    """The folder of the run that a process is at, if that is well begun."""
    try:
        files = [Path(file.path) for file in psutil.Process(pid).open_files()]
    except psutil.Error:
        return None
    folders = [file.parent for file in files if file.name == LOG]
    return folders[0] if folders and well_begun(folders[0]) else None


def wait_for(what, seconds: float = 120.0):
    """The first true value that a function gives, asked often."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what} gave nothing for {seconds} s")
