"""What is known of a run from its folder, whether it has ended, runs, or was stopped; nothing is changed in it."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pyflossing.config.settings import TrainingConfig
from pyflossing.runs.folder import CHECKPOINT, CONFIG, LOCK, LOG, RESULT

State = Literal["finished", "running", "stopped"]


@dataclass(frozen=True)
class RunFolder:
    """A folder that holds a run.

    Attributes:
        folder: its path.
        config: all settings.
        state: "finished", "running" (another process holds the lock), or "stopped".
        epoch: training epochs in the log.
        flossing_epochs: flossing epochs in the log.
        last: the last line of a training epoch, empty before it.
        first_exponent: of the last flossing epoch, 1/step; None before it.
        has_checkpoint: whether it can be resumed from the middle.
    """

    folder: Path
    config: TrainingConfig
    state: State
    epoch: int
    flossing_epochs: int
    last: dict[str, Any]
    first_exponent: float | None
    has_checkpoint: bool

    @classmethod
    def read(cls, folder: Path) -> RunFolder | None:
        """The run; None if the folder holds none.

        Raises:
            ValueError: its config.toml cannot be read.
        """
        if not (folder / CONFIG).is_file():
            return None
        config = TrainingConfig.load(folder / CONFIG)
        epoch, flossing_epochs, last, exponent = 0, 0, {}, None
        for line in _lines(folder / LOG):
            if "accuracy" in line:
                epoch, last = line["epoch"], line
            else:
                flossing_epochs += 1
                exponent = line["exponents"][0]
        if (folder / RESULT).exists():
            state: State = "finished"
        else:
            state = "running" if _is_locked(folder / LOCK) else "stopped"
        found = (folder / CHECKPOINT).exists()
        return cls(folder, config, state, epoch, flossing_epochs, last, exponent, found)


def _lines(path: Path) -> list[dict[str, Any]]:
    """The log's whole lines; a killed process may have left a piece of one at the end."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    lines = []
    for line in text.splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    return lines


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
