"""Gradients of both losses, by plain autograd (``by_autograd``) and by reverse passes that are written out.

The gradients themselves are handed out by the modules alone, because each is there in both ways.
"""

from pyflossing.gradients.by_autograd import FlossingGradient, TrainingGradient
from pyflossing.gradients.functions import logarithms, trajectory

__all__ = ["FlossingGradient", "TrainingGradient", "logarithms", "trajectory"]
