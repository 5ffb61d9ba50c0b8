"""Training with flossing: the loop, its optimiser, and what it gives back."""

from pyflossing.training.loop import EpochRecord, FlossingRecord, Record, train

__all__ = ["EpochRecord", "FlossingRecord", "Record", "train"]
