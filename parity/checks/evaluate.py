"""Our numbers for a case, each with how far another correct computation may lie from it.

In Float64 the bound is 1e-9 of the largest entry (specification, section 12). In Float32 it is measured: the same
numbers are computed with units and trials in other orders, which changes the order of every sum and nothing else, and
compared with the Float64 computation of the same Float32 inputs; ten times the largest deviation is admitted, and
eight roundings of the largest entry on top, because the few deviations of a single number may all happen to be small.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from parity.checks.cases import PARAMETERS, Case
from parity.checks.comparators import Estimate, Raster
from parity.checks.model import Array, SkipCheck
from pyflossing.gradients import by_autograd as gradients
from pyflossing.gradients import flossing_pass, training_pass
from pyflossing.model import loss, spectrum
from pyflossing.model.networks import Network, SpikingNetwork, TanhNetwork

N_ORDERS = 3
FLOAT64_RELATIVE = 1e-9
SPREAD_FACTOR = 10
ROUNDINGS = 8
_PER_STEP = ("states", "readout", "margin")  # time is their last dimension
FLOAT32_CAUSE = f"{SPREAD_FACTOR} x the spread of Float32 roundings over {N_ORDERS} other orders of summation"
FLOAT64_CAUSE = f"{FLOAT64_RELATIVE:.0e} of the largest entry"


def evaluate(case: Case, dtype: str, order: int = 0) -> dict[str, Array]:
    """Everything that a case defines, by name, in Julia's shapes.

    Args:
        case: the case.
        dtype: "float32" or "float64".
        order: 0 for units and trials as they come, another number for that shuffle of them.

    Returns:
        "states" (n_states, B, T), "raster" and "margin" (N, B, T) for units with a threshold, "readout" (T, B),
        "loss", "accuracy", "gradient NAME", "exponents k=K" (K,), "flossing loss", "flossing gradient NAME".
    """
    n, trials = case.parameters["J"].shape[0], case.inputs.shape[2]
    n_states = case.network.n_states(n)
    units, batch = np.arange(n), np.arange(trials)
    if order:
        rng = np.random.default_rng(order)
        units, batch = rng.permutation(n), rng.permutation(trials)
    rows = np.concatenate([units + n * half for half in range(n_states // n)])
    chosen: dict[str, Any] = {"ws": np.ix_(units), "J": np.ix_(units, units), "wr": (slice(None), units), "b": units}
    chosen |= {"offset": slice(None), "x0": np.ix_(rows, batch)}
    p = loss.Parameters(*(_tensor(case.parameters[name][chosen[name]], dtype) for name in PARAMETERS))
    results = _of_batch(case, p, _tensor(case.inputs[:, :, batch], dtype), _tensor(case.targets[:, :, batch], dtype))
    start = _tensor(case.parameters["x0"][rows, 0], dtype)
    first = _tensor(case.inputs[:, :, 0], dtype)
    results |= _of_frame(case, p, start, _tensor(case.frame[rows], dtype), first)
    if order:
        back = {"units": np.argsort(units), "rows": np.argsort(rows), "batch": np.argsort(batch)}
        results = {name: _in_order(name, values, back) for name, values in results.items()}
    return results


def _of_batch(case: Case, p: loss.Parameters, inputs: torch.Tensor, targets: torch.Tensor) -> dict[str, Array]:
    states = loss.trajectory(case.network, p.J, p.x0, loss.drive(p.ws, p.b, inputs))
    seen = loss.readout(case.network, p.wr, p.offset, states)
    results = {"states": _array(states.permute(1, 2, 0)), "readout": _array(seen[:, 0].T)}
    distance = threshold_distance(case.network, results["states"])
    if distance is not None:
        results |= {"raster": (distance > 0).astype(np.uint8), "margin": distance}
    return results | _trained(training_pass.training_gradient, case, p, inputs, targets)


def _trained(
    function: Callable[..., gradients.TrainingGradient], case: Case, p: loss.Parameters, *data: torch.Tensor
) -> dict[str, Array]:
    trained = function(case.network, p, *data, case.first_scored_step)
    results = {"loss": np.asarray(trained.loss), "accuracy": np.asarray(trained.accuracy)}
    return results | {f"gradient {name}": _array(values) for name, values in trained.gradients._asdict().items()}


def _of_frame(
    case: Case, p: loss.Parameters, start: torch.Tensor, frame: torch.Tensor, inputs: torch.Tensor
) -> dict[str, Array]:
    u = loss.drive(p.ws, p.b, inputs[:, :, None])[:, :, 0]
    results = {
        f"exponents k={k}": _array(spectrum.spectrum(case.network, p.J, start, frame[:, :k], u, case.n_steps))
        for k in case.spectra
    }
    return results | _flossed(flossing_pass.flossing_gradient, case, p, start, frame, inputs)


def _flossed(
    function: Callable[..., gradients.FlossingGradient],
    case: Case,
    p: loss.Parameters,
    start: torch.Tensor,
    frame: torch.Tensor,
    inputs: torch.Tensor,
) -> dict[str, Array]:
    if not case.flossed:
        return {}
    flossed = function(case.network, p, start, frame[:, : case.flossed], inputs, case.n_steps, case.target)
    results = {"flossing exponents": _array(flossed.exponents), "flossing loss": np.asarray(flossed.loss)}
    return results | {f"flossing gradient {name}": _array(values) for name, values in flossed.gradients.items()}


def by_autograd(case: Case, dtype: str) -> dict[str, Array]:
    """Losses and gradients once more, by the other of the port's two ways; ``evaluate`` has them by reverse passes."""
    p = loss.Parameters(*(_tensor(case.parameters[name], dtype) for name in PARAMETERS))
    inputs, targets = _tensor(case.inputs, dtype), _tensor(case.targets, dtype)
    results = _trained(gradients.training_gradient, case, p, inputs, targets)
    frame = _tensor(case.frame, dtype)
    return results | _flossed(gradients.flossing_gradient, case, p, p.x0[:, 0], frame, inputs[:, :, 0])


def threshold_distance(network: Network, states: Array) -> Array | None:
    """How far the states (n_states, ...) lie above the threshold, (N, ...); None for units without one."""
    if isinstance(network, TanhNetwork):
        return None
    if isinstance(network, SpikingNetwork):
        above: Array = states[: len(states) // 2] - states.dtype.type(network.threshold)
        return above
    return states


def _in_order(name: str, values: Array, back: Mapping[str, Array]) -> Array:
    """Undo a shuffle."""
    units, rows, batch = back["units"], back["rows"], back["batch"]
    places: dict[str, Any] = {
        "states": np.ix_(rows, batch),
        "gradient x0": np.ix_(rows, batch),
        "raster": np.ix_(units, batch),
        "margin": np.ix_(units, batch),
        "readout": batch,
        "gradient wr": (slice(None), units),
    }
    for kind in ("gradient", "flossing gradient"):
        places |= {f"{kind} ws": units, f"{kind} b": units, f"{kind} J": np.ix_(units, units)}
    restored: Array = values[places[name]] if name in places else values
    return restored


@lru_cache(maxsize=256)
def estimates(case: Case, dtype: str) -> dict[str, Estimate | Raster]:
    """Our numbers for a case, with their bounds; the names are those of ``evaluate``."""
    ours = evaluate(case, dtype)
    if dtype == "float64":
        deviation = {name: np.zeros(values.shape) for name, values in ours.items()}
        cause = FLOAT64_CAUSE
    else:
        exact = evaluate(case, "float64")
        others = [ours, *(evaluate(case, dtype, order) for order in range(1, N_ORDERS + 1))]
        _require_one_raster([*others, exact])
        deviation = {name: largest_deviation(name, exact[name], (o[name] for o in others)) for name in ours}
        cause = FLOAT32_CAUSE
    bounds = {name: bound(values, deviation[name]) for name, values in ours.items()}
    if dtype == "float32":
        bounds["loss"] = bounds["loss"] + summation(float(np.finfo(dtype).eps), _terms(case)) * ours["loss"]
    judged: dict[str, Estimate | Raster] = {
        name: Estimate(values, bounds[name], cause + (_SUM if name == "loss" and dtype == "float32" else ""))
        for name, values in ours.items()
        if name not in ("raster", "margin")
    }
    if "raster" in ours:
        margin = np.abs(ours["margin"]).astype(np.float64)
        judged["raster"] = Raster(ours["raster"], margin, np.broadcast_to(bounds["margin"], margin.shape)[0, 0])
    share = _undecided(case, ours["readout"], bounds["readout"])
    judged["accuracy"] = Estimate(ours["accuracy"], share, _UNDECIDED)
    for name, values in by_autograd(case, dtype).items():
        judged[name + AUTOGRAD] = replace(judged[name], values=values)
    return judged


AUTOGRAD = " (autograd)"


_SUM = ", and of a sum of that many terms one after the other"
_UNDECIDED = "the share of readouts within rounding of zero"


def _undecided(case: Case, seen: Array, limit: Array) -> Array:
    """The share of scored decisions that rounding can turn: readouts (B, T) nearer to zero than their bound."""
    first = max(case.first_scored_step - 1, 0)
    scored = np.broadcast_to(limit, seen.shape)[None, :, first:]
    return np.asarray(undecided_share(seen[None, :, first:], scored, _terms(case))[0])


def _terms(case: Case) -> int:
    """By how many decisions loss and accuracy are divided."""
    steps, _, trials = case.inputs.shape
    return int(trials * (steps - case.first_scored_step + 1))


def undecided_share(seen: Array, limit: Array, terms: int) -> Array:
    """The share of ``terms`` decisions that lie nearer to zero than ``limit``, by the first dimension."""
    near: Array = np.abs(seen) <= limit
    # a quotient, and where decisions are counted otherwise its last bits
    return np.asarray(near.sum(axis=tuple(range(1, near.ndim))) / terms + 4 * np.finfo(np.float64).eps)


def summation(eps: float, terms: int) -> float:
    """Relative error of a sum of ``terms`` positive numbers, one added after the other: 10 sqrt(n) eps / 2.

    The constant of the probabilistic bound (Higham and Mary, SIAM J. Sci. Comput. 41, 2019) at 10 is never met.
    """
    return 10 * math.sqrt(terms) * eps / 2 if terms > 1 else 0.0


def largest_deviation(name: str, exact: Array, others: Iterable[Array]) -> Array:
    """Largest absolute deviation from ``exact``: up to every step where time is a dimension, else of the array."""
    distance: Array = np.max([np.abs(other.astype(np.float64) - exact) for other in others], axis=0)
    if name in _PER_STEP:
        by_step: Array = np.maximum.accumulate(distance.max(axis=tuple(range(distance.ndim - 1))))
        return by_step
    return np.asarray(distance.max(initial=0.0))


def bound(values: Array, deviation: Array) -> Array:
    """The admissible difference, from the measured deviation; see the module."""
    largest = float(np.abs(values).astype(np.float64).max(initial=0.0))
    if values.dtype == np.float64 and not np.any(deviation):
        return np.asarray(FLOAT64_RELATIVE * largest)
    return np.asarray(SPREAD_FACTOR * deviation + ROUNDINGS * float(np.finfo(np.float32).eps) * largest)


def _require_one_raster(evaluations: list[dict[str, Array]]) -> None:
    first = evaluations[0].get("raster")
    if first is None:
        return
    steps = [np.flatnonzero((e["raster"] != first).any(axis=(0, 1))) for e in evaluations[1:]]
    parted = [int(where[0]) for where in steps if where.size]
    if parted:
        raise SkipCheck(
            f"from step {min(parted) + 1} on rounding alone decides spikes: a state lies within it of the threshold"
        )


def _tensor(values: Array, dtype: str) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=dtype))


def _array(values: torch.Tensor) -> Array:
    array: Array = values.detach().numpy()
    return array
