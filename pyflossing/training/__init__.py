"""Training with flossing: the loop and its epochs, the optimiser, what is recorded and given back."""

from pyflossing.training.ensemble import train_ensemble
from pyflossing.training.epochs import Method
from pyflossing.training.loop import run, train
from pyflossing.training.progress import Progress
from pyflossing.training.records import Callback, EpochRecord, FlossingRecord, Record
from pyflossing.training.result import TrainingResult
from pyflossing.training.state import TrainingState, initial_parameters, initial_state
from pyflossing.training.trial_spectra import trial_spectra

__all__ = [
    "Callback",
    "EpochRecord",
    "FlossingRecord",
    "Method",
    "Progress",
    "Record",
    "TrainingResult",
    "TrainingState",
    "initial_parameters",
    "initial_state",
    "run",
    "train",
    "train_ensemble",
    "trial_spectra",
]
