"""What is known of a run from its folder, whether it has ended, runs, or was stopped; nothing is changed in it."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pyflossing.config.settings import TrainingConfig
from pyflossing.runs.folder import CHECKPOINT, CONFIG, LOCK, LOG, RESULT
from pyflossing.runs.log import Log, read_log

State = Literal["finished", "running", "stopped"]


@dataclass(frozen=True)
class RunFolder:
    """A folder that holds a run.

    Attributes:
        folder: its path.
        config: all settings.
        state: "finished", "running" (another process holds the lock), or "stopped".
        log: what its log tells.
        has_checkpoint: whether it can be resumed from the middle.
    """

    folder: Path
    config: TrainingConfig
    state: State
    log: Log
    has_checkpoint: bool

    @classmethod
    def read(cls, folder: Path) -> RunFolder | None:
        """The run; None if the folder holds none.

        Raises:
            OSError, ValueError: its config.toml or its log cannot be read.
        """
        if not (folder / CONFIG).is_file():
            return None
        config = TrainingConfig.load(folder / CONFIG)
        try:
            log = read_log(folder / LOG, config)
        except FileNotFoundError:
            log = Log()
        if (folder / RESULT).exists():
            state: State = "finished"
        else:
            state = "running" if _is_locked(folder / LOCK) else "stopped"
        found = (folder / CHECKPOINT).exists()
        return cls(folder, config, state, log, found)


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would be waited for
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
