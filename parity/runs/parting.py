"""Where spikes or signs of the two languages part, and whether rounding alone can have parted them.

A unit whose state lies within rounding of its threshold spikes in one correct computation and not in another. What
follows that step cannot be compared; what comes before it must be the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from parity.bridge.connection import JuliaConnection
from parity.checks import bounds, general
from parity.checks.cases import Case, threshold_distance
from parity.checks.evaluate import FLOAT64_RELATIVE
from parity.checks.model import Array
from parity.checks.trajectory import julia_states
from parity.checks.yardstick import as_tensor
from pyflossing.model import loss
from pyflossing.model.networks import Network, TanhNetwork

_MOVING = ("ws", "J", "b", "x0")


@dataclass(frozen=True)
class Parting:
    """The first step in which spikes or signs differ.

    Attributes:
        step: from 1.
        distance: of the farthest differing state from its threshold.
        by_rounding: whether rounding can have done it.
    """

    step: int
    distance: float
    by_rounding: bool


def parting(julia: JuliaConnection, case: Case, dtype: str) -> Parting | None:
    """Where the trajectories of a case part; None if they do not, or the units have no threshold."""
    if isinstance(case.network, TanhNetwork):
        return None
    parameters = {name: as_tensor(case.parameters[name], dtype) for name in _MOVING}
    distance = margins(case.network, parameters, as_tensor(case.inputs, dtype))
    theirs = _distance(case.network, julia_states(julia, case, dtype))
    differing = (distance > 0) != (theirs > 0)
    if not differing.any():
        return None
    step = int(np.flatnonzero(differing.any(axis=(0, 1)))[0])
    here, far = differing[:, :, step], np.abs(distance[:, :, step]).astype(np.float64)
    before = replace(case, inputs=case.inputs[: step + 1])
    return Parting(step + 1, float(far[here].max()), bool(_turned_by_rounding(before, far, dtype)[here].all()))


def margins(network: Network, parameters: Mapping[str, Tensor], inputs: Tensor) -> Array:
    """How far our states lie above their threshold, (N, B, T), under inputs (T, S, B)."""
    ws, J, b, x0 = (parameters[name] for name in _MOVING)
    states = loss.trajectory(network, J, x0, loss.drive(ws, b, inputs))
    return _distance(network, states.permute(1, 2, 0).numpy())


def _turned_by_rounding(case: Case, far: Array, dtype: str) -> Array:
    """Which units (N, B) rounding can have turned in a case's last step, where states lie so far from the threshold."""
    largest = float(far.max(initial=0.0))
    if dtype == "float64":
        return far <= FLOAT64_RELATIVE * largest
    single, double = _margins_of_copies(case)
    if _differ(single[..., :-1], double[..., :-1]):
        return np.ones_like(far, dtype=bool)  # so do copies that differ by two roundings, and before
    above = np.concatenate([single, double])[..., -1] > 0
    rms = bounds.rms(bounds.deviations(single[..., -1], double[..., -1]))
    within: Array = far <= bounds.admitted(rms, rms, largest, float(np.finfo(np.float32).eps))
    return np.asarray(within | (above != above[0]).any(axis=0))


def copies_part(case: Case) -> bool:
    """Whether copies of a case that are nudged by two roundings have different spikes or signs."""
    return not isinstance(case.network, TanhNetwork) and _differ(*_margins_of_copies(case))


def _margins_of_copies(case: Case) -> tuple[Array, Array]:
    """How far states lie above their threshold in nudged copies, (copies, N, B, T), in Float32 and in Float64."""
    rng = np.random.default_rng(0)
    copies = {name: bounds.nudged(case.parameters[name], rng) for name in _MOVING}
    found = []
    for kind in ("float32", "float64"):
        ws, J, b, x0 = (as_tensor(copies[name], kind) for name in _MOVING)
        drive = ws[:, None] @ as_tensor(case.inputs, kind) / ws.shape[-1] + b[:, None, :, None]
        states = general.trajectory(case.network, J, x0, drive).permute(0, 2, 3, 1).numpy()
        found.append(np.stack([_distance(case.network, copy) for copy in states]))
    return found[0], found[1]


def _differ(*margins: Array) -> bool:
    rasters = np.concatenate([of > 0 for of in margins])
    return bool((rasters != rasters[0]).any())


def _distance(network: Network, states: Array) -> Array:
    found = threshold_distance(network, states)
    assert found is not None
    return found
