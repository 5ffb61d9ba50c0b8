"""Running a sweep in a folder, such that it can be stopped or killed at any moment and goes on later."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue

from pyflossing._support.arguments import (
    require_callable,
    require_choice,
    require_instance,
    require_path,
    require_seconds,
)
from pyflossing._support.folders import alone_in, require_no_others, writing
from pyflossing._support.signals import stop_on_signals
from pyflossing._support.words import plain
from pyflossing.config.sections import Seeds
from pyflossing.runs.folder import CONFIG
from pyflossing.sweeps.grid import Job, Sweep
from pyflossing.sweeps.lease import Lease, leased
from pyflossing.sweeps.pools import Pool, SchedulerLost
from pyflossing.sweeps.progress import Estimate, SweepProgress
from pyflossing.sweeps.report import JobReport
from pyflossing.sweeps.results import RUNS, SWEEP, SweepResults, progress_mark, run_folder
from pyflossing.sweeps.summary import JOURNAL, SUMMARY, Journal, journal
from pyflossing.sweeps.tasks import Outcome, Task
from pyflossing.sweeps.workers import check_workers, pool
from pyflossing.training.sizes import require_training_fits

_POLL = 0.1
_TOLD_EVERY = 2.0
_ATTEMPTS = 3
_TOGETHER = 3
"""Networks of one ensemble: it has no checkpoints, so a larger one would lose more when it is stopped."""


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
                _Run(results, reports, workers, lease, lines, progress, asked, checkpoint_every).until_all_ended(
                    ensemble
                )
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


@dataclass(frozen=True)
class _Work:
    """What one task does, and what a run had kept when it was submitted."""

    jobs: tuple[Job, ...]
    marks: tuple[int | None, ...] = ()


class _Run:
    """The state of a sweep that runs; ``reports`` is what ``results`` shows."""

    def __init__(
        self,
        results: SweepResults,
        reports: dict[str, JobReport],
        workers: Pool,
        lease: Lease,
        lines: Journal,
        progress: Callable[[SweepProgress], None],
        asked: Callable[[], bool],
        checkpoint_every: float,
    ) -> None:
        self._results = results
        self._reports = reports
        self._pool = workers
        self._lease = lease
        self._journal = lines
        self._progress = progress
        self._asked = asked
        self._checkpoint_every = checkpoint_every
        self._queue: deque[_Work] = deque()
        self._submitted: dict[Future[Outcome], _Work] = {}
        self._ended: SimpleQueue[Future[Outcome]] = SimpleQueue()
        self._states = Counter(report.state for report in reports.values())
        self._strikes: Counter[str] = Counter()
        todo = [job for job in results.sweep.jobs if reports[job.name].state != "done"]
        self._todo = todo
        self._estimate = Estimate(todo, results.folder)
        self._looked = -float("inf")
        self._at_once = 0

    def until_all_ended(self, ensemble: bool) -> None:
        """Run until all jobs have ended, or were asked to stop and did."""
        self._queue.extend(_works(self._todo, self._reports) if ensemble else (_Work((job,)) for job in self._todo))
        kill = True
        try:
            self._loop()
            kill = False
        except (KeyboardInterrupt, SchedulerLost):
            raise  # there is nothing to wait for
        except BaseException:
            # an error of the caller's callback, or of the disk: the runs write their checkpoints all the same
            self._lease.end()
            wait(self._submitted)
            kill = False
            raise
        finally:
            self._lease.end()
            self._pool.close(kill=kill)
            self._results.save()

    def _loop(self) -> None:
        self._look()
        if self._pool.notice:
            self._tell(self._pool.notice)
        while self._queue or self._submitted:
            if self._lease.held and self._asked():
                self._lease.end()
                self._tell("stopping; the runs write their checkpoints")
            if not self._lease.held:
                self._queue.clear()
                if not self._pool.running(len(self._submitted)):  # a scheduler without workers
                    break
            while self._queue and self._pool.room(len(self._submitted)):
                self._submit(self._queue.popleft())
            with suppress(Empty):  # none has ended
                future = self._ended.get(timeout=_POLL)
                self._take(future, self._submitted.pop(future))
            if time.monotonic() - self._looked >= _TOLD_EVERY:
                self._look()

    def _submit(self, work: _Work) -> None:
        folders = [run_folder(self._results.folder, job) for job in work.jobs]
        task = Task(
            folders=[str(folder) for folder in folders],
            configs=[job.config.to_toml() for job in work.jobs],
            lease=str(self._lease.path),
            parent=self._pool.parent,
            checkpoint_every=self._checkpoint_every,
        )
        marked = replace(work, marks=tuple(progress_mark(folder) for folder in folders))
        future = self._pool.submit(task)
        self._submitted[future] = marked
        future.add_done_callback(self._ended.put)

    def _take(self, future: Future[Outcome], work: _Work) -> None:
        lost = self._pool.lost(future)
        if lost:
            self._again(work, lost)
            return
        outcome = future.result()
        if outcome["state"] == "done":
            for job, report in zip(work.jobs, outcome["reports"], strict=True):
                self._end(job, JobReport(**report))
        elif outcome["state"] == "failed" and len(work.jobs) == 1:
            self._end(work.jobs[0], JobReport("failed", outcome["error"], outcome["resumed"]))
        elif outcome["state"] == "failed":  # one of them; alone it shows which
            self._queue.extendleft(_Work((job,)) for job in reversed(work.jobs))
        else:
            self._again(work, outcome["error"])

    def _again(self, work: _Work, why: str) -> None:
        """What did not end goes on from its checkpoint, unless it has ended several times without getting on."""
        if not self._lease.held:
            for job in work.jobs:
                self._stopped(job)
            return
        for job, mark in zip(work.jobs, work.marks, strict=True):
            now = progress_mark(run_folder(self._results.folder, job))
            self._strikes[job.name] = 1 if now != mark else self._strikes[job.name] + 1
            if self._strikes[job.name] >= _ATTEMPTS:
                self._end(job, JobReport("failed", f"{why}, {_ATTEMPTS} times without getting on"))
            else:
                self._queue.append(_Work((job,)))
                self._tell(f"{job.name}: {why}; it goes on from its checkpoint")

    def _stopped(self, job: Job) -> None:
        begun = (run_folder(self._results.folder, job) / CONFIG).exists()
        self._set(job, JobReport("stopped" if begun else "waiting"))

    def _set(self, job: Job, report: JobReport) -> None:
        self._states[self._reports[job.name].state] -= 1
        self._states[report.state] += 1
        self._reports[job.name] = report

    def _end(self, job: Job, report: JobReport) -> None:
        self._set(job, report)
        self._journal.tell(job.name, report)
        self._estimate.ended(job)
        self._tell(f"{job.name}: {report.error or report.state}")

    def _look(self) -> None:
        """How far the runs are, in their logs; and how many run, by the pool: it may have to ask others."""
        self._looked = time.monotonic()
        self._estimate.look(job for work in self._submitted.values() for job in work.jobs)
        self._at_once = self._pool.running(len(self._submitted))
        self._tell()

    def _tell(self, event: str = "") -> None:
        running = min(len(self._submitted), self._at_once)
        left, done, failed = self._estimate.seconds_left(), self._states["done"], self._states["failed"]
        self._progress(SweepProgress(len(self._reports), done, running, failed, left, plain(event)))


def _either(signals: Callable[[], bool], stop: Callable[[], bool]) -> Callable[[], bool]:
    return lambda: signals() or stop()


def _works(jobs: Sequence[Job], reports: dict[str, JobReport]) -> Iterator[_Work]:
    """Jobs that differ in their seeds alone together, a few at a time; runs that have begun go on alone."""
    groups: dict[object, list[Job]] = {}
    for job in jobs:
        key = job.name if reports[job.name].state == "stopped" else replace(job.config, seeds=Seeds())
        groups.setdefault(key, []).append(job)
    for group in groups.values():
        for start in range(0, len(group), _TOGETHER):
            yield _Work(tuple(group[start : start + _TOGETHER]))
