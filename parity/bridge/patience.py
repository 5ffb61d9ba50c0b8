"""How long Julia may take for a call: time-outs that grow with the work, so that only a hang meets them."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import numpy as np

from parity.bridge import wire

FACTOR_VARIABLE = "PYFLOSSING_TIMEOUT_FACTOR"
#: Seconds for any call: other programs may hold the processors.
_LEAST = 60.0
#: A function's first call compiles: ten seconds on a slow machine, and a minute where others hold the processors.
FIRST_CALL = 5.0
#: Operations and bytes in a second. Julia does a hundred times as much on a slow machine.
_OPERATIONS, _BYTES = 1e8, 1e7
#: Operations that cost as much as the overhead of one step of one pass.
_STEP = 1000.0
_TRAINING = ("train_network", "trainSRNNflossing", "trainRNNflossing")
_N_VALUES = 33


def factor() -> float:
    """What the user multiplies all time-outs with.

    Raises:
        ValueError: the environment variable is no positive finite number.
    """
    text = os.environ.get(FACTOR_VARIABLE) or "1"
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{FACTOR_VARIABLE}={text[:100]!r} is not allowed: it must be a positive number")
    return value


def seconds_for(name: str, args: Sequence[wire.Argument]) -> float:
    """The time that a call of the reference may take, a hundred times what it should."""
    n_bytes = sum(argument.nbytes for argument in args if isinstance(argument, np.ndarray))
    return _LEAST + n_bytes / _BYTES + operations(name, args) / _OPERATIONS


def operations(name: str, args: Sequence[wire.Argument]) -> float:
    """Floating-point operations of a call, roughly and from above; 0 for what is always quick."""
    if name in _TRAINING and len(args) >= _N_VALUES:
        return _of_training(args[-_N_VALUES:])
    # A step multiplies the state by the coupling matrix and each direction of a frame as well; the inputs tell how
    # many steps there are. Everything else that is sent is small beside that.
    arrays = [argument for argument in args if isinstance(argument, np.ndarray) and argument.ndim >= 2]
    side = max((len(array) for array in arrays if array.shape[0] == array.shape[1]), default=0)
    columns = max((array.shape[1] for array in arrays if array.ndim == 2), default=0)
    return float(sum(array.size for array in arrays)) * (_STEP + 10.0 * side * max(side, columns))


def _of_training(values: Sequence[wire.Argument]) -> float:
    """The original's 33 values: an epoch is a pass over T steps of B trials, a flossing epoch one over Tp steps."""
    names = ("N", "E", "Ef", "Ei", "Ep", "Ni", "B", "S", "T", "Tp")
    try:
        p = {name: max(0.0, float(value)) for name, value in zip(names, values, strict=False)}
        n_exponents = max(0.0, float(values[29]))
    except (TypeError, ValueError, OverflowError):
        return 0.0  # such a call is refused at once
    state = 2 * p["N"]  # a spiking unit has two variables
    training = p["E"] * p["T"] * (_STEP + 10 * p["B"] * state**2)
    flossing = (p["Ep"] + p["Ni"] * p["Ei"]) * p["Tp"] * (_STEP + 10 * n_exponents * state * (state + n_exponents))
    total = training + flossing
    return total if math.isfinite(total) else 0.0
