"""Runs in folders of their own, that can be stopped at any moment and resumed bit for bit."""

from pyflossing.runs.folder import FolderInUse, Stopped, keep, resume, train_in, train_or_resume

__all__ = ["FolderInUse", "Stopped", "keep", "resume", "train_in", "train_or_resume"]
