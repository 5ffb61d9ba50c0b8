"""Python and live Julia side by side over random seeds, shapes and interleavings of calls."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.bridge.errors import JuliaError
from parity.checks.comparators import identical
from parity.checks.programs import (
    BITRAND,
    RAND_F64,
    RAND_U64,
    RANDN_F32,
    RANDPERM,
    SHUFFLE,
    Draw,
    encode,
    run,
)
from pyflossing import WeightDistribution, generateInputOutput, initial_weights
from pyflossing.julia_random import MersenneTwister, Xoroshiro128Star

# Lengths on both sides of the edges of the caches (1002, 501 x 2), of direct fills (384) and of bulk normals (13).
LENGTH = st.integers(0, 30) | st.integers(370, 400) | st.integers(980, 1030) | st.integers(1990, 2020)
SEED = st.integers(0, 2**63) | st.sampled_from([0, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1])
INT64 = st.integers(-(2**63), 2**63 - 1)
SHAPE = (
    st.just(())
    | LENGTH.map(lambda n: (n,))
    | st.tuples(st.integers(0, 40), st.integers(0, 12))
    | st.tuples(*[st.integers(0, 9)] * 3)
)
DRAW = st.one_of(
    st.builds(Draw, st.integers(RAND_F64, RANDN_F32), SHAPE),
    st.builds(Draw, st.just(BITRAND), SHAPE.filter(bool)),
    st.builds(Draw, st.sampled_from([RANDPERM, SHUFFLE]), st.tuples(st.integers(0, 300))),
)
PROGRAM = st.lists(DRAW, min_size=1, max_size=6).map(tuple)


def same(ours, theirs):
    verdict = identical(np.asarray(ours), np.asarray(theirs))
    assert verdict.passed, verdict.detail


@pytest.mark.julia
@pytest.mark.parametrize("function", ["twister_draws", "native_twister_draws"])
@given(seed=SEED, program=PROGRAM)
def test_interleaved_draws_equal_julia(julia, function, seed, program):
    if function.startswith("native"):
        kinds = julia.call("native_twister_kinds").tolist()
        program = tuple(draw for draw in program if draw.kind in kinds)
    theirs = julia.call(function, np.uint64(seed), encode(program))
    generator = MersenneTwister(seed)
    for draw, values in zip(program, theirs, strict=True):
        same(run(generator, draw), values)


@pytest.mark.julia
@given(
    seed=INT64.filter(bool),
    shapes=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), min_size=1, max_size=3),
)
def test_xoroshiro_draws_equal_julia(julia, seed, shapes):
    program = tuple(draw for shape in shapes for draw in (Draw(BITRAND, shape), Draw(RAND_U64, shape[:1])))
    generator = Xoroshiro128Star(seed)
    for draw, values in zip(program, julia.call("xoroshiro_draws", seed, encode(program)), strict=True):
        same(generator.bitrand(draw.shape) if draw.kind == BITRAND else generator.uint64(draw.shape[0]), values)


@pytest.mark.julia
@given(
    B=st.integers(0, 5),
    T=st.integers(0, 60),
    seedInput=INT64 | st.integers(-2, 2),
    S=st.integers(1, 2),
    sigma=st.floats(-10, 10) | st.sampled_from([np.nan, np.inf]),
    delay=st.integers(-1, 6),
    task=st.integers(-4, 4),
)
def test_task_data_equal_julia_and_both_refuse_the_same(julia, **arguments):
    try:
        theirs = julia.call("generateInputOutput", *arguments.values())
    except JuliaError:
        with pytest.raises(ValueError):
            generateInputOutput(**arguments)
        return
    for ours, values in zip(generateInputOutput(**arguments), theirs, strict=True):
        same(ours, values)


@pytest.mark.julia
@given(
    n=st.integers(1, 40),
    s=st.integers(1, 3),
    seed=st.integers(0, 2**63 - 1),
    numbers=st.tuples(*[st.floats(-4, 4)] * 8),
)
def test_gaussian_weights_equal_julia(julia, n, s, seed, numbers):
    ours = initial_weights(n, seed, WeightDistribution("gaussian", *numbers), n_inputs=s)._asdict()
    theirs = julia.call("initial_weights", n, s, seed, 1, *numbers)
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        same(values, theirs[name])
