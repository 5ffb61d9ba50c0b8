"""The initial state: 100 steps without input, and how far two correct computations of it may lie apart."""

from __future__ import annotations

import numpy as np
import torch

from parity.checks.comparators import Estimate
from parity.checks.evaluate import FLOAT32_CAUSE, FLOAT64_CAUSE, N_ORDERS, bound, largest_deviation
from parity.checks.model import Array, SkipCheck
from pyflossing.model import loss
from pyflossing.model.networks import Network

_PARTED = 1e-3


def relaxed(network: Network, J: Array, b: Array, normals: Array, dtype: str) -> Estimate:
    """Our initial state (n_states, B) from normal numbers (N, B), with its bound as in ``evaluate``.

    Raises:
        SkipCheck: rounding alone decides a spike or sign on the way, so that two computations need not agree.
    """
    ours = _relax(network, J, b, normals, dtype)
    if dtype == "float64":
        return Estimate(ours, bound(ours, np.zeros(())), FLOAT64_CAUSE)
    exact = _relax(network, J, b, normals, "float64")
    others = [ours, *(_relax(network, J, b, normals, dtype, order) for order in range(1, N_ORDERS + 1))]
    deviation = largest_deviation("x0", exact, others)
    if deviation > _PARTED * np.abs(exact).max():
        raise SkipCheck("rounding alone decides spikes during the relaxation: a state lies within it of the threshold")
    return Estimate(ours, bound(ours, deviation), FLOAT32_CAUSE)


def _relax(network: Network, J: Array, b: Array, normals: Array, dtype: str, order: int = 0) -> Array:
    """The state, computed with the units in another order where ``order`` is not 0."""
    n = len(b)
    units = np.random.default_rng(order).permutation(n) if order else np.arange(n)
    j, bias, start = (
        torch.from_numpy(np.ascontiguousarray(array, dtype=dtype))
        for array in (J[np.ix_(units, units)], b[units], normals[units])
    )
    state: Array = loss.relax(network, j, bias, start).numpy()
    back = np.argsort(units)
    rows = np.concatenate([back + n * half for half in range(len(state) // n)])
    restored: Array = state[rows]
    return restored
