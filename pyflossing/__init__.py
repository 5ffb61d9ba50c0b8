"""pyflossing: (surrogate) gradient flossing in Python, number for number the Julia original.

``trainSRNNflossing``, ``trainRNNflossing`` and ``generateInputOutput`` keep the original's names and argument orders;
``train(TrainingConfig(...))`` is the typed API beside them. ``lyapunov_spectrum`` and ``floss`` do the same for
anybody's own torch module.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pyflossing.legacy_task import generateInputOutput
from pyflossing.tasks import DelayedCopy, DelayedXOR, TaskData
from pyflossing.weights import WeightDistribution, Weights, initial_weights

if TYPE_CHECKING:
    from pyflossing.config import (
        Adam,
        AdaptiveSchedule,
        Flossing,
        FlossingSchedule,
        Seeds,
        TrainingConfig,
        Trials,
    )
    from pyflossing.ensemble import train_ensemble
    from pyflossing.errors import NonFiniteError
    from pyflossing.legacy import trainRNNflossing, trainSRNNflossing
    from pyflossing.modules.check import check_jacobian
    from pyflossing.modules.finite_time import finite_time_exponents
    from pyflossing.modules.flossing import floss
    from pyflossing.modules.lyapunov import lyapunov_spectrum
    from pyflossing.modules.result import LyapunovSpectrum
    from pyflossing.networks import BinaryNetwork, SpikingNetwork, TanhNetwork
    from pyflossing.results import TrainingResult
    from pyflossing.spectrum import flossing_loss
    from pyflossing.surrogates import Surrogate
    from pyflossing.training import train

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
    "finite_time_exponents",
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
    "Adam": "config",
    "AdaptiveSchedule": "config",
    "BinaryNetwork": "networks",
    "Flossing": "config",
    "FlossingSchedule": "config",
    "LyapunovSpectrum": "modules.result",
    "NonFiniteError": "errors",
    "Seeds": "config",
    "SpikingNetwork": "networks",
    "Surrogate": "surrogates",
    "TanhNetwork": "networks",
    "TrainingConfig": "config",
    "TrainingResult": "results",
    "Trials": "config",
    "check_jacobian": "modules.check",
    "finite_time_exponents": "modules.finite_time",
    "floss": "modules.flossing",
    "flossing_loss": "spectrum",
    "lyapunov_spectrum": "modules.lyapunov",
    "train": "training",
    "train_ensemble": "ensemble",
    "trainRNNflossing": "legacy",
    "trainSRNNflossing": "legacy",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
