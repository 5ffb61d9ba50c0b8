"""The task generator under the original's name and argument order, a thin adapter over the typed tasks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pyflossing._support.arguments import FieldError, require_float32, require_integer
from pyflossing.model.tasks import task_from_number

_NAMES = {"batch_size": "B", "n_steps": "T", "n_channels": "S"}


def generateInputOutput(
    B: int,
    T: int,
    seedInput: int,
    S: int,
    sigma: float,
    delay: int,
    task: int,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Random input and target of B trials, as the original's function of the same name.

    Args:
        B: trials.
        T: steps per trial.
        seedInput: seed of Xoroshiro128Star, any 64-bit integer but 0.
        S: input channels; only 1, since the original's target has one channel.
        sigma: input amplitude.
        delay: in steps; at least 1 for an XOR task.
        task: 0 copies the input; +-h is the XOR of 2^h delayed inputs.

    Returns:
        s of shape (T, S, B) and target of shape (T, 1, B), both Float32.

    Raises:
        ValueError: any argument out of range, naming it.
    """
    batch = require_integer("B", B, minimum=1)
    steps = require_integer("T", T, minimum=1)
    channels = require_integer("S", S, minimum=1)
    if channels > 1:
        raise FieldError(
            "S",
            channels,
            "the original's target has one channel, so S must be 1"
            " (DelayedXOR(...).generate and DelayedCopy(...).generate take n_channels)",
        )
    seed = require_integer("seedInput", seedInput, -(2**63), 2**63 - 1)
    if seed == 0:
        raise FieldError("seedInput", 0, "it must be any 64-bit integer but 0")
    amplitude = require_float32("sigma", sigma)
    try:
        data = task_from_number(task, delay).generate(batch, steps, seed, n_channels=channels, amplitude=amplitude)
    except FieldError as error:
        raise FieldError(_NAMES.get(error.field, error.field), error.value, error.allowed) from None
    return data.inputs, data.targets
