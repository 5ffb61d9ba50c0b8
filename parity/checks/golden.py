"""Checks against numbers that the authors' Julia code produced (parity/data/golden); no Julia is needed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from parity.checks.golden_files import archive, has, runs
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


def _check(
    name: str, quantity: str, file: str, keys: Iterable[str], ours: Callable[[Sequence[str]], Arrays], **rest: Any
) -> Check:
    """A check of the recorded values of some keys of a file."""
    wanted = list(keys)
    theirs = recorded(partial(_stored, file, wanted))
    return Check(name, quantity, Provenance.AUTHORS_JULIA, partial(ours, wanted), theirs, needs_julia=False, **rest)


def _stored(file: str, keys: Sequence[str]) -> Arrays:
    return {key: archive(file)[key] for key in keys}


def _single_draws() -> Iterator[Check]:
    """Keys mt/SEED/KIND_SIZE: one draw after seeding."""
    for name, kind in _KINDS.items():
        yield _check(
            f"streams/golden/{name}",
            f"{Draw(kind)} after seeding".replace(" scalar", ""),
            "streams.npz",
            [key for key in _streams("mt/") if key.split("/")[2].rpartition("_")[0] == name],
            partial(_first_draws, kind),
        )


def _streams(generator: str) -> list[str]:
    return [key for key in archive("streams.npz") if key.startswith(generator)]


def _first_draws(kind: int, keys: Sequence[str]) -> Arrays:
    results = {}
    for key in keys:
        _, seed, name = key.split("/")
        shape = tuple(int(n) for n in name.rpartition("_")[2].split("x"))
        results[key] = run(MersenneTwister(int(seed)), Draw(kind, shape))
    return results


def _sequences() -> Iterator[Check]:
    """Keys mt/SEED/seq_X_j: interleaved draws."""
    for letter, program in GOLDEN_SEQUENCES.items():
        yield _check(
            f"streams/golden/sequence_{letter}",
            f"interleaved draws: {', '.join(map(str, program))}",
            "streams.npz",
            [key for key in _streams("mt/") if key.split("/")[2].startswith(f"seq_{letter}_")],
            partial(_interleaved, letter, program),
        )


def _interleaved(letter: str, program: Sequence[Draw], keys: Sequence[str]) -> Arrays:
    results: dict[str, Any] = {}
    for seed in sorted({key.split("/")[1] for key in keys}, key=int):
        generator = MersenneTwister(int(seed))
        for place, draw in enumerate(program, 1):
            results[f"mt/{seed}/seq_{letter}_{place}"] = run(generator, draw)
    return results


def _xoroshiro() -> Iterator[Check]:
    yield _check(
        "streams/golden/xoroshiro128star",
        "Xoroshiro128Star: state, raw words, bits",
        "streams.npz",
        _streams("xoro"),
        _xoroshiro_draws,
    )


def _xoroshiro_draws(keys: Sequence[str]) -> Arrays:
    results: dict[str, Any] = {}
    for key in keys:
        _, seed, name = key.split("/")
        generator = Xoroshiro128Star(int(seed))
        if name == "state_x_y":
            results[key] = np.array(generator.state, dtype=np.uint64)
        elif name.startswith("raw"):
            results[key] = generator.uint64(int(name.rpartition("_")[2]))
        else:
            results[key] = generator.bitrand(tuple(int(n) for n in name.split("_")[1:]))
    return results


def _task_cases() -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads(str(archive("task.npz")["index"]))
    return cases


def _generate(case: dict[str, Any]) -> tuple[Array, Array]:
    return generateInputOutput(*(case[key] for key in ("B", "T", "seed", "S", "sigma", "delay", "task")))


def _tasks() -> Iterator[Check]:
    yield _check(
        "task/golden/data",
        "generateInputOutput: copy and XOR of 2, 4, 8 inputs",
        "task.npz",
        [key for key in archive("task.npz") if key.startswith("case_")],
        _task_data,
    )
    yield Check(
        "task/golden/refusals",
        "generateInputOutput: which arguments fail",
        Provenance.AUTHORS_JULIA,
        _refused,
        recorded(lambda: {case["case"]: np.bool_(case["result"] != "ok") for case in _task_cases()}),
        needs_julia=False,
    )


def _task_data(_keys: Sequence[str]) -> Arrays:
    results = {}
    for case in _task_cases():
        if case["result"] == "ok":
            results[f"{case['case']}/s"], results[f"{case['case']}/target"] = _generate(case)
    return results


def _refused() -> Arrays:
    results: dict[str, np.bool_] = {}
    for case in _task_cases():
        try:
            _generate(case)
            results[case["case"]] = np.bool_(False)
        except ValueError:
            results[case["case"]] = np.bool_(True)
    return results


def _initial() -> Iterator[Check]:
    """What the recorded training runs drew before they computed anything."""
    rows = [
        ("weights/golden/ws_wr_b", "initial ws, wr, b, offset", _weights(("ws", "wr", "b", "offset"), (1, 3)), _drawn),
        ("weights/golden/J_gaussian", "initial J, Gaussian (IC = 1)", _weights(("J",), (1,)), _drawn),
        ("weights/golden/initial_state", "normals behind the initial state", _all("relax_randn"), _normals),
        ("weights/golden/frame", "normals behind the orthonormal frame", _all("ons_randn"), _normals),
        ("schedule/golden/trial_order", "order of the trials in every epoch", _all("train_order"), _orders),
        ("task/golden/first_trials", "trials of the first epochs, in order", _all(*_TRIALS), _trials),
    ]
    for name, quantity, keys, ours in rows:
        yield _check(name, quantity, "initial.npz", keys, ours)
    yield _check(
        "weights/golden/J_orthogonal",
        "initial J, orthogonal (IC = 3)",
        "initial.npz",
        _weights(("J",), (3,)),
        _drawn,
        level=Level.STEP,
        compare=orthogonal_factor(_factored),
    )


def _all(*names: str) -> list[str]:
    """Keys RUN/NAME of what the runs recorded under some names."""
    return [f"{run_name}/{name}" for run_name in runs() for name in names if has(f"{run_name}/{name}")]


def _weights(names: Sequence[str], coupling: Sequence[int]) -> list[str]:
    """Keys RUN/init_NAME of the runs with one kind of coupling."""
    return [f"{run_name}/init_{name}" for run_name, p in runs().items() if p["IC"] in coupling for name in names]


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


def _drawn(keys: Sequence[str]) -> Arrays:
    results: dict[str, Array] = {}
    for key in keys:
        run_name, _, name = key.partition("/init_")
        p = runs()[run_name]
        drawn = initial_weights(p["N"], p["sNet"], _distribution(p), n_inputs=p["S"])
        results[key] = getattr(drawn, name)
    return results


def _factored() -> list[Array]:
    """The matrices whose Q factors are the orthogonal J: the Gaussian draws of the same seeds."""
    return [
        initial_weights(p["N"], p["sNet"], replace(_distribution(p), coupling="gaussian", mean_coupling=0.0)).J
        for p in runs().values()
        if p["IC"] == 3
    ]


_NORMALS = {"relax_randn": ("sIC", "B"), "ons_randn": ("sONS", "nLE")}
"""Seed and number of columns, by the original's names."""


def _normals(keys: Sequence[str]) -> Arrays:
    results = {}
    for key in keys:
        run_name, _, name = key.partition("/")
        p = runs()[run_name]
        seed, columns = (p[parameter] for parameter in _NORMALS[name])
        results[key] = MersenneTwister(seed).randn((p["N"], columns), np.float32)
    return results


def _orders(keys: Sequence[str]) -> Arrays:
    results = {}
    for key in keys:
        p = runs()[key.partition("/")[0]]
        shuffles = [g.shuffle(range(1, p["B"] + 1)) for g in MersenneTwister.from_seeds(range(1, p["E"] + 1))]
        results[key] = np.array(shuffles).T.astype(archive("initial.npz")[key].dtype)
    return results


_TRIALS = ("train_first_s_shuffled", "train_first_target_shuffled", "floss_first_s")


def _trials(_keys: Sequence[str]) -> Arrays:
    """Training batch of epoch 1 in its shuffled order (input seed E sIn + 1), first flossing trial (E sIn + 2)."""
    results: dict[str, Array] = {}
    for run_name, p in runs().items():
        rest = (p["S"], p["I1"], p["delay"], p["task"])
        inputs, targets = generateInputOutput(p["B"], p["T"], p["E"] * p["sIn"] + 1, *rest)
        order = MersenneTwister(1).shuffle(range(p["B"]))
        flossing, _ = generateInputOutput(1, p["Ti"], p["E"] * p["sIn"] + 2, *rest)
        trials = (inputs[:, :, order], targets[:, :, order], flossing)
        results |= {f"{run_name}/{name}": values for name, values in zip(_TRIALS, trials, strict=True)}
    return results
