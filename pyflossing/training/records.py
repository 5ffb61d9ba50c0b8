"""What a run tells of each update: all that the update started from, and what it led to.

Tensors lie on the device of the run; numbers, exponents and the order of the trials are Python's and numpy's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from pyflossing.model.loss import Parameters
from pyflossing.training.optimiser import AdamState


@dataclass(frozen=True)
class EpochRecord:
    """One training epoch.

    Attributes:
        epoch: from 1.
        loss, accuracy: before the update.
        gradient_norms: Euclidean norm of every array's gradient before clipping.
        trial_order: (B,), from 1.
        parameters, gradients, adam: what the update started from; not to be changed.
        updated: the parameters after it.
    """

    epoch: int
    loss: float
    accuracy: float
    gradient_norms: dict[str, float]
    trial_order: npt.NDArray[np.int64]
    parameters: Parameters
    gradients: Parameters
    adam: dict[str, AdamState]
    updated: Parameters


@dataclass(frozen=True)
class FlossingRecord:
    """One flossing epoch.

    Attributes:
        epoch: the training epoch that it precedes, from 1.
        flossing_epoch: its number within the episode, from 1.
        exponents: (k,), 1/step, before the update.
        loss: mean squared distance from the target, 1/step^2.
        parameters, gradients, adam: what the update started from; not to be changed.
    """

    epoch: int
    flossing_epoch: int
    exponents: npt.NDArray[np.float64]
    loss: float
    parameters: Parameters
    gradients: dict[str, Tensor]
    adam: dict[str, AdamState]


Record = EpochRecord | FlossingRecord
Callback = Callable[[Record], None]
