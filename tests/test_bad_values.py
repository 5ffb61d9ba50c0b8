"""Claim: every entry point refuses what is no number, or out of range, by name.

PYFLOSSING_BAD_VALUES=2000 for the long version.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bad_values import INFINITE, Kind, assert_refused, bad_values

from pyflossing import (
    Adam,
    AdaptiveSchedule,
    BinaryNetwork,
    DelayedCopy,
    DelayedXOR,
    Flossing,
    FlossingSchedule,
    Seeds,
    SpikingNetwork,
    Surrogate,
    TrainingConfig,
    Trials,
    WeightDistribution,
    generateInputOutput,
    initial_weights,
    train,
    trainRNNflossing,
    trainSRNNflossing,
)
from pyflossing.config import LEGACY_PARAMETERS
from pyflossing.julia_random import MersenneTwister, Xoroshiro128Star

N = int(os.environ.get("PYFLOSSING_BAD_VALUES", "150"))
HUGE = 10**5000
INT, NATURAL, POSITIVE = Kind(int), Kind(int, 0), Kind(int, 1)
SEED, SIGNED = Kind(int, 0, 2**63 - 1), Kind(int, -(2**63), 2**63 - 1, wrong=(0,))
FLOAT, DECAY, UNIT = Kind(float), Kind(float, 0, 1, wrong=(1, -0.1)), Kind(float, 0, 1, wrong=(1.0,))
WIDE = Kind(float, right=(np.longdouble, int), wrong=())  # of constants in Float64
CLIP = Kind(float, 0, wrong=(0, 0.0, -1))
OBJECT = Kind(object, wrong=(0, 1, 1.5, np.float32(1)))
WORDS = Kind(object, wrong=(0, 1.5, "float16", np.float32, "FLOAT32"))

LEGACY: dict[str, Kind] = {p.name: FLOAT if p.kind is float else NATURAL for p in LEGACY_PARAMETERS}
LEGACY |= dict.fromkeys(("N", "B", "T", "Tp", "Ti", "Ef"), POSITIVE)
LEGACY |= dict.fromkeys(("sIC", "sNet", "sONS"), SEED)
LEGACY |= dict.fromkeys(("b1", "b2"), DECAY)
LEGACY |= {"sIn": SIGNED, "S": Kind(int, 1, 1), "IC": Kind(int, 1, 3, wrong=(2,)), "task": Kind(int, -62, 62)}
LEGACY |= {"intype": INT, "delay": Kind(int, 1, 2**63 - 1)}
README = dict(zip(LEGACY, TrainingConfig().to_legacy(), strict=True))
# fmt: off
FIELDS: dict[Callable[..., Any], dict[str, Kind]] = {
    Trials: {"trials.batch_size": POSITIVE, "trials.n_steps": POSITIVE, "trials.amplitude": FLOAT,
             "trials.offset": FLOAT},
    Seeds: {"seeds.initial_state": SEED, "seeds.inputs": SIGNED, "seeds.network": SEED, "seeds.frame": SEED},
    Adam: {"optimiser.learning_rate": FLOAT, "optimiser.beta1": DECAY, "optimiser.beta2": DECAY,
           "optimiser.clip_norm": CLIP},
    Flossing: {"flossing.n_exponents": NATURAL, "flossing.target": FLOAT, "flossing.n_steps": POSITIVE,
               "flossing.trial_steps": POSITIVE, "flossing.schedule": OBJECT, "flossing.clip_norm": CLIP,
               "flossing.n_trials": POSITIVE, "flossing.learning_rate": FLOAT},
    FlossingSchedule: {f"flossing.schedule.{name}": NATURAL for name in ("before", "episode", "n_episodes")}
                      | {"flossing.schedule.period": POSITIVE},
    lambda **given: AdaptiveSchedule(**{"threshold": 1e-3, "episode": 1, "n_episodes": 1, **given}):
        {f"flossing.schedule.{name}": NATURAL for name in ("before", "episode", "n_episodes")}
        | {f"flossing.schedule.{name}": kind for name, kind in
           (("cooldown", POSITIVE), ("threshold", CLIP), ("ceiling", CLIP))},
    WeightDistribution: {name: FLOAT for name in WeightDistribution.__dataclass_fields__ if name != "coupling"}
                        | {"coupling": WORDS},
    lambda **given: DelayedXOR(**{"delay": 1, **given}):
        {"delay": Kind(int, 1, 2**63 - 1), "levels": Kind(int, 1, 62), "scoring": WORDS},
    DelayedCopy: {"delay": Kind(int, 0, 2**63 - 1)},
    lambda **given: Surrogate(**{"name": "sech2", "sharpness": 1.0, **given}):
        {"name": WORDS, "sharpness": Kind(float, 0, wrong=(0, -1.0), right=(int, float, np.floating))},
    BinaryNetwork: {"surrogate": OBJECT, "backward_surrogate": OBJECT._replace(right=(type(None),))},
    lambda **given: SpikingNetwork(**{"synaptic_decay": 0.0, "membrane_decay": 0.0, "membrane_gain": 1.0, **given}):
        {"synaptic_decay": UNIT, "membrane_decay": UNIT, "jacobian_surrogate": OBJECT, "spike_surrogate": OBJECT,
         "jacobian_reset": WORDS},
    TrainingConfig: {"network": OBJECT, "weights": OBJECT, "task": OBJECT, "trials": OBJECT, "flossing": OBJECT,
                     "optimiser": OBJECT, "seeds": OBJECT, "n_units": POSITIVE, "n_epochs": NATURAL, "dtype": WORDS,
                     "intype": INT},
}
# fmt: on


def cases(parameters: dict[str, Kind], n: int, seed: int = 0):
    """So many of a parameter's name and a bad value, the parameters in turn."""
    chance = random.Random(seed)
    streams = {name: bad_values(kind, chance) for name, kind in parameters.items()}
    for i in range(n):
        name = list(streams)[i % len(streams)]
        yield name, next(streams[name])


@pytest.mark.parametrize("call", [TrainingConfig.from_legacy, trainSRNNflossing, trainRNNflossing])
def test_the_legacy_calls(call):
    for name, value in cases(LEGACY, N):
        assert_refused(name, lambda name=name, value=value: call(**{**README, name: value}))


def test_the_legacy_calls_refuse_other_keywords_too():
    for name, value in cases({"dtype": WORDS, "network": OBJECT}, N):
        assert_refused(name, lambda name=name, value=value: TrainingConfig.from_legacy(**README, **{name: value}))
    for name, value in cases({"progress": OBJECT._replace(right=(bool, np.bool_))}, N // 10):
        assert_refused(name, lambda name=name, value=value: trainSRNNflossing(**README, **{name: value}))
    assert_refused("callback", lambda: trainSRNNflossing(**README, callback=3))
    assert_refused("config", lambda: train(README))  # type: ignore[arg-type]
    assert_refused("callbacks", lambda: train(TrainingConfig(), [3]))  # type: ignore[list-item]


def test_typed_fields():
    for call, fields in FIELDS.items():
        for name, value in cases(fields, N // 4):
            keyword = name.rpartition(".")[2]
            assert_refused(name, lambda call=call, keyword=keyword, value=value: call(**{keyword: value}))


def test_clipping_takes_infinity_and_constants_what_float64_holds():
    assert Adam(clip_norm=math.inf).clip_norm == math.inf
    for value in INFINITE:
        assert_refused("sharpness", lambda value=value: Surrogate("sech2", value))
        assert_refused("membrane_gain", lambda value=value: SpikingNetwork(0.0, 0.0, value))
        if value < 0:
            assert_refused("optimiser.clip_norm", lambda value=value: Adam(clip_norm=value))


def test_what_is_a_number_is_taken():
    for one in (1, np.int8(1), np.uint64(1), np.int64(1)):
        assert TrainingConfig(n_epochs=one).n_epochs == 1
        assert type(TrainingConfig(n_epochs=one).n_epochs) is int
    for one in (1, 1.0, np.float16(1), np.float32(1), np.float64(1), np.longdouble(1), np.int16(1)):
        assert Trials(amplitude=one).amplitude == 1
        assert type(Trials(amplitude=one).amplitude) is float
    assert TrainingConfig(dtype=np.str_("float64")).dtype == "float64"
    assert type(TrainingConfig(dtype=np.str_("float64")).dtype) is str


BAD_TOML = (
    '"1"', "true", "false", "[1]", "[]", "{}", "{ a = 1 }", "2020-01-01", "12:00:00", "2020-01-01T00:00:00Z", "nan",
    "-nan", "-inf", "[[[[[[[[1]]]]]]]]", '"\\u001b[31m"', '"' + 100_000 * "x" + '"',
)  # fmt: skip
BAD_INTEGERS = ("1.0", "1.5", "1e3", "inf", "-1e300")


def _tables(table, path=""):
    for name, value in table.items():
        place = f"{path}.{name}" if path else name
        if isinstance(value, dict):
            yield from _tables(value, place)
        elif name != "kind":
            yield place, value


def test_toml():
    chance = random.Random(1)
    settings = dict(_tables(TrainingConfig().to_dict()))
    for i in range(N):
        name = list(settings)[i % len(settings)]
        value = settings[name]
        bad = [*BAD_TOML, *(BAD_INTEGERS if isinstance(value, int) else ())]
        bad += ["1" + "0" * 400, "-1e39"] if isinstance(value, float) and not name.startswith("network") else []
        bad = [one for one in bad if not (isinstance(value, str) and one.startswith('"1'))] + ['"nothing"']
        text = f"{name} = {chance.choice(bad)}\n"
        assert_refused(name, lambda text=text: TrainingConfig.from_toml(text))


def test_generate_input_output():
    good = {"B": 2, "T": 9, "seedInput": 1, "S": 1, "sigma": 1.0, "delay": 1, "task": 1}
    kinds = {
        "B": POSITIVE._replace(wrong=(10**12, HUGE)),
        "T": POSITIVE._replace(wrong=(10**13, HUGE)),
        "seedInput": SIGNED,
        "S": Kind(int, 1, 1),
        "sigma": FLOAT,
        "delay": Kind(int, 1, 2**63 - 1, wrong=(2**62,)),
        "task": Kind(int, -62, 62),
    }
    for name, value in cases(kinds, N):
        assert_refused(name, lambda name=name, value=value: generateInputOutput(**{**good, name: value}))


def test_initial_weights():
    kinds = {
        "n_units": POSITIVE._replace(wrong=(10**9, HUGE)),
        "seed": SEED,
        "distribution": OBJECT._replace(right=(type(None),)),
        "n_inputs": POSITIVE._replace(wrong=(10**13, HUGE)),
    }
    for name, value in cases(kinds, N):
        assert_refused(name, lambda name=name, value=value: initial_weights(**{"n_units": 3, "seed": 1, name: value}))


SHAPE = Kind(int, 0, wrong=(10**12, HUGE), right=(tuple, list, type(None)))
SHAPES = (-1, [2, -1], (2, 1.5), (10**6, 10**6), (0, 10**15), (1,) * 33, (HUGE,), (3, None), [True], ("1",))


def _draws():
    streams = MersenneTwister(1), Xoroshiro128Star(1)
    others = ("float16", np.int32, ">f4", "f4,f4", "(2,3)f4", "O", ...)
    dtypes = OBJECT._replace(wrong=others, right=(np.dtype,))
    for stream in streams:
        yield {"shape": SHAPE._replace(right=(tuple, list))}, stream.bitrand
    twister, xoroshiro = streams
    for draw in (twister.rand, twister.randn):
        yield {"shape": SHAPE}, draw
        yield {"dtype": dtypes}, lambda draw=draw, dtype=None: draw(3, dtype)
    huge = NATURAL._replace(wrong=(10**12, HUGE))
    yield {"n": huge}, twister.randperm
    yield {"n": huge}, xoroshiro.uint64
    yield {"seed": NATURAL}, MersenneTwister
    yield {"seed": Kind(int, -(2**127), 2**128 - 1, wrong=(0,))}, Xoroshiro128Star


def test_streams():
    for kinds, draw in _draws():
        for name, value in cases(kinds, N // 5):
            if name == "dtype" and value is float:
                continue
            assert_refused(name, lambda draw=draw, name=name, value=value: draw(**{name: value}))
    for value in SHAPES:
        for draw in (MersenneTwister(1).rand, MersenneTwister(1).randn, Xoroshiro128Star(1).bitrand):
            assert_refused("shape", lambda draw=draw, value=value: draw(value))
    for value in (None, 3, "abc", np.zeros((2, 2)), [[1], [1, 2]], range(10**15)):
        assert_refused("x", lambda value=value: MersenneTwister(1).shuffle(value))
    assert_refused("seeds", lambda: next(MersenneTwister.from_seeds(3)))  # type: ignore[arg-type]


WORDS_OF_NO_NUMBER = ["nan", "inf", "-inf", "1e39", "x", "0x10", "1+0j", "True", "None", "\u0661", "[1]", "1;2"]
WORDS_OF_NO_NUMBER += ["1" + "0" * 5000]


def test_the_command_line():
    from typer.testing import CliRunner

    from pyflossing.cli.app import app

    chance, runner = random.Random(2), CliRunner()
    for i in range(N):
        name = list(README)[i % len(README)]
        kind = LEGACY[name]
        words = [*WORDS_OF_NO_NUMBER, *(("1.5", "1.0") if kind.kind is int else ())]
        if kind.least is not None:
            words.append(str(kind.least - 1 - chance.randrange(1000)))
        values = [chance.choice(words) if known == name else str(value) for known, value in README.items()]
        found = runner.invoke(app, ["config", "--from-legacy", *values])
        assert found.exit_code == 2, (values, found.output)
        assert found.stdout == ""
        assert found.stderr.startswith(f"pyflossing: {name} = "), found.stderr
        assert found.stderr.rstrip("\n").isprintable()
