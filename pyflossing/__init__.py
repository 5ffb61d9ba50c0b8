"""pyflossing: (surrogate) gradient flossing in Python, checked against the Julia original number by number.

``trainSRNNflossing``, ``trainRNNflossing`` and ``generateInputOutput`` keep the original's names and argument orders;
``train(TrainingConfig(...))`` is the typed API beside them. ``lyapunov_spectrum`` and ``floss`` do the same for
anybody's own torch module.
"""

from typing import TYPE_CHECKING

from pyflossing._support.lazy import lazily
from pyflossing._support.version import __version__

if TYPE_CHECKING:
    from pyflossing._support import DamagedFileError, NonFiniteError
    from pyflossing.config import Adam, AdaptiveSchedule, Flossing, FlossingSchedule, Seeds, TrainingConfig, Trials
    from pyflossing.legacy import generateInputOutput, trainRNNflossing, trainSRNNflossing
    from pyflossing.model import (
        BinaryNetwork,
        DelayedCopy,
        DelayedXOR,
        SpikingNetwork,
        Surrogate,
        TanhNetwork,
        TaskData,
        WeightDistribution,
        Weights,
        flossing_loss,
        initial_weights,
    )
    from pyflossing.modules import LyapunovSpectrum, check_jacobian, finite_time_exponents, floss, lyapunov_spectrum
    from pyflossing.training import TrainingResult, train, train_ensemble
else:
    # loaded at first use: streams, tasks and weights do without torch and its seconds of start-up
    __getattr__, __dir__ = lazily(
        __name__,
        _support=("DamagedFileError", "NonFiniteError"),
        config=("Adam", "AdaptiveSchedule", "Flossing", "FlossingSchedule", "Seeds", "TrainingConfig", "Trials"),
        legacy=("generateInputOutput", "trainRNNflossing", "trainSRNNflossing"),
        model=(
            "BinaryNetwork",
            "DelayedCopy",
            "DelayedXOR",
            "SpikingNetwork",
            "Surrogate",
            "TanhNetwork",
            "TaskData",
            "WeightDistribution",
            "Weights",
            "flossing_loss",
            "initial_weights",
        ),
        modules=("LyapunovSpectrum", "check_jacobian", "finite_time_exponents", "floss", "lyapunov_spectrum"),
        training=("TrainingResult", "train", "train_ensemble"),
    )

__all__ = [
    "Adam",
    "AdaptiveSchedule",
    "BinaryNetwork",
    "DamagedFileError",
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
    "__version__",
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
