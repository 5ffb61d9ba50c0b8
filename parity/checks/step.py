"""Checks of single operations against our Julia: surrogates, one step, one Jacobian, one frame; updates beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from parity.bridge.connection import JuliaConnection
from parity.checks import updates
from parity.checks.cases import NETWORKS, PARAMETERS, SIZES, NetworkUnderTest, Size, case, julia_network
from parity.checks.comparators import Estimate
from parity.checks.evaluate import AUTOGRAD
from parity.checks.model import Array, Arrays, Check, Level, Provenance
from parity.checks.updates import tensors
from pyflossing.gradients import training_pass
from pyflossing.julia_random import MersenneTwister
from pyflossing.model import loss, spectrum
from pyflossing.model.networks import BinaryNetwork, Network, SpikingNetwork, TanhNetwork
from pyflossing.model.surrogates import SURROGATE_NAMES, Surrogate

DTYPES = ("float32", "float64")
_SHARPNESSES = (0.3, 1.0, 10.0)
_ROUNDINGS = 8
"""Admitted in a formula of a few operations; a library's tanh or exp counts as two."""


def checks(networks: Sequence[NetworkUnderTest] = NETWORKS, sizes: Sequence[Size] = SIZES) -> Iterator[Check]:
    """All checks of single operations."""
    for name in SURROGATE_NAMES:
        yield _check(
            f"step/live/surrogate_{name}",
            f"surrogate derivative {name} and its slope, on a grid with 0, huge and tiny distances",
            partial(_surrogates, name),
            partial(_julia_surrogates, name),
        )
    for under_test in networks:
        for what, ours, theirs in (("step", _steps, _julia_steps), ("jacobian", _jacobians, _julia_jacobians)):
            yield _check(
                f"step/live/{under_test.title}_{what}",
                f"{under_test.network.kind} network: one {what.replace('jacobian', 'Jacobian applied to directions')}",
                partial(ours, under_test, sizes),
                partial(theirs, under_test, sizes),
            )
    yield from updates.checks()
    yield _check(
        "step/live/undecided",
        "loss and accuracy where the readout is exactly zero",
        _undecided,
        _julia_undecided,
    )
    yield _check("step/live/frame", "orthonormal frame: normals, and their Q factor", _frames, _julia_frames)


def _check(name: str, quantity: str, ours: Any, theirs: Any, level: Level = Level.STEP) -> Check:
    return Check(name, quantity, Provenance.OUR_JULIA, ours, theirs, level=level)


def _eps(array: Array) -> float:
    return float(np.finfo(array.dtype).eps)


def _grid(dtype: str) -> Array:
    tiny = float(np.finfo(dtype).tiny)
    special = [0.0, -0.0, tiny, -tiny, 1e-5, 1.0, -1.0, 30.0, -88.0, 1e4, -1e15]
    return np.concatenate([np.linspace(-4, 4, 161), special]).astype(dtype)


def _surrogates(name: str) -> Arrays:
    results = {}
    for dtype in DTYPES:
        for sharpness in _SHARPNESSES:
            (v,) = tensors(_grid(dtype))
            values = Surrogate(name, sharpness).derivative(v).numpy()
            bound = np.asarray(_ROUNDINGS * _eps(values))
            results[f"{dtype} sharpness {sharpness}"] = Estimate(values, bound, f"{_ROUNDINGS} roundings of the peak 1")
            slopes = Surrogate(name, sharpness).slope(v).numpy()
            steepest = 2 * sharpness  # no surrogate of peak 1 rises faster
            cause = f"{_ROUNDINGS} roundings of twice the sharpness"
            results[f"{dtype} sharpness {sharpness}: slope"] = Estimate(slopes, bound * steepest, cause)
    return results


def _julia_surrogates(name: str, julia: JuliaConnection) -> Arrays:
    results: dict[str, Any] = {}
    for dtype in DTYPES:
        for sharpness in _SHARPNESSES:
            title, arguments = f"{dtype} sharpness {sharpness}", (name, sharpness, _grid(dtype))
            results[title] = julia.call("surrogate_derivative", *arguments)
            results[f"{title}: slope"] = julia.call("surrogate_slope", *arguments)
    return results


def _inputs(under_test: NetworkUnderTest, size: Size, dtype: str) -> tuple[Array, Array, Array, Array]:
    """J, a state with spikes and one entry on the threshold, an input u, directions."""
    of = case(under_test, size)
    x = 2 * of.parameters["x0"]
    x[0, 0] = getattr(under_test.network, "threshold", 0.0)
    u = of.parameters["ws"][:, :1] * of.inputs[0, 0] + of.parameters["b"][:, None]
    return tuple(array.astype(dtype) for array in (of.parameters["J"], x, u, of.frame))  # type: ignore[return-value]


def _each(networks: NetworkUnderTest, sizes: Sequence[Size]) -> Iterator[tuple[str, tuple[Array, Array, Array, Array]]]:
    for size in sizes:
        for dtype in DTYPES:
            yield f"{dtype} {size}", _inputs(networks, size, dtype)


def _steps(under_test: NetworkUnderTest, sizes: Sequence[Size]) -> Arrays:
    results = {}
    for title, (j, x, u, _) in _each(under_test, sizes):
        values = under_test.network.step(*tensors(x, u, j)).numpy()
        bound = _eps(j) * (len(j) + _ROUNDINGS) * _step_magnitude(under_test.network, x, u, j)
        results[title] = Estimate(values, bound, "eps (N + 8) times the same sum of magnitudes")
    return results


def _step_magnitude(network: Network, x: Array, u: Array, j: Array) -> Array:
    """The step with every product and sum replaced by that of magnitudes: what a running error bound multiplies."""
    x, u, j = (np.abs(array).astype(np.float64) for array in (x, u, j))
    if isinstance(network, SpikingNetwork):
        n = len(j)
        syn = network.synaptic_decay * x[n:] + u + j.sum(axis=1, keepdims=True)
        return np.concatenate([network.membrane_decay * x[:n] + network.membrane_gain * syn, syn])
    active = np.ones_like(x) if isinstance(network, BinaryNetwork) else np.tanh(x)
    result: Array = j @ active + u
    return result


def _julia_steps(under_test: NetworkUnderTest, sizes: Sequence[Size], julia: JuliaConnection) -> Arrays:
    network = julia_network(under_test.network)
    return {t: julia.call("network_step", *network, j, x, u) for t, (j, x, u, _) in _each(under_test, sizes)}


def _jacobians(under_test: NetworkUnderTest, sizes: Sequence[Size]) -> Arrays:
    results = {}
    for title, (j, x, _, q) in _each(under_test, sizes):
        # any state can be the next one, if both sides take the same
        values = under_test.network.jacobian_action(*tensors(x[:, 0], x[:, -1], j, q)).numpy()
        bound = _eps(j) * (len(j) + _ROUNDINGS) * _jacobian_magnitude(under_test.network, j, q)
        results[title] = Estimate(values, bound, "eps (N + 8) times the same sum of magnitudes, with peak 1 surrogates")
    return results


def _jacobian_magnitude(network: Network, j: Array, q: Array) -> Array:
    j, q = np.abs(j).astype(np.float64), np.abs(q).astype(np.float64)
    if isinstance(network, (TanhNetwork, BinaryNetwork)):
        product: Array = j @ q
        return product
    assert isinstance(network, SpikingNetwork)
    n = len(j)
    syn = j @ q[:n] + network.synaptic_decay * q[n:]
    return np.concatenate([network.membrane_decay * q[:n] + network.membrane_gain * syn, syn])


def _julia_jacobians(under_test: NetworkUnderTest, sizes: Sequence[Size], julia: JuliaConnection) -> Arrays:
    network = julia_network(under_test.network)
    return {
        title: julia.call("network_jacobian", *network, j, x[:, 0], x[:, -1], q)
        for title, (j, x, _, q) in _each(under_test, sizes)
    }


def _silent() -> tuple[loss.Parameters, Array, Array]:
    """Parameters with a readout of exactly zero, inputs and targets."""
    of = case(NETWORKS[0], SIZES[0])
    quiet = {
        name: np.zeros_like(values) if name in ("wr", "offset") else values for name, values in of.parameters.items()
    }
    return loss.Parameters(*tensors(*(quiet[name].astype(np.float64) for name in PARAMETERS))), of.inputs, of.targets


_SILENT_FIRST_STEP = 6


def _undecided() -> Arrays:
    parameters, *data = _silent()
    inputs, targets = (values.double() for values in tensors(*data))
    found = loss.loss_and_accuracy(TanhNetwork(), parameters, inputs, targets, _SILENT_FIRST_STEP)
    fused = training_pass.training_gradient(TanhNetwork(), parameters, inputs, targets, _SILENT_FIRST_STEP)
    ours = {"loss": fused.loss, "accuracy": fused.accuracy}
    ours |= {name + AUTOGRAD: float(value) for name, value in zip(("loss", "accuracy"), found, strict=True)}
    bound = np.asarray(_ROUNDINGS * np.finfo(np.float64).eps)
    return {name: Estimate(np.asarray(value), bound, f"{_ROUNDINGS} roundings") for name, value in ours.items()}


def _julia_undecided(julia: JuliaConnection) -> Arrays:
    parameters, *data = _silent()
    arrays = [p.numpy() for p in parameters] + [values.astype(np.float64) for values in data]
    answer = julia.call("training_loss", "tanh", "sech2", np.empty(0), *arrays, _SILENT_FIRST_STEP)
    assert isinstance(answer, dict)
    return answer | {name + AUTOGRAD: value for name, value in answer.items()}


_FRAMES = ((80, 75, 1), (24, 24, 5), (160, 75, 2**40), (1, 1, 0), (12, 3, 7))


def _frames() -> Arrays:
    results: dict[str, Any] = {}
    for n, k, seed in _FRAMES:
        normals = MersenneTwister(seed).randn((n, k), np.float32)
        for dtype in DTYPES:
            title = f"{dtype} {n}x{k} seed={seed}"
            probe = torch.zeros(1, dtype=getattr(torch, dtype))
            q = spectrum.initial_frame(n, k, seed, like=probe).numpy()
            results |= {f"{title}: normals": normals, f"{title}: Q": frame_estimate(q, normals)}
    return results


def frame_estimate(q: Array, normals: Array) -> Estimate:
    """An orthonormal frame of ours, with how far another factorisation of the normal numbers may lie from it."""
    condition = float(np.linalg.cond(normals.astype(np.float64)))
    return Estimate(q, np.asarray(_ROUNDINGS * _eps(q) * condition), "8 eps times the condition of the normals")


def _julia_frames(julia: JuliaConnection) -> Arrays:
    results: dict[str, Any] = {}
    for n, k, seed in _FRAMES:
        for dtype in DTYPES:
            answer = julia.call("initial_frame", n, k, seed, np.zeros(1, dtype))
            assert isinstance(answer, dict)
            title = f"{dtype} {n}x{k} seed={seed}"
            results |= {f"{title}: normals": answer["raw"], f"{title}: Q": answer["Q"]}
    return results
