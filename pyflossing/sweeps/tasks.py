"""What a worker does. Tasks and outcomes are plain dictionaries of strings and numbers: no object of ours travels."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict

import torch

from pyflossing.config.settings import TrainingConfig
from pyflossing.runs.folder import RESULT, FolderInUse, Stopped, keep, train_or_resume
from pyflossing.sweeps.lease import PATIENCE, Watch
from pyflossing.sweeps.report import ENSEMBLE, JobReport
from pyflossing.training.ensemble import train_ensemble
from pyflossing.training.records import Record
from pyflossing.training.result import TrainingResult

_ASK_FOR_FOLDER_EVERY = 0.5
_ASK_FOR_PARENT_EVERY = 0.5
_at_work = threading.Lock()


class Task(TypedDict):
    """One job, or several that are trained as an ensemble.

    Attributes:
        folders, configs: of the jobs' runs; configurations are TOML.
        lease: path of the sweep's lease.
        parent: process id of the sweep if the worker is its child.
        checkpoint_every: seconds.
        device: as in :func:`pyflossing.train`.
    """

    folders: list[str]
    configs: list[str]
    lease: str
    parent: int | None
    checkpoint_every: float
    device: str


class Outcome(TypedDict):
    """How a task ended.

    Attributes:
        state: "done", "failed", "stopped" (its checkpoint is written) or "busy" (another process holds the folder).
        error: what was wrong, empty if it is done.
        resumed: training epochs that had been completed, and kept, when this worker began.
        reports: of jobs that are done, in their order (``JobReport.to_dict``).
    """

    state: str
    error: str
    resumed: int
    reports: list[dict[str, Any]]


def run_task(task: Task) -> Outcome:
    """Run a task to its end, or until the sweep is gone; failures come back as outcomes, they are never raised.

    It computes with one thread, wherever it runs, so that the numbers are the same everywhere.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _outcome(task)
    finally:
        torch.set_num_threads(before)


def become_child(parent: int) -> None:
    """Make this process one that works for its parent alone.

    Ctrl-C and a closed terminal, which reach all processes, are left to the parent: it tells its children to stop. When
    the parent is gone, the child ends as soon as it has no task.
    """
    for name in (signal.SIGINT, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)

    def end_with_parent() -> None:
        while os.getppid() == parent:
            time.sleep(_ASK_FOR_PARENT_EVERY)
        with _at_work:
            os._exit(0)

    threading.Thread(target=end_with_parent, name="pyflossing-parent", daemon=True).start()


def run_task_of_child(task: Task) -> Outcome:
    """``run_task`` in a process that ``become_child`` made, one at a time."""
    with _at_work:
        return run_task(task)


def _outcome(task: Task) -> Outcome:
    watch = Watch(Path(task["lease"]), task["parent"])
    first = _First()
    results: list[TrainingResult] = []
    try:
        if len(task["folders"]) > 1:
            results = _run_ensemble(task, watch)
        else:
            results = [_run_alone(task, _or_closing(watch), first)]
        state, said = "done", ""
    except Stopped:
        state, said = "stopped", f"{socket.gethostname()} does not see {task['lease']} renewed (is the folder shared?)"
    except (FolderInUse, FileExistsError) as error:
        state, said = "busy", str(error)
    except Exception as error:  # whatever it is, other jobs go on
        state, said = "failed", f"{type(error).__name__}: {error}"
    files = [Path(folder) / RESULT for folder in task["folders"]]
    reports = [
        JobReport.of(result, file, first.epochs_before).to_dict()
        for result, file in zip(results, files, strict=bool(results))
    ]
    return Outcome(state=state, error=said, resumed=first.epochs_before, reports=reports)


class _First:
    """A callback that keeps where a run began."""

    epochs_before = 0
    _seen = False

    def __call__(self, record: Record) -> None:
        if not self._seen:
            self._seen, self.epochs_before = True, record.epoch - 1


def _run_alone(task: Task, stop: Callable[[], bool], first: _First) -> TrainingResult:
    config = TrainingConfig.from_toml(task["configs"][0])
    # a worker that was lost may still be at it: it stops, or is stopped, within the lease's patience
    until = time.monotonic() + 2 * PATIENCE
    while True:
        if stop():
            raise Stopped(Path(task["folders"][0]), 0)
        try:
            every = task["checkpoint_every"]
            return train_or_resume(
                task["folders"][0], config, [first], checkpoint_every=every, stop=stop, device=task["device"]
            )
        except (FolderInUse, FileExistsError):
            if time.monotonic() > until:
                raise
            time.sleep(_ASK_FOR_FOLDER_EVERY)


def _run_ensemble(task: Task, stop: Callable[[], bool]) -> list[TrainingResult]:
    configs = [TrainingConfig.from_toml(text) for text in task["configs"]]

    def check(member: int, record: Record) -> None:
        if stop():
            raise Stopped(Path(task["folders"][member]), 0)

    together = train_ensemble(configs, [check], device=task["device"])
    results = [_marked(result, len(configs)) for result in together]
    for folder, result in zip(task["folders"], results, strict=True):
        keep(folder, result)
    return results


def _marked(result: TrainingResult, n_networks: int) -> TrainingResult:
    return replace(result, versions={**result.versions, ENSEMBLE: f"{n_networks} networks"})


def _or_closing(watch: Watch) -> Callable[[], bool]:
    """The watch; on a Dask worker also whether that is closing, which it does when it has lost its scheduler."""
    if "distributed" not in sys.modules:  # certainly no Dask worker, and half a second to import
        return watch
    from distributed import Status, get_worker  # noqa: PLC0415 - an extra

    try:
        worker = get_worker()
    except ValueError:  # a local worker after all
        return watch
    going = (Status.init, Status.starting, Status.running, Status.paused)
    return lambda: watch() or worker.status not in going
