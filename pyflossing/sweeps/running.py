"""Running a sweep in a folder, such that it can be stopped or killed at any moment and goes on later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from pyflossing._support.arguments import (
    require_callable,
    require_choice,
    require_instance,
    require_path,
    require_seconds,
)
from pyflossing._support.devices import require_device, require_device_name
from pyflossing._support.folders import alone_in, require_no_others, writing
from pyflossing._support.signals import stop_on_signals
from pyflossing.sweeps.dispatch import Dispatch
from pyflossing.sweeps.grid import Sweep
from pyflossing.sweeps.lease import leased
from pyflossing.sweeps.progress import SweepProgress
from pyflossing.sweeps.report import JobReport
from pyflossing.sweeps.results import RUNS, SWEEP, SweepResults
from pyflossing.sweeps.summary import JOURNAL, SUMMARY, journal
from pyflossing.sweeps.workers import check_workers, pool
from pyflossing.training.sizes import require_training_fits


class SweepStopped(Exception):
    """A sweep ended early because it was asked to; the checkpoints of its runs are written.

    Attributes:
        results: as they stand.
        signal: the number of the signal that asked, None if it was ``stop``.
    """

    def __init__(self, results: SweepResults, signal: int | None = None) -> None:
        done = sum(report.state == "done" for report in results.reports.values())
        super().__init__(
            f"stopped with {done} of {len(results.reports)} jobs done; "
            f"the same sweep in {results.folder} goes on from there"
        )
        self.results = results
        self.signal = signal


class JobsFailed(RuntimeError):
    """Some jobs of a sweep failed; all others have run.

    Attributes:
        results: of all jobs.
    """

    def __init__(self, results: SweepResults) -> None:
        listed = "".join(f"\n  {name}: {error}" for name, error in results.failed.items())
        super().__init__(f"{len(results.failed)} of {len(results.reports)} jobs failed:{listed}")
        self.results = results


def run_sweep(
    sweep: Sweep,
    folder: str | Path,
    *,
    n_jobs: int = -1,
    scheduler: str | None = None,
    ensemble: bool = False,
    progress: Callable[[SweepProgress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
    checkpoint_every: float = 30.0,
    scheduler_timeout: float = 10.0,
    device: str | torch.device = "cpu",
) -> SweepResults:
    """Run what a folder does not hold of a sweep yet.

    Every job is a run of its own in FOLDER/runs/NAME (see ``pyflossing.runs``): one that is done is not run again, one
    that was stopped, killed or lost goes on from its checkpoint, bit for bit. A job that fails is told at the end, the
    others go on; the next call tries it again. Ctrl-C (and a closed terminal, and SIGTERM) lets the runs write their
    checkpoints; a second one does not wait. The folder may hold other jobs, so that a sweep can be extended.

    Args:
        sweep: what to run.
        folder: made if there is none.
        n_jobs: processes of this machine, each with one thread; -1 for one for each core, 1 for none but this one.
            More than 1 needs joblib (extra ``sweep``).
        scheduler: address of a Dask scheduler, whose workers are used instead (extra ``cluster``); they must see the
            folder under the same path, with locks (``flock``) that work between machines.
        ensemble: train jobs that differ in their seeds alone in lock-step, three at a time. The results are those of
            runs alone to rounding only, and say so; such jobs write no checkpoints.
        progress: called with how far it is, about every two seconds and whenever a job ends.
        stop: asked ten times a second; true does what Ctrl-C does.
        checkpoint_every: seconds between a run's checkpoints.
        scheduler_timeout: seconds to wait for the scheduler.
        device: where each run computes, as in :func:`pyflossing.train`; all processes share a GPU that is named. With
            a scheduler, a GPU of each worker's machine.

    Returns:
        how all jobs ended, and an iterator of their results.

    Raises:
        ValueError: the folder holds a run of the same name and other settings, before anything is run; a damaged run; a
            job that the machine's memory cannot hold.
        FileExistsError: the folder holds other files and no sweep.
        FolderInUse: a sweep is running in the folder.
        JobsFailed: at the end; see its ``results``.
        SweepStopped: it was asked to stop.
        SchedulerLost: the scheduler does not answer, or no longer.
        ImportError: an extra is missing, naming it.
        OSError: the folder cannot be written.
    """
    require_instance("sweep", sweep, (Sweep,))
    place = require_path("folder", folder).absolute()
    for name, seconds in (("checkpoint_every", checkpoint_every), ("scheduler_timeout", scheduler_timeout)):
        require_seconds(name, seconds)
    for name, function in (("progress", progress), ("stop", stop)):
        require_callable(name, function)
    require_choice("ensemble", ensemble, (True, False))
    check_workers(n_jobs, scheduler)
    if scheduler is None:
        require_device("device", device)
    place_of_runs = require_device_name("device", device)
    _require_jobs_fit(sweep)
    if not (place / SWEEP).exists():
        require_no_others(place, "sweep", ours=(RUNS,))
    with writing(place):
        place.mkdir(parents=True, exist_ok=True)
    with alone_in(place, (SWEEP, SUMMARY, JOURNAL)):
        results = SweepResults.of(sweep, place)  # refuses a folder that does not fit
        with writing(place / SWEEP):
            sweep.save(place / SWEEP)
        reports = {
            name: report if report.state in ("done", "stopped") else JobReport("waiting")
            for name, report in results.reports.items()
        }
        results = replace(results, reports=reports)
        results.save()
        if any(report.state != "done" for report in reports.values()):
            with leased(place) as lease, stop_on_signals() as signals, journal(place) as lines:
                workers = pool(n_jobs, scheduler, scheduler_timeout)
                asked = _either(signals, stop)
                run = Dispatch(
                    results, reports, workers, lease, lines, progress, asked, checkpoint_every, place_of_runs
                )
                run.until_all_ended(ensemble)
            if any(report.state in ("waiting", "stopped") for report in reports.values()):
                raise SweepStopped(results, signals.signal)
    if results.failed:
        raise JobsFailed(results)
    return results


def _require_jobs_fit(sweep: Sweep) -> None:
    for job in sweep.jobs:
        try:
            require_training_fits(job.config)
        except ValueError as error:
            raise ValueError(f"job {job.name}: {error}") from None


def _either(signals: Callable[[], bool], stop: Callable[[], bool]) -> Callable[[], bool]:
    return lambda: signals() or stop()
