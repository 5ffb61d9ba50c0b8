"""Where tasks run: a thread of this process, processes of this machine, or workers of a Dask cluster.

All three give futures of ``concurrent.futures``. Processes are loky's, which come with joblib: it starts them without
importing the caller's main module and tells when one dies. There is one executor for each process, since a process that
dies takes the work of all others of its executor with it.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from typing import Any

from pyflossing.sweeps.tasks import Outcome, Task, become_child, run_task, run_task_of_child

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class SchedulerLost(ConnectionError):
    """The Dask scheduler cannot be reached, or no longer."""


class Pool(ABC):
    """Takes tasks."""

    parent: int | None = None
    """The process id that tasks have as their parent, if they do."""
    notice: str = ""
    """What a user should know of it, if anything."""

    @abstractmethod
    def submit(self, task: Task) -> Future[Outcome]:
        """Start a task, or queue it."""

    @abstractmethod
    def room(self, n_submitted: int) -> bool:
        """Whether another task should be submitted beside those that have not ended."""

    def running(self, n_submitted: int) -> int:
        """How many of the submitted tasks run."""
        return n_submitted

    def lost(self, future: Future[Outcome]) -> str:
        """Why a task that ended has no outcome, empty if it has one; the place that it took is free again.

        Raises:
            SchedulerLost: no task will have an outcome any more.
        """
        error = future.exception()
        return "" if error is None else f"{type(error).__name__}: {error}"

    @abstractmethod
    def close(self, *, kill: bool) -> None:
        """End, at once or when the tasks that run have ended."""


class ThreadPool(Pool):
    """One task at a time, in this process."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1)

    def submit(self, task: Task) -> Future[Outcome]:
        return self._executor.submit(run_task, task)

    def room(self, n_submitted: int) -> bool:
        return n_submitted < 1

    def close(self, *, kill: bool) -> None:
        self._executor.shutdown(wait=not kill, cancel_futures=True)


class ProcessPool(Pool):
    """Several tasks, each in a process with one thread."""

    def __init__(self, n_jobs: int) -> None:
        self.parent = os.getpid()
        self._n_jobs = n_jobs
        self._idle: list[Any] = []
        self._at_work: dict[Future[Outcome], Any] = {}

    def submit(self, task: Task) -> Future[Outcome]:
        executor = self._idle.pop() if self._idle else _process()
        future: Future[Outcome]
        try:
            future = executor.submit(run_task_of_child, task)
        except BrokenExecutor:  # its process died while it had nothing to do
            executor = _process()
            future = executor.submit(run_task_of_child, task)
        self._at_work[future] = executor
        return future

    def room(self, n_submitted: int) -> bool:
        return n_submitted < self._n_jobs

    def lost(self, future: Future[Outcome]) -> str:
        executor = self._at_work.pop(future)
        if isinstance(future.exception(), BrokenExecutor):
            executor.shutdown(wait=False)
            return "its process died"
        self._idle.append(executor)
        return super().lost(future)

    def close(self, *, kill: bool) -> None:
        for executor in (*self._idle, *self._at_work.values()):
            executor.shutdown(wait=True, kill_workers=kill)


def _process() -> Any:
    joblib_module()
    from joblib.externals.loky import ProcessPoolExecutor  # noqa: PLC0415 - an extra

    return ProcessPoolExecutor(1, initializer=become_child, initargs=(os.getpid(),), env=_ONE_THREAD)


def joblib_module() -> Any:
    try:
        import joblib  # noqa: PLC0415 - an extra
    except ImportError as error:
        said = "several processes need joblib: pip install 'pyflossing[sweep]'; n_jobs=1 does not"
        raise ImportError(said, name="joblib") from error
    return joblib
