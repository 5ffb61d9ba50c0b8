"""A run in a folder of its own, that can be stopped at any moment and resumed bit for bit.

    config.toml     all settings
    log.jsonl       a line for each update (see ``runs/log.py``)
    checkpoint.npz  what the run is resumed from; gone when it has ended
    result.npz      the result, when it has ended

Files are replaced as a whole, so a process that is killed leaves the old or the new one. Processes that share a folder
(the lock is ``flock``'s, so Linux and macOS only) take turns: the second is refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch

from pyflossing._support.arguments import (
    require_callable,
    require_callables,
    require_instance,
    require_path,
    require_seconds,
)
from pyflossing._support.devices import require_device
from pyflossing._support.files import write_atomically
from pyflossing._support.folders import LOCK, FolderInUse, alone_in, require_no_others, writing
from pyflossing._support.threads import suitable_threads
from pyflossing._support.words import plain
from pyflossing.config.settings import TrainingConfig
from pyflossing.gradients.kernel.library import path_in_use
from pyflossing.runs.checkpoints import Checkpoint
from pyflossing.runs.log import log_line, log_of_series
from pyflossing.training.loop import run
from pyflossing.training.records import Callback
from pyflossing.training.result import TrainingResult
from pyflossing.training.sizes import require_training_fits

CONFIG, LOG, CHECKPOINT, RESULT = "config.toml", "log.jsonl", "checkpoint.npz", "result.npz"
_FILES = (CONFIG, LOG, CHECKPOINT, RESULT)

__all__ = [
    "CHECKPOINT",
    "CONFIG",
    "LOCK",
    "LOG",
    "RESULT",
    "FolderInUse",
    "Stopped",
    "keep",
    "of_config",
    "resume",
    "train_in",
    "train_or_resume",
]

_Found = TypeVar("_Found", TrainingResult, Checkpoint)


class Stopped(Exception):
    """A run ended early because it was asked to; its checkpoint is written.

    Attributes:
        folder: of the run.
        epoch: training epochs completed.
    """

    def __init__(self, folder: Path, epoch: int) -> None:
        super().__init__(f"stopped after epoch {epoch}; pyflossing.runs.resume({str(folder)!r}) resumes it")
        self.folder = folder
        self.epoch = epoch


def train_in(
    folder: str | Path,
    config: TrainingConfig,
    callbacks: Iterable[Callback] = (),
    *,
    checkpoint_every: float = 30.0,
    stop: Callable[[], bool] = lambda: False,
    device: str | torch.device = "cpu",
) -> TrainingResult:
    """Train in a folder, which is made if it does not exist.

    Args:
        folder: of this run alone.
        config: all settings.
        callbacks: called with every record, as in :func:`pyflossing.train`.
        checkpoint_every: seconds between checkpoints; 0 for one after every update.
        stop: asked after every update; true writes a checkpoint and raises ``Stopped``.
        device: as in :func:`pyflossing.train`; no setting of the run, so it can be resumed on another one.

    Returns:
        the result, which is in the folder too.

    Raises:
        FileExistsError: the folder holds a run, or other files and no run.
        FolderInUse: another process is running in it.
        Stopped: see ``stop``.
        ValueError: an argument that is not allowed, or a run that the machine's memory cannot hold, before any work.
        OSError: a file cannot be written; what was written before stays as it is, and can be resumed.
        NonFiniteError: as in :func:`pyflossing.train`.
    """
    place, called = _checked(folder, callbacks, checkpoint_every, stop)
    require_training_fits(require_instance("config", config, (TrainingConfig,)))
    where = require_device("device", device)
    path_in_use(where)  # refused before there is a folder
    with _new_run(place, config):
        return _go_on(place, Checkpoint.of_new_run(config), called, checkpoint_every, stop, where)


def resume(
    folder: str | Path,
    callbacks: Iterable[Callback] = (),
    *,
    checkpoint_every: float = 30.0,
    stop: Callable[[], bool] = lambda: False,
    device: str | torch.device = "cpu",
) -> TrainingResult:
    """Go on with the run of a folder from its last checkpoint; the numbers are those of an uninterrupted run.

    On the same machine and device, with the same versions, they are the same bit for bit; on another device to
    rounding. A run that has ended gives its result.

    Raises:
        FileNotFoundError: the folder holds no run.
        ValueError: one of its files is damaged, or its checkpoint is of other settings than its config.toml; or memory
            cannot hold the run.
        FolderInUse, Stopped, OSError, NonFiniteError: as in :func:`train_in`.
    """
    place, called = _checked(folder, callbacks, checkpoint_every, stop)
    where = require_device("device", device)
    if not (place / CONFIG).is_file():
        raise FileNotFoundError(f"{plain(str(place))} holds no run: there is no {CONFIG} in it")
    with alone_in(place, _FILES):
        config = TrainingConfig.load(place / CONFIG)
        require_training_fits(config)
        if (place / RESULT).exists():
            return of_config(TrainingResult.load(place / RESULT), config, place / RESULT)
        if (place / CHECKPOINT).exists():
            checkpoint = of_config(Checkpoint.load(place / CHECKPOINT), config, place / CHECKPOINT)
        else:
            checkpoint = Checkpoint.of_new_run(config)
        return _go_on(place, checkpoint, called, checkpoint_every, stop, where)


def train_or_resume(
    folder: str | Path,
    config: TrainingConfig,
    callbacks: Iterable[Callback] = (),
    *,
    checkpoint_every: float = 30.0,
    stop: Callable[[], bool] = lambda: False,
    device: str | torch.device = "cpu",
) -> TrainingResult:
    """``resume`` where the folder holds a run of this configuration, ``train_in`` where it holds none.

    Raises:
        ValueError: the folder holds a run of another configuration; and as in ``resume``.
    """
    place, called = _checked(folder, callbacks, checkpoint_every, stop)
    require_instance("config", config, (TrainingConfig,))
    if not (place / CONFIG).exists():
        return train_in(place, config, called, checkpoint_every=checkpoint_every, stop=stop, device=device)
    if TrainingConfig.load(place / CONFIG) != config:
        raise ValueError(f"{plain(str(place))} holds a run of other settings")
    return resume(place, called, checkpoint_every=checkpoint_every, stop=stop, device=device)


def keep(folder: str | Path, result: TrainingResult) -> None:
    """Keep a result that was computed without a folder as a finished run in one, which is made if it does not exist.

    Raises:
        FileExistsError, FolderInUse, OSError: as in :func:`train_in`.
    """
    require_instance("result", result, (TrainingResult,))
    place = require_path("folder", folder)
    with _new_run(place, result.config):
        with writing(place / LOG):
            write_atomically(place / LOG, "".join(log_of_series(result.arrays())).encode())
        with writing(place / RESULT):
            result.save(place / RESULT)


@contextmanager
def _new_run(place: Path, config: TrainingConfig) -> Iterator[None]:
    """Alone in a folder that holds the settings and nothing else of a run."""

    def check() -> None:
        if (place / CONFIG).exists():
            raise FileExistsError(f"{plain(str(place))} holds a run already: resume it, or choose another folder")
        require_no_others(place, "run")

    check()
    with writing(place):
        place.mkdir(parents=True, exist_ok=True)
    with alone_in(place, _FILES):
        check()  # another process may have been faster
        with writing(place / CONFIG):
            config.save(place / CONFIG)
        yield


def _go_on(
    place: Path,
    checkpoint: Checkpoint,
    callbacks: tuple[Callback, ...],
    checkpoint_every: float,
    stop: Callable[[], bool],
    device: torch.device,
) -> TrainingResult:
    checkpoint.state = checkpoint.state.to(device)
    config, state, history = checkpoint.config, checkpoint.state, checkpoint.history
    started = time.perf_counter() - checkpoint.elapsed_seconds
    saved = time.monotonic()

    def save() -> None:
        checkpoint.elapsed_seconds = time.perf_counter() - started
        with writing(place / CHECKPOINT):
            checkpoint.save(place / CHECKPOINT)

    with writing(place / LOG):
        # a killed run's log may end beyond its checkpoint, or within a line
        lines = "".join(log_of_series(history.series(config)))
        write_atomically(place / LOG, lines.encode(), durable=False)  # a resumed run writes it anew
    with suitable_threads(config.n_units), (place / LOG).open("a", encoding="utf-8", buffering=1) as log:
        for record in run(config, state):
            history(record)
            with writing(place / LOG):
                log.write(log_line(record))
            for callback in callbacks:
                callback(record)
            stopping = stop()
            if stopping or time.monotonic() - saved >= checkpoint_every:
                save()
                saved = time.monotonic()
            if stopping:
                raise Stopped(place, state.epoch)
    result = history.result(config, checkpoint.initial, state.parameters, time.perf_counter() - started)
    with writing(place / RESULT):
        result.save(place / RESULT)
    (place / CHECKPOINT).unlink(missing_ok=True)
    return result


def _checked(
    folder: str | Path, callbacks: Iterable[Callback], checkpoint_every: float, stop: Callable[[], bool]
) -> tuple[Path, tuple[Callback, ...]]:
    require_seconds("checkpoint_every", checkpoint_every)
    require_callable("stop", stop)
    return require_path("folder", folder), require_callables("callbacks", callbacks)


def result_so_far(folder: Path) -> TrainingResult | None:
    """The result of a run's folder, or what its last checkpoint has of one; None before the first checkpoint.

    Raises:
        ValueError: a file is damaged, or of other settings than the folder's.
    """
    config = TrainingConfig.load(folder / CONFIG)
    if (folder / RESULT).exists():
        return of_config(TrainingResult.load(folder / RESULT), config, folder / RESULT)
    try:
        found = of_config(Checkpoint.load(folder / CHECKPOINT), config, folder / CHECKPOINT)
    except FileNotFoundError:
        return None
    return found.history.result(found.config, found.initial, found.state.parameters, found.elapsed_seconds)


def of_config(found: _Found, config: TrainingConfig, path: Path) -> _Found:
    """What a file of a run's folder holds, if it is of the folder's settings.

    Raises:
        ValueError: it is of others.
    """
    if found.config != config:
        raise ValueError(f"{plain(str(path))} is of other settings than the {CONFIG} beside it")
    return found
