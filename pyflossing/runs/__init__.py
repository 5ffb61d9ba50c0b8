"""Runs in folders of their own, that can be stopped at any moment and resumed bit for bit."""

from pyflossing._support.folders import FolderInUse
from pyflossing.runs.checkpoints import Checkpoint
from pyflossing.runs.folder import CHECKPOINT, CONFIG, LOG, RESULT, Stopped, keep, resume, train_in, train_or_resume

__all__ = [
    "CHECKPOINT",
    "CONFIG",
    "LOG",
    "RESULT",
    "Checkpoint",
    "FolderInUse",
    "Stopped",
    "keep",
    "resume",
    "train_in",
    "train_or_resume",
]
