"""The settings of a run, their file, their template, and the original's 33 parameters."""

from pyflossing.config.schedule import AdaptiveSchedule, FlossingSchedule
from pyflossing.config.settings import Adam, Flossing, Seeds, TrainingConfig, Trials

__all__ = ["Adam", "AdaptiveSchedule", "Flossing", "FlossingSchedule", "Seeds", "TrainingConfig", "Trials"]
