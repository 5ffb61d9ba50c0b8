"""Which pool a sweep runs on: of this process, of processes of this machine, or of a cluster."""

from __future__ import annotations

from pyflossing._support.arguments import FieldError, require_integer
from pyflossing.sweeps.cluster import DaskPool
from pyflossing.sweeps.pools import Pool, ProcessPool, ThreadPool, joblib_module


def check_workers(n_jobs: int, scheduler: str | None) -> None:
    """Refuse what ``pool`` cannot take.

    Raises:
        ValueError: a number or an address that is not allowed.
    """
    if require_integer("n_jobs", n_jobs) == 0:
        raise FieldError("n_jobs", n_jobs, "it must be a number of processes, or -1 for one for each core")
    if scheduler is not None and (not isinstance(scheduler, str) or not scheduler):
        raise FieldError("scheduler", scheduler, "it must be an address such as tcp://host:8786 or tls://host:8786")


def pool(n_jobs: int, scheduler: str | None, timeout: float) -> Pool:
    """The pool of a number of processes (as joblib counts: -1 is one for each core), or of a scheduler.

    Raises:
        ImportError: an extra is not installed, naming it.
        SchedulerLost: the scheduler does not answer.
    """
    if scheduler is not None:
        return DaskPool(scheduler, timeout)
    n_processes = 1 if n_jobs == 1 else joblib_module().effective_n_jobs(n_jobs)
    if n_processes > 1:
        return ProcessPool(n_processes)
    alone = ThreadPool()
    if n_jobs > 1 or (n_jobs < 0 and joblib_module().cpu_count() > -n_jobs):
        alone.notice = "joblib finds no shared memory on this machine, so all jobs run in one process"
    return alone
