"""The initial state: 100 steps without input, and how far two correct computations of it may lie apart."""

from __future__ import annotations

import numpy as np

from parity.checks import bounds, general
from parity.checks.comparators import Estimate
from parity.checks.evaluate import float64_estimate
from parity.checks.model import Array, SkipCheck
from parity.checks.yardstick import as_tensor
from pyflossing.model import loss
from pyflossing.model.networks import Network

_PARTED = 1e-3


def relaxed(network: Network, J: Array, b: Array, normals: Array, dtype: str) -> Estimate:
    """Our initial state (n_states, B) from normal numbers (N, B), with its bound as in ``evaluate``.

    Raises:
        SkipCheck: rounding alone decides a spike or sign on the way, so that two computations need not agree.
    """
    ours: Array = loss.relax(network, *(as_tensor(array, dtype) for array in (J, b, normals))).numpy()
    if dtype == "float64":
        return float64_estimate(ours)
    rng = np.random.default_rng(0)
    copies = [bounds.nudged(array, rng) for array in (J, b, normals)]
    single, double = (
        general.relaxed(network, *(as_tensor(array, kind) for array in copies)).numpy() for kind in (dtype, "float64")
    )
    deviations = bounds.deviations(single, double)
    if deviations.max() > _PARTED * np.abs(double).max():
        raise SkipCheck("rounding alone decides spikes during the relaxation: a state lies within it of the threshold")
    return bounds.estimate(ours, bounds.rms(deviations))
