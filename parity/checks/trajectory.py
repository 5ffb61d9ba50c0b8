"""Checks of trajectories against our Julia: states, spikes, loss, spectra and gradients from the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from parity.bridge.connection import JuliaConnection
from parity.checks.cases import (
    NETWORKS,
    PARAMETERS,
    SIZES,
    Case,
    NetworkUnderTest,
    Size,
    case,
    julia_network,
    threshold_distance,
)
from parity.checks.evaluate import AUTOGRAD, estimates
from parity.checks.model import Array, Arrays, Check, Level, Provenance, SkipCheck
from parity.checks.relaxation import relaxed
from parity.checks.step import DTYPES
from pyflossing.julia_random import MersenneTwister

FromJulia = Callable[[JuliaConnection, Case, str], dict[str, Any]]
_FLOSSED = ("ws", "J", "b")


def checks(
    networks: Sequence[NetworkUnderTest] = NETWORKS,
    sizes: Sequence[Size] = SIZES,
    dtypes: Sequence[str] = DTYPES,
) -> Iterator[Check]:
    """Every quantity of every network, in both types."""
    for under_test in networks:
        cases = [cached_case(under_test, size) for size in sizes]
        for dtype in dtypes:
            prefix = f"trajectory/live/{under_test.title}_{dtype}"
            yield _check(
                f"{prefix}/initial_state",
                f"{under_test.title}: initial state after 100 steps without input",
                partial(_relaxed, under_test, sizes, dtype),
                partial(_julia_relaxed, under_test, sizes, dtype),
            )
            yield from checks_of(prefix, under_test.title, cases, dtype)


def checks_of(prefix: str, title: str, cases: Sequence[Case], dtype: str) -> Iterator[Check]:
    """The rows of some cases of one network: every quantity that they have."""
    without = {
        "raster": cases[0].network.kind == "tanh",
        "spectrum": not cases[0].spectra,
        "flossing": not cases[0].flossed,
    }
    for row, (quantity, names, from_julia) in _ROWS.items():
        if not without.get(row):
            yield _check(
                f"{prefix}/{row}",
                f"{title}: {quantity}",
                partial(ours_of, cases, dtype, names),
                partial(theirs_of, cases, dtype, from_julia, row != "raster"),
            )


cached_case = lru_cache(maxsize=64)(case)


def _check(name: str, quantity: str, ours: Callable[[], Arrays], theirs: Callable[[JuliaConnection], Arrays]) -> Check:
    return Check(name, quantity, Provenance.OUR_JULIA, ours, theirs, level=Level.TRAJECTORY)


def ours_of(cases: Sequence[Case], dtype: str, belongs: Callable[[str], bool]) -> Arrays:
    """Our numbers of some cases whose name ``belongs``, by case and name."""
    return {
        f"{of.title}: {name}": values for of in cases for name, values in estimates(of, dtype).items() if belongs(name)
    }


def theirs_of(
    cases: Sequence[Case], dtype: str, from_julia: FromJulia, needs_one_raster: bool, julia: JuliaConnection
) -> Arrays:
    """Julia's numbers of the cases, under the same names."""
    results: dict[str, Any] = {}
    for of in cases:
        if needs_one_raster:
            _require_one_raster(julia, of, dtype)
        theirs = from_julia(julia, of, dtype)
        twice = [name for name in theirs if name + AUTOGRAD in estimates(of, dtype)]
        theirs |= {name + AUTOGRAD: theirs[name] for name in twice}
        results |= {f"{of.title}: {name}": values for name, values in theirs.items()}
    return results


def _require_one_raster(julia: JuliaConnection, of: Case, dtype: str) -> None:
    raster = estimates(of, dtype).get("raster")
    if raster is None:
        return
    differing = np.asarray(raster.values) != _raster(julia, of, dtype)["raster"]
    if differing.any():
        step = int(np.flatnonzero(differing.any(axis=(0, 1)))[0]) + 1
        raise SkipCheck(f"the spikes or signs part at step {step} ({of.title}), as the raster's row says")


def _network_and_weights(of: Case, dtype: str) -> tuple[tuple[str, str, Array], tuple[Array, ...]]:
    return julia_network(of.network), tuple(of.parameters[name].astype(dtype) for name in PARAMETERS)


def julia_states(julia: JuliaConnection, of: Case, dtype: str) -> Array:
    """States (n_states, B, T) after every step by Julia."""
    network, (ws, j, _, b, _, x0) = _network_and_weights(of, dtype)
    return np.asarray(julia.call("trajectory", *network, ws, j, b, x0, of.inputs.astype(dtype)))


def _states(julia: JuliaConnection, of: Case, dtype: str) -> dict[str, Any]:
    _, (_, _, wr, _, offset, _) = _network_and_weights(of, dtype)
    states = julia_states(julia, of, dtype)
    seen = np.asarray(julia.call("readout", wr, offset, states))
    return {"states": states, "readout": seen.T}


def _raster(julia: JuliaConnection, of: Case, dtype: str) -> dict[str, Any]:
    distance = threshold_distance(of.network, julia_states(julia, of, dtype))
    assert distance is not None
    return {"raster": (distance > 0).astype(np.uint8)}


def _batch(of: Case, dtype: str) -> tuple[Array, Array, int]:
    return of.inputs.astype(dtype), of.targets.astype(dtype), of.first_scored_step


def julia_loss(julia: JuliaConnection, of: Case, dtype: str) -> dict[str, Any]:
    """Loss and accuracy by Julia."""
    network, weights = _network_and_weights(of, dtype)
    answer = julia.call("training_loss", *network, *weights, *_batch(of, dtype))
    assert isinstance(answer, dict)
    return {name: np.float64(values) for name, values in answer.items()}


def julia_training(julia: JuliaConnection, of: Case, dtype: str) -> dict[str, Any]:
    """Loss, accuracy and gradients of the training loss by Julia, in one pass."""
    network, weights = _network_and_weights(of, dtype)
    answer = julia.call("training_gradient", *network, *weights, *_batch(of, dtype))
    assert isinstance(answer, dict)
    numbers = {name: np.float64(answer[name]) for name in ("loss", "accuracy")}
    return numbers | {f"gradient {name}": answer[name] for name in PARAMETERS}


def julia_gradients(julia: JuliaConnection, of: Case, dtype: str) -> dict[str, Any]:
    """Gradients of the training loss by Julia."""
    return {name: values for name, values in julia_training(julia, of, dtype).items() if name.startswith("gradient")}


def _start(of: Case, dtype: str) -> tuple[tuple[str, str, Array], tuple[Array, ...], Array]:
    network, (ws, j, _, b, _, x0) = _network_and_weights(of, dtype)
    return network, (ws, j, b, x0[:, 0]), of.inputs[:, :, 0].astype(dtype)


def _spectra(julia: JuliaConnection, of: Case, dtype: str) -> dict[str, Any]:
    network, weights, inputs = _start(of, dtype)
    frame = of.frame.astype(dtype)
    return {
        f"exponents k={k}": julia.call("spectrum", *network, *weights, frame[:, :k], inputs, of.n_steps)
        for k in of.spectra
    }


def julia_flossing(julia: JuliaConnection, of: Case, dtype: str) -> dict[str, Any]:
    """Exponents, flossing loss and its gradients by Julia."""
    network, weights, inputs = _start(of, dtype)
    frame = of.frame[:, : of.flossed].astype(dtype)
    answer = julia.call("flossing_gradient", *network, *weights, frame, inputs, of.n_steps, of.target)
    assert isinstance(answer, dict)
    results = {"flossing exponents": answer["exponents"], "flossing loss": np.float64(answer["loss"])}
    return results | {f"flossing gradient {name}": answer[name] for name in _FLOSSED}


_ROWS: dict[str, tuple[str, Callable[[str], bool], FromJulia]] = {
    "raster": ("spikes or signs of every unit in every step", lambda name: name == "raster", _raster),
    "states": ("states and readout after every step", lambda name: name in ("states", "readout"), _states),
    "loss": ("training loss and accuracy", lambda name: name.startswith(("loss", "accuracy")), julia_loss),
    "gradients": ("loss gradients of all six parameters", lambda name: name.startswith("gradient"), julia_gradients),
    "spectrum": ("Lyapunov spectra of one, some and all exponents", lambda name: name.startswith("exp"), _spectra),
    "flossing": (
        "flossing: exponents, loss, and gradients of ws, J, b",
        lambda name: name.startswith("flossing"),
        julia_flossing,
    ),
}


def _relaxation_inputs(under_test: NetworkUnderTest, size: Size, dtype: str) -> tuple[Array, Array]:
    parameters = cached_case(under_test, size).parameters
    return parameters["J"].astype(dtype), parameters["b"].astype(dtype)


def _relaxed(under_test: NetworkUnderTest, sizes: Sequence[Size], dtype: str) -> Arrays:
    results = {}
    for size in sizes:
        j, b = _relaxation_inputs(under_test, size, dtype)
        normals = MersenneTwister(size.seed).randn((size.units, size.trials), np.float32)
        results[str(size)] = relaxed(under_test.network, j, b, normals, dtype)
    return results


def _julia_relaxed(under_test: NetworkUnderTest, sizes: Sequence[Size], dtype: str, julia: JuliaConnection) -> Arrays:
    network = julia_network(under_test.network)
    return {
        str(size): julia.call(
            "initial_state", *network, *_relaxation_inputs(under_test, size, dtype), size.seed, size.trials
        )
        for size in sizes
    }
