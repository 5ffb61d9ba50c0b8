"""Checks of Adam's updates against our Julia, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch

from parity.bridge.connection import JuliaConnection
from parity.checks.comparators import Estimate
from parity.checks.model import Array, Arrays, Check, Level, Provenance
from pyflossing.julia_random import MersenneTwister
from pyflossing.training import optimiser

CLIP = float(np.float32(0.03))


def checks() -> Iterator[Check]:
    """Updates in both types, and clipped ones."""
    yield _check(
        "step/live/adam_update_float32",
        "one Adam update of Float32 arrays, without clipping",
        partial(_updates, "float32"),
        partial(_julia_updates, "float32"),
        level=Level.EXACT,
    )
    yield _check(
        "step/live/adam_update_float64",
        "one Adam update of Float64 arrays, without clipping",
        partial(_bounded_updates, "float64", None),
        partial(_julia_updates, "float64"),
    )
    yield _check(
        "step/live/clipping",
        "one clipped Adam update",
        partial(_bounded_updates, "float32", CLIP),
        _julia_clipped_updates,
    )


def _check(name: str, quantity: str, ours: Any, theirs: Any, level: Level = Level.STEP) -> Check:
    return Check(name, quantity, Provenance.OUR_JULIA, ours, theirs, level=level)


def tensors(*arrays: Array) -> tuple[torch.Tensor, ...]:
    return tuple(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays)


_RATES = ((0.001, 0.9, 0.999), (0.0021, 0.8, 0.95))
_UPDATES = ((1, "float64"), (1, "same"), (2, "float64"), (7, "same"), (100, "float64"), (300, "same"))


def _update_inputs(dtype: str, t: int, kind: str) -> tuple[Array, Array, Array, Array]:
    """A parameter, a gradient of the kind given, and the two moments; some gradients tiny, so that epsilon counts."""
    rng = MersenneTwister(t)
    x, m, g, spread = (rng.randn((30, 7), np.float64) for _ in range(4))
    x, m, g = x.astype(dtype), m.astype(dtype), np.ldexp(g, -(rng.rand((30, 7), np.uint64) % 31).astype(np.int64))
    v = np.square((spread * g).astype(dtype))
    return x, g.astype("float64" if kind == "float64" else dtype), (m * g).astype(dtype), v


_Rates = tuple[float, float, float]
_UpdateInputs = tuple[Array, Array, Array, Array]  # x, G, m, v


def _update_cases(dtype: str) -> Iterator[tuple[str, _Rates, int, _UpdateInputs]]:
    for rates in _RATES:
        for t, kind in _UPDATES:
            yield f"t={t} {kind} gradient, b1={rates[1]}", rates, t, _update_inputs(dtype, t, kind)


def adam(arrays: _UpdateInputs, t: int, rates: _Rates) -> dict[str, Array]:
    """Our update number ``t`` of a parameter by its gradient and moments, unclipped."""
    x, g, m, v = tensors(*arrays)
    ours = optimiser.Rates(float(np.float32(rates[0])), rates[1], rates[2])
    updated, after = optimiser.adam_update(x, g, adam_state(m, v, t, ours), ours)
    return {"x": updated.numpy(), "m": after.m.numpy(), "v": after.v.numpy()}


def adam_state(m: torch.Tensor, v: torch.Tensor, t: int, rates: optimiser.Rates) -> optimiser.AdamState:
    """Our memory of an array before update number ``t`` (from 1), with the moments given."""
    state = _after(t - 1, rates)
    return optimiser.AdamState(m, v, state.power1, state.power2)


@lru_cache(maxsize=8192)
def _after(updates: int, rates: optimiser.Rates) -> optimiser.AdamState:
    """Our memory of an empty array: the powers of the rates are running products, each from the one before."""
    empty = torch.zeros(0)
    if updates == 0:
        return optimiser.AdamState.fresh(empty, rates)
    return optimiser.adam_update(empty, empty, _after(updates - 1, rates), rates)[1]


def _updates(dtype: str) -> Arrays:
    results: dict[str, Array] = {}
    for title, rates, t, arrays in _update_cases(dtype):
        results |= {f"{title}: {name}": values for name, values in adam(arrays, t, rates).items()}
    return results


def _julia_updates(dtype: str, julia: JuliaConnection) -> Arrays:
    results: dict[str, Any] = {}
    for title, rates, t, arrays in _update_cases(dtype):
        answer = julia.call("adam_update", *arrays, t, *rates, float("inf"))
        assert isinstance(answer, dict)
        results |= {f"{title}: {name}": values for name, values in answer.items()}
    return results


UPDATE_CAUSE = "one ulp, and 16 roundings of Float64 in the terms: norms and square roots may differ in the last bit"


def update_bound(part: str, before: Array, after: Array) -> Array:
    """How far two Float64 computations of an update may lie apart, from an array before and after it.

    The terms of m are at most |m before| + |m after|, those of v are positive, and x changes by the step.
    """
    before, now = before.astype(np.float64), after.astype(np.float64)
    terms = np.abs(now - before) if part == "x" else np.abs(now) + np.abs(before)
    bound: Array = np.spacing(np.abs(after)).astype(np.float64) + 16 * np.finfo(np.float64).eps * terms
    return bound


def _bounded_updates(dtype: str, clip: float | None) -> Arrays:
    results = {}
    for title, rates, t, (x, g, m, v) in _update_cases(dtype):
        wide = g if clip is None else optimiser.clip(torch.from_numpy(g.astype(np.float64)), clip).numpy()
        for name, values in adam((x, wide, m, v), t, rates).items():
            bound = update_bound(name, {"x": x, "m": m, "v": v}[name], values)
            results[f"{title}: {name}"] = Estimate(values, bound, UPDATE_CAUSE)
    return results


def _julia_clipped_updates(julia: JuliaConnection) -> Arrays:
    results: dict[str, Any] = {}
    for title, rates, t, (x, g, m, v) in _update_cases("float32"):
        answer = julia.call("adam_update", x, g.astype(np.float64), m, v, t, *rates, CLIP)
        assert isinstance(answer, dict)
        results |= {f"{title}: {name}": values for name, values in answer.items()}
    return results
