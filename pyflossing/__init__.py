"""pyflossing: (surrogate) gradient flossing in Python, number for number the Julia original.

``generateInputOutput`` keeps the original's name and argument order; the typed API stands beside it.
"""

from pyflossing.legacy import generateInputOutput
from pyflossing.tasks import DelayedCopy, DelayedXOR, TaskData
from pyflossing.weights import WeightDistribution, Weights, initial_weights

__version__ = "0.1.0"

__all__ = [
    "DelayedCopy",
    "DelayedXOR",
    "TaskData",
    "WeightDistribution",
    "Weights",
    "generateInputOutput",
    "initial_weights",
]
