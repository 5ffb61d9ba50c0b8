"""What is computed: networks with their surrogates, weights, tasks, loss, Lyapunov spectrum."""

from typing import TYPE_CHECKING

from pyflossing._support.lazy import lazily

if TYPE_CHECKING:
    from pyflossing.model.loss import Parameters
    from pyflossing.model.networks import BinaryNetwork, Network, SpikingNetwork, TanhNetwork
    from pyflossing.model.spectrum import flossing_loss
    from pyflossing.model.surrogates import Surrogate
    from pyflossing.model.tasks import DelayedCopy, DelayedXOR, TaskData
    from pyflossing.model.weights import WeightDistribution, Weights, initial_weights
else:
    __getattr__, __dir__ = lazily(
        __name__,
        loss=("Parameters",),
        networks=("BinaryNetwork", "Network", "SpikingNetwork", "TanhNetwork"),
        spectrum=("flossing_loss",),
        surrogates=("Surrogate",),
        tasks=("DelayedCopy", "DelayedXOR", "TaskData"),
        weights=("WeightDistribution", "Weights", "initial_weights"),
    )

# fmt: off
__all__ = [
    "BinaryNetwork", "DelayedCopy", "DelayedXOR", "Network", "Parameters", "SpikingNetwork", "Surrogate", "TanhNetwork",
    "TaskData", "WeightDistribution", "Weights", "flossing_loss", "initial_weights",
]
