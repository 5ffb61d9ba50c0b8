"""Checks against a live (or recorded) Julia: our reference, and the standard library of the Julia that runs it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from parity.bridge.connection import JuliaConnection
from parity.bridge.errors import JuliaError
from parity.checks.model import Array, Arrays, Check, Level, Provenance, SkipCheck
from parity.checks.orthogonal import orthogonal_factor
from parity.checks.programs import BITRAND, CACHE_EDGES, GOLDEN_SEQUENCES, RAND_U64, Draw, encode, run
from pyflossing import (
    DelayedCopy,
    DelayedXOR,
    WeightDistribution,
    Weights,
    generateInputOutput,
    initial_weights,
)
from pyflossing.julia_random import MersenneTwister, Xoroshiro128Star
from pyflossing.julia_random._dsfmt import RawStream, initial_state
from pyflossing.julia_random._ziggurat import tables

SEEDS = (0, 1, 20231231, 2**31, 2**32 + 5, 2**63 - 1)
_XOROSHIRO_SEEDS = (1, -1, 3002, -(2**63), 2**63 - 1)


def checks() -> Iterator[Check]:
    """All checks that call Julia."""
    yield from _streams()
    yield from _xoroshiro()
    yield from _tasks()
    yield from _weights()


def _check(
    name: str,
    quantity: str,
    ours: Callable[[], Arrays],
    theirs: Callable[[JuliaConnection], Arrays],
    **rest: Any,
) -> Check:
    return Check(name, quantity, rest.pop("against", Provenance.OUR_JULIA), ours, theirs, **rest)


def _positional(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


def _streams() -> Iterator[Check]:
    n_raw = 5000

    def raw() -> Arrays:
        return {str(seed): RawStream(initial_state(seed)).read(0, n_raw, 0) for seed in SEEDS}

    yield _check(
        "streams/live/dsfmt",
        "raw 64-bit words after seeding",
        raw,
        lambda julia: {str(seed): julia.call("dsfmt_words", seed, n_raw) for seed in SEEDS},
    )
    yield _check(
        "streams/live/ziggurat",
        "tables of the normal distribution",
        lambda: tables()._asdict(),
        lambda julia: julia.call("ziggurat_tables"),  # type: ignore[arg-type, return-value]
    )
    programs = {f"sequence {letter}": program for letter, program in GOLDEN_SEQUENCES.items()} | CACHE_EDGES
    for title, program in programs.items():
        for against, function in (
            (Provenance.OUR_JULIA, "twister_draws"),
            (Provenance.JULIA_STDLIB, "native_twister_draws"),
        ):
            place = "live" if against is Provenance.OUR_JULIA else "stdlib"
            yield _program_check(f"streams/{place}/{title.replace(' ', '_')}", against, function, program)


def _program_check(name: str, against: Provenance, function: str, program: tuple[Draw, ...]) -> Check:
    labels = [f"{seed}/{place}: {draw}" for seed, (place, draw) in itertools.product(SEEDS, enumerate(program, 1))]

    def ours() -> Arrays:
        results = []
        for seed in SEEDS:
            generator = MersenneTwister(seed)
            results += [run(generator, draw) for draw in program]
        return dict(zip(labels, results, strict=True))

    def theirs(julia: JuliaConnection) -> Arrays:
        if function == "native_twister_draws":
            kinds = set(np.asarray(julia.call("native_twister_kinds")).tolist())
            foreign = sorted({str(draw).split()[0] for draw in program if draw.kind not in kinds})
            if foreign:
                raise SkipCheck(f"this Julia's own {', '.join(foreign)} no longer give the numbers of Julia 1.5")
        results: list[Any] = []
        for seed in SEEDS:
            results += _positional(julia.call(function, seed, encode(program)))
        return dict(zip(labels, results, strict=True))

    return _check(name, "interleaved draws: " + ", ".join(map(str, program)), ours, theirs, against=against)


def _xoroshiro() -> Iterator[Check]:
    program = (
        Draw(RAND_U64, (5,)),
        Draw(BITRAND, (310, 1, 16)),
        Draw(BITRAND, (7, 3)),
        Draw(BITRAND, (0,)),
        Draw(RAND_U64, (2,)),
    )

    def ours() -> Arrays:
        results: dict[str, Any] = {}
        for seed in _XOROSHIRO_SEEDS:
            generator = Xoroshiro128Star(seed)
            results[f"{seed}/state"] = np.array(generator.state, dtype=np.uint64)
            for place, (kind, shape) in enumerate(program, 1):
                results[f"{seed}/{place}"] = generator.bitrand(shape) if kind == BITRAND else generator.uint64(shape[0])
        return results

    def theirs(julia: JuliaConnection) -> Arrays:
        results: dict[str, Any] = {}
        for seed in _XOROSHIRO_SEEDS:
            results[f"{seed}/state"] = julia.call("xoroshiro_state", seed)
            draws = _positional(julia.call("xoroshiro_draws", seed, encode(program)))
            results |= {f"{seed}/{place}": values for place, values in enumerate(draws, 1)}
        return results

    yield _check("streams/live/xoroshiro128star", "Xoroshiro128Star: state, raw words, bits", ours, theirs)


# B, T, seedInput, S, sigma, delay, task
_TASK_CASES: tuple[tuple[int, int, int, int, float, int, int], ...] = (
    (16, 300, 3002, 1, 1.0, 10, -1),
    (16, 300, -3002, 1, 1.0, 10, 1),
    (1, 55, 12, 1, 0.5, 1, -1),
    (3, 50, 8, 1, -2.25, 3, 2),
    (3, 50, 8, 1, 0.1, 3, -2),
    (2, 60, 13, 1, 1.0, 2, 3),
    (2, 70, 2**62, 1, 1.0, 2, -4),
    (4, 40, 7, 1, 1.0, 3, 0),
    (4, 40, 7, 1, 1.0, 0, 0),
    (5, 1, 9, 1, 1.0, 4, 0),
    (5, 3, 9, 1, 1.0, 4, -1),
    (2, 5, 5, 1, 0.0, 2, 0),
)
_REFUSED_CASES: tuple[tuple[int, int, int, int, float, int, int], ...] = (
    (2, 10, 0, 1, 1.0, 10, -1),
    (2, 20, 15, 2, 1.0, 2, 0),
    (2, 20, 15, 2, 1.0, 2, -1),
    (4, 20, 14, 1, 1.0, 0, -1),
    (4, 20, 14, 1, 1.0, 0, 1),
    (4, 20, 14, 1, 1.0, -1, 0),
    (0, 20, 14, 1, 1.0, 2, 0),
    (4, 0, 14, 1, 1.0, 2, 0),
    (4, 20, 14, 1, float("nan"), 2, 0),
    (4, 20, 14, 1, float("inf"), 2, 0),
)
_TASK_NAMES = ("B", "T", "seedInput", "S", "sigma", "delay", "task")


def _title(case: tuple[Any, ...]) -> str:
    return " ".join(f"{name}={value}" for name, value in zip(_TASK_NAMES, case, strict=True))


def _tasks() -> Iterator[Check]:
    def pairs(generate: Callable[..., Any]) -> Arrays:
        results: dict[str, Any] = {}
        for case in _TASK_CASES:
            inputs, targets = generate(*case)
            results |= {f"{_title(case)}: s": inputs, f"{_title(case)}: target": targets}
        return results

    yield _check(
        "task/live/data",
        "generateInputOutput: copy and XOR of 2 to 16 inputs",
        lambda: pairs(generateInputOutput),
        lambda julia: pairs(lambda *case: julia.call("generateInputOutput", *case)),
    )
    typed = (
        DelayedXOR(10),
        DelayedXOR(3, levels=2, scoring="early"),
        DelayedXOR(3, levels=2),
        DelayedCopy(3),
    )

    def of_typed() -> Arrays:
        return {str(task): task.generate(4, 60, 77, amplitude=0.5).targets for task in typed}

    def of_numbers(julia: JuliaConnection) -> Arrays:
        numbers = ((10, -1), (3, 2), (3, -2), (3, 0))
        return {
            str(task): julia.call("generateInputOutput", 4, 60, 77, 1, 0.5, delay, number)[1]  # type: ignore[index]
            for task, (delay, number) in zip(typed, numbers, strict=True)
        }

    yield _check("task/live/typed", "targets of DelayedXOR and DelayedCopy", of_typed, of_numbers)

    def refusals(generate: Callable[..., Any], error: type[Exception]) -> Arrays:
        results: dict[str, np.bool_] = {}
        for case in _REFUSED_CASES:
            try:
                generate(*case)
                results[_title(case)] = np.bool_(False)
            except error:
                results[_title(case)] = np.bool_(True)
        return results

    yield _check(
        "task/live/refusals",
        "generateInputOutput: arguments that both refuse",
        lambda: refusals(generateInputOutput, ValueError),
        lambda julia: refusals(lambda *case: julia.call("generateInputOutput", *case), JuliaError),
    )


# n_units, n_inputs, seed, and the rest as a distribution
_NETWORKS: tuple[tuple[int, int, int, WeightDistribution], ...] = (
    (80, 1, 1, WeightDistribution()),
    (1, 1, 0, WeightDistribution(mean_coupling=0.3)),
    (7, 3, 2**40, WeightDistribution(gain=1.7, input_spread=0.3, input_mean=-0.1, bias_mean=0.7)),
    (
        33,
        1,
        5,
        WeightDistribution(gain=0.1, mean_coupling=-2.9, readout_spread=1e-3, readout_mean=1.1, bias_spread=0.0),
    ),
    (128, 2, 2**63 - 1, WeightDistribution(gain=3.3, mean_coupling=1e-3)),
)
_ORTHOGONAL = tuple(
    (n, s, seed, WeightDistribution("orthogonal", gain=1.1)) for n, s, seed in ((80, 1, 1), (16, 1, 33), (5, 2, 9))
)


def _julia_weights(julia: JuliaConnection, network: tuple[int, int, int, WeightDistribution]) -> dict[str, Any]:
    n, s, seed, d = network
    coupling = 1 if d.coupling == "gaussian" else 3
    spreads = (d.input_spread, d.input_mean, d.readout_spread, d.readout_mean, d.bias_spread, d.bias_mean)
    result = julia.call("initial_weights", n, s, seed, coupling, d.gain, d.mean_coupling, *spreads)
    assert isinstance(result, dict)
    return result


def _our_weights(network: tuple[int, int, int, WeightDistribution]) -> Weights:
    n, s, seed, distribution = network
    return initial_weights(n, seed, distribution, n_inputs=s)


def _weights() -> Iterator[Check]:
    def named(
        networks: tuple[tuple[int, int, int, WeightDistribution], ...], keep: Callable[[str], bool]
    ) -> tuple[Any, Any]:
        def collect(draw: Callable[[tuple[int, int, int, WeightDistribution]], dict[str, Any]]) -> Arrays:
            return {
                f"N={network[0]} seed={network[2]} {name}": values
                for network in networks
                for name, values in draw(network).items()
                if keep(name)
            }

        return (
            lambda: collect(lambda network: _our_weights(network)._asdict()),
            lambda julia: collect(lambda network: _julia_weights(julia, network)),
        )

    yield _check("weights/live/gaussian", "ws, J, wr, b, offset (IC = 1)", *named(_NETWORKS, lambda _: True))
    yield _check("weights/live/vectors", "ws, wr, b, offset (IC = 3)", *named(_ORTHOGONAL, lambda name: name != "J"))

    def factored() -> list[Array]:
        return [initial_weights(n, seed, WeightDistribution(gain=1.1), n_inputs=s).J for n, s, seed, _ in _ORTHOGONAL]

    yield _check(
        "weights/live/J_orthogonal",
        "J (IC = 3)",
        *named(_ORTHOGONAL, lambda name: name == "J"),
        level=Level.STEP,
        compare=orthogonal_factor(factored),
    )

    def order() -> Arrays:
        shuffles = [generator.shuffle(range(1, 17)) for generator in MersenneTwister.from_seeds(range(1, 101))]
        return {"E=100 B=16": np.array(shuffles).T}

    yield _check(
        "schedule/live/trial_order",
        "order of 16 trials in epochs 1 to 100",
        order,
        lambda julia: {"E=100 B=16": julia.call("trial_order", 100, 16)},
    )
