"""The settings of a run, their tables and template, and the original's 33 parameters."""

from pyflossing.config.legacy import LEGACY_PARAMETERS, LegacyParameter
from pyflossing.config.schedule import AdaptiveSchedule, FlossingSchedule
from pyflossing.config.sections import Adam, Flossing, Seeds, Trials
from pyflossing.config.settings import TrainingConfig

__all__ = [
    "LEGACY_PARAMETERS",
    "Adam",
    "AdaptiveSchedule",
    "Flossing",
    "FlossingSchedule",
    "LegacyParameter",
    "Seeds",
    "TrainingConfig",
    "Trials",
]
