"""pyflossing: (surrogate) gradient flossing in Python, number for number the Julia original.

``trainSRNNflossing``, ``trainRNNflossing`` and ``generateInputOutput`` keep the original's names and argument orders;
``train(TrainingConfig(...))`` is the typed API beside them. ``lyapunov_spectrum`` and ``floss`` do the same for
anybody's own torch module.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pyflossing.legacy.task import generateInputOutput
from pyflossing.model.tasks import DelayedCopy, DelayedXOR, TaskData
from pyflossing.model.weights import WeightDistribution, Weights, initial_weights

if TYPE_CHECKING:
    from pyflossing._support.errors import NonFiniteError
    from pyflossing.config import (
        Adam,
        AdaptiveSchedule,
        Flossing,
        FlossingSchedule,
        Seeds,
        TrainingConfig,
        Trials,
    )
    from pyflossing.legacy.training import trainRNNflossing, trainSRNNflossing
    from pyflossing.model.networks import BinaryNetwork, SpikingNetwork, TanhNetwork
    from pyflossing.model.spectrum import flossing_loss
    from pyflossing.model.surrogates import Surrogate
    from pyflossing.modules.check import check_jacobian
    from pyflossing.modules.flossing import floss
    from pyflossing.modules.lyapunov import lyapunov_spectrum
    from pyflossing.modules.result import LyapunovSpectrum
    from pyflossing.training import train
    from pyflossing.training.ensemble import train_ensemble
    from pyflossing.training.result import TrainingResult

__version__ = "0.1.0"

__all__ = [
    "Adam",
    "AdaptiveSchedule",
    "BinaryNetwork",
    "DelayedCopy",
    "DelayedXOR",
    "Flossing",
    "FlossingSchedule",
    "LyapunovSpectrum",
    "NonFiniteError",
    "Seeds",
    "SpikingNetwork",
    "Surrogate",
    "TanhNetwork",
    "TaskData",
    "TrainingConfig",
    "TrainingResult",
    "Trials",
    "WeightDistribution",
    "Weights",
    "check_jacobian",
    "floss",
    "flossing_loss",
    "generateInputOutput",
    "initial_weights",
    "lyapunov_spectrum",
    "train",
    "trainRNNflossing",
    "trainSRNNflossing",
    "train_ensemble",
]

# What needs torch is loaded at first use: streams, tasks and weights do without its seconds of start-up.
_HOME = {
    "Adam": "config.settings",
    "AdaptiveSchedule": "config.schedule",
    "BinaryNetwork": "model.networks",
    "Flossing": "config.settings",
    "FlossingSchedule": "config.schedule",
    "LyapunovSpectrum": "modules.result",
    "NonFiniteError": "_support.errors",
    "Seeds": "config.settings",
    "SpikingNetwork": "model.networks",
    "Surrogate": "model.surrogates",
    "TanhNetwork": "model.networks",
    "TrainingConfig": "config.settings",
    "TrainingResult": "training.result",
    "Trials": "config.settings",
    "check_jacobian": "modules.check",
    "floss": "modules.flossing",
    "flossing_loss": "model.spectrum",
    "lyapunov_spectrum": "modules.lyapunov",
    "train": "training.loop",
    "train_ensemble": "training.ensemble",
    "trainRNNflossing": "legacy.training",
    "trainSRNNflossing": "legacy.training",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
