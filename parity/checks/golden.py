"""Checks against numbers that the authors' Julia code produced (parity/data/golden); no Julia is needed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from parity.checks.golden_files import archive, runs
from parity.checks.model import Array, Arrays, Check, Level, Provenance, recorded
from parity.checks.orthogonal import orthogonal_factor
from parity.checks.programs import (
    BITRAND,
    GOLDEN_SEQUENCES,
    RAND_F32,
    RAND_F64,
    RAND_U64,
    RANDN_F32,
    RANDN_F64,
    RANDPERM,
    SHUFFLE,
    Draw,
    run,
)
from pyflossing import WeightDistribution, generateInputOutput, initial_weights
from pyflossing.julia_random import MersenneTwister, Xoroshiro128Star

_KINDS = {
    "randn_f32": RANDN_F32,
    "randn_f64": RANDN_F64,
    "rand_f32": RAND_F32,
    "rand_f64": RAND_F64,
    "rand_u64": RAND_U64,
    "bitrand": BITRAND,
    "randperm": RANDPERM,
    "shuffle": SHUFFLE,
}


def checks() -> Iterator[Check]:
    """All golden checks."""
    yield from _single_draws()
    yield from _sequences()
    yield from _xoroshiro()
    yield from _tasks()
    yield from _initial()


def _check(name: str, quantity: str, ours: Callable[[], Arrays], theirs: Callable[[], Arrays], **rest: Any) -> Check:
    return Check(name, quantity, Provenance.AUTHORS_JULIA, ours, recorded(theirs), needs_julia=False, **rest)


def _subset(keep: Callable[[str], bool], name: str = "streams.npz") -> Callable[[], Arrays]:
    return lambda: {key: values for key, values in archive(name).items() if keep(key)}


def _single_draws() -> Iterator[Check]:
    """Keys mt/SEED/KIND_SIZE: one draw after seeding."""
    for kind_name, kind in _KINDS.items():

        def belongs(key: str, kind_name: str = kind_name) -> bool:
            return key.startswith("mt/") and key.split("/")[2].rpartition("_")[0] == kind_name

        def ours(kind: int = kind, belongs: Callable[[str], bool] = belongs) -> Arrays:
            results = {}
            for key in filter(belongs, archive("streams.npz")):
                _, seed, name = key.split("/")
                shape = tuple(int(n) for n in name.rpartition("_")[2].split("x"))
                results[key] = run(MersenneTwister(int(seed)), Draw(kind, shape))
            return results

        yield _check(
            f"streams/golden/{kind_name}",
            f"{Draw(kind)} after seeding".replace(" scalar", ""),
            ours,
            _subset(belongs),
        )


def _sequences() -> Iterator[Check]:
    """Keys mt/SEED/seq_X_j: interleaved draws."""
    for letter, program in GOLDEN_SEQUENCES.items():

        def belongs(key: str, letter: str = letter) -> bool:
            return key.startswith("mt/") and key.split("/")[2].startswith(f"seq_{letter}_")

        def ours(program: tuple[Draw, ...] = program, belongs: Callable[[str], bool] = belongs) -> Arrays:
            results: dict[str, Any] = {}
            for seed in sorted({key.split("/")[1] for key in filter(belongs, archive("streams.npz"))}, key=int):
                generator = MersenneTwister(int(seed))
                for place, draw in enumerate(program, 1):
                    results[f"mt/{seed}/seq_{letter_of(program)}_{place}"] = run(generator, draw)
            return results

        described = ", ".join(map(str, program))
        yield _check(f"streams/golden/sequence_{letter}", f"interleaved draws: {described}", ours, _subset(belongs))


def letter_of(program: tuple[Draw, ...]) -> str:
    """The letter of a golden sequence."""
    return next(letter for letter, known in GOLDEN_SEQUENCES.items() if known is program)


def _xoroshiro() -> Iterator[Check]:
    def ours() -> Arrays:
        results: dict[str, Any] = {}
        for key in filter(lambda key: key.startswith("xoro"), archive("streams.npz")):
            _, seed, name = key.split("/")
            generator = Xoroshiro128Star(int(seed))
            if name == "state_x_y":
                results[key] = np.array(generator.state, dtype=np.uint64)
            elif name.startswith("raw"):
                results[key] = generator.uint64(int(name.rpartition("_")[2]))
            else:
                results[key] = generator.bitrand(tuple(int(n) for n in name.split("_")[1:]))
        return results

    yield _check(
        "streams/golden/xoroshiro128star",
        "Xoroshiro128Star: state, raw words, bits",
        ours,
        _subset(lambda key: key.startswith("xoro")),
    )


def _task_cases() -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads(str(archive("task.npz")["index"]))
    return cases


def _generate(case: dict[str, Any]) -> tuple[Array, Array]:
    return generateInputOutput(*(case[key] for key in ("B", "T", "seed", "S", "sigma", "delay", "task")))


def _tasks() -> Iterator[Check]:
    def ours() -> Arrays:
        results = {}
        for case in _task_cases():
            if case["result"] == "ok":
                results[f"{case['case']}/s"], results[f"{case['case']}/target"] = _generate(case)
        return results

    yield _check(
        "task/golden/data",
        "generateInputOutput: copy and XOR of 2, 4, 8 inputs",
        ours,
        _subset(lambda key: key.startswith("case_"), "task.npz"),
    )

    def refused() -> Arrays:
        results: dict[str, np.bool_] = {}
        for case in _task_cases():
            try:
                _generate(case)
                results[case["case"]] = np.bool_(False)
            except ValueError:
                results[case["case"]] = np.bool_(True)
        return results

    yield _check(
        "task/golden/refusals",
        "generateInputOutput: which arguments fail",
        refused,
        lambda: {case["case"]: np.bool_(case["result"] != "ok") for case in _task_cases()},
    )


def _distribution(p: dict[str, Any]) -> WeightDistribution:
    return WeightDistribution(
        coupling="gaussian" if p["IC"] == 1 else "orthogonal",
        gain=p["g"],
        mean_coupling=p["gbar"],
        input_spread=p["wsS"],
        input_mean=p["wsM"],
        readout_spread=p["wrS"],
        readout_mean=p["wrM"],
        bias_spread=p["bS"],
        bias_mean=p["bM"],
    )


def _initial() -> Iterator[Check]:
    """What the recorded training runs drew before they computed anything."""

    def weights(*names: str, coupling: tuple[int, ...]) -> Callable[[], Arrays]:
        def compute() -> Arrays:
            results: dict[str, Array] = {}
            for run_name, p in runs().items():
                if p["IC"] in coupling:
                    drawn = initial_weights(p["N"], p["sNet"], _distribution(p), n_inputs=p["S"])
                    results |= {f"{run_name}/init_{name}": getattr(drawn, name) for name in names}
            return results

        return compute

    def recorded_like(compute: Callable[[], Arrays]) -> Callable[[], Arrays]:
        return lambda: {key: archive("initial.npz")[key] for key in compute()}

    vectors = weights("ws", "wr", "b", "offset", coupling=(1, 3))
    yield _check("weights/golden/ws_wr_b", "initial ws, wr, b, offset", vectors, recorded_like(vectors))
    gaussian = weights("J", coupling=(1,))
    yield _check("weights/golden/J_gaussian", "initial J, Gaussian (IC = 1)", gaussian, recorded_like(gaussian))
    orthogonal = weights("J", coupling=(3,))
    yield _check(
        "weights/golden/J_orthogonal",
        "initial J, orthogonal (IC = 3)",
        orthogonal,
        recorded_like(orthogonal),
        level=Level.STEP,
        compare=orthogonal_factor(_factored),
    )

    def streams(name: str, seed: str, columns: str) -> tuple[Callable[[], Arrays], Callable[[], Arrays]]:
        def compute() -> Arrays:
            return {
                f"{run_name}/{name}": MersenneTwister(p[seed]).randn((p["N"], p[columns]), np.float32)
                for run_name, p in runs().items()
                if f"{run_name}/{name}" in archive("initial.npz")
            }

        return compute, recorded_like(compute)

    yield _check(
        "weights/golden/initial_state",
        "normals behind the initial state",
        *streams("relax_randn", "sIC", "B"),
    )
    yield _check("weights/golden/frame", "normals behind the orthonormal frame", *streams("ons_randn", "sONS", "nLE"))
    yield _check("schedule/golden/trial_order", "order of the trials in every epoch", _orders, recorded_like(_orders))
    yield _check("task/golden/first_trials", "trials of the first epochs, in order", _trials, recorded_like(_trials))


def _factored() -> list[Array]:
    """The matrices whose Q factors are the orthogonal J: the Gaussian draws of the same seeds."""
    return [
        initial_weights(p["N"], p["sNet"], replace(_distribution(p), coupling="gaussian", mean_coupling=0.0)).J
        for p in runs().values()
        if p["IC"] == 3
    ]


def _orders() -> Arrays:
    results = {}
    for run_name, p in runs().items():
        recorded_order = archive("initial.npz")[f"{run_name}/train_order"]
        shuffles = [g.shuffle(range(1, p["B"] + 1)) for g in MersenneTwister.from_seeds(range(1, p["E"] + 1))]
        results[f"{run_name}/train_order"] = np.array(shuffles).T.astype(recorded_order.dtype)
    return results


def _trials() -> Arrays:
    """Training batch of epoch 1 in its shuffled order (input seed E sIn + 1), first flossing trial (E sIn + 2)."""
    results = {}
    for run_name, p in runs().items():
        rest = (p["S"], p["I1"], p["delay"], p["task"])
        inputs, targets = generateInputOutput(p["B"], p["T"], p["E"] * p["sIn"] + 1, *rest)
        order = MersenneTwister(1).shuffle(range(p["B"]))
        results[f"{run_name}/train_first_s_shuffled"] = inputs[:, :, order]
        results[f"{run_name}/train_first_target_shuffled"] = targets[:, :, order]
        flossing, _ = generateInputOutput(1, p["Ti"], p["E"] * p["sIn"] + 2, *rest)
        results[f"{run_name}/floss_first_s"] = flossing
    return results
