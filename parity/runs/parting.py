"""Where spikes or signs of the two languages part, and whether rounding alone can have parted them.

A unit whose state lies within rounding of its threshold spikes in one correct computation and not in another. What
follows that step cannot be compared; what comes before it must be the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from parity.bridge.connection import JuliaConnection
from parity.checks import bounds, general
from parity.checks.cases import Case, threshold_distance
from parity.checks.evaluate import FLOAT64_RELATIVE
from parity.checks.model import Array
from parity.checks.trajectory import julia_states
from parity.checks.yardstick import as_tensor
from pyflossing.model import loss
from pyflossing.model.networks import TanhNetwork

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
    ws, J, b, x0 = (as_tensor(case.parameters[name], dtype) for name in _MOVING)
    drive = loss.drive(ws, b, as_tensor(case.inputs, dtype))
    ours = loss.trajectory(case.network, J, x0, drive).permute(1, 2, 0).numpy()
    distance, theirs = (_distance(case, states) for states in (ours, julia_states(julia, case, dtype)))
    differing = (distance > 0) != (theirs > 0)
    if not differing.any():
        return None
    step = int(np.flatnonzero(differing.any(axis=(0, 1)))[0])
    farthest = float(np.abs(distance[:, :, step][differing[:, :, step]]).max())
    before = replace(case, inputs=case.inputs[: step + 1])
    return Parting(step + 1, farthest, farthest <= _rounding(before, ours[:, :, : step + 1], dtype))


def _rounding(case: Case, ours: Array, dtype: str) -> float:
    """How far rounding can move a state's distance from its threshold by the case's last step."""
    largest = float(np.abs(ours[:, :, -1]).max(initial=0.0))
    if dtype == "float64":
        return FLOAT64_RELATIVE * largest
    single, double = _margins_of_copies(case)
    if _differ(single, double):
        return np.inf  # so do copies that differ by two roundings
    rms = bounds.rms(bounds.deviations(single, double))
    return float(bounds.admitted(rms, rms, largest, float(np.finfo(np.float32).eps)))


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
        found.append(np.stack([_distance(case, copy) for copy in states]))
    return found[0], found[1]


def _differ(*margins: Array) -> bool:
    rasters = np.concatenate([of > 0 for of in margins])
    return bool((rasters != rasters[0]).any())


def _distance(case: Case, states: Array) -> Array:
    found = threshold_distance(case.network, states)
    assert found is not None
    return found
