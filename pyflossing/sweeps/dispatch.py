"""The jobs of a sweep, from the queue to the pool and, where they end without having got to their end, back."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue

from pyflossing._support.words import plain
from pyflossing.config.sections import Seeds
from pyflossing.runs.folder import CONFIG
from pyflossing.sweeps.grid import Job
from pyflossing.sweeps.lease import Lease
from pyflossing.sweeps.pools import Pool, SchedulerLost
from pyflossing.sweeps.progress import Estimate, SweepProgress
from pyflossing.sweeps.report import JobReport
from pyflossing.sweeps.results import SweepResults, progress_mark, run_folder
from pyflossing.sweeps.summary import Journal
from pyflossing.sweeps.tasks import Outcome, Task

_POLL = 0.1
_TOLD_EVERY = 2.0
_ATTEMPTS = 3
_TOGETHER = 3
"""Networks of one ensemble: it has no checkpoints, so a larger one would lose more when it is stopped."""


@dataclass(frozen=True)
class _Work:
    """What one task does, and what a run had kept when it was submitted."""

    jobs: tuple[Job, ...]
    marks: tuple[int | None, ...] = ()


class Dispatch:
    """The state of a sweep that runs.

    Args:
        results: of the sweep.
        reports: what ``results`` shows; changed as jobs end.
        workers: where jobs run.
        lease: by which workers know that the sweep is still there.
        lines: where jobs that have ended are told.
        progress: called with how far the sweep is.
        asked: whether the sweep is to stop.
        checkpoint_every: seconds between a run's checkpoints.
        device: where each run computes.
    """

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
        device: str,
    ) -> None:
        self._results = results
        self._reports = reports
        self._pool = workers
        self._lease = lease
        self._journal = lines
        self._progress = progress
        self._asked = asked
        self._checkpoint_every, self._device = checkpoint_every, device
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
            device=self._device,
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


def _works(jobs: Sequence[Job], reports: dict[str, JobReport]) -> Iterator[_Work]:
    """Jobs that differ in their seeds alone together, a few at a time; runs that have begun go on alone."""
    groups: dict[object, list[Job]] = {}
    for job in jobs:
        key = job.name if reports[job.name].state == "stopped" else replace(job.config, seeds=Seeds())
        groups.setdefault(key, []).append(job)
    for group in groups.values():
        for start in range(0, len(group), _TOGETHER):
            yield _Work(tuple(group[start : start + _TOGETHER]))
