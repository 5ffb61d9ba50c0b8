"""Claims about the random streams that need no Julia. The golden streams are compared by the parity checks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyflossing.julia_random import MersenneTwister, Xoroshiro128Star, _dsfmt, _mersenne_twister
from pyflossing.julia_random._dsfmt import RawStream, initial_state, initial_states

SEEDS = st.integers(0, 2**63)


@pytest.mark.parametrize("few", [0, 3])
@given(seeds=st.lists(SEEDS | st.integers(0, 2**130), max_size=5))
def test_seeds_prepared_together_equal_seeds_alone(few, seeds):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_dsfmt, "_FEW", few)  # so few that these are prepared together
        found = initial_states(seeds)
    for together, seed in zip(found, seeds, strict=True):
        np.testing.assert_array_equal(together, initial_state(seed))


def test_generators_from_seeds_cross_the_batch_size(monkeypatch):
    monkeypatch.setattr(_mersenne_twister, "_SEEDS_AT_ONCE", 2 * _dsfmt._FEW)
    seeds = [*range(5 * _dsfmt._FEW), 2**40, 3]
    generators = list(MersenneTwister.from_seeds(iter(seeds)))
    assert len(generators) == len(seeds)
    for generator, seed in zip(generators, seeds, strict=True):
        np.testing.assert_array_equal(generator.rand(5), MersenneTwister(seed).rand(5))


@given(SEEDS, st.lists(st.integers(1, 700), max_size=6))
def test_raw_stream_does_not_depend_on_the_pieces_it_is_read_in(seed, pieces):
    whole = RawStream(initial_state(seed)).read(0, sum(pieces), 0)
    stream = RawStream(initial_state(seed))
    position = 0
    for piece in pieces:
        np.testing.assert_array_equal(
            stream.read(position, position + piece, position), whole[position : position + piece]
        )
        position += piece


@given(SEEDS, st.lists(st.sampled_from(["rand", "randn", "bits", "perm"]), max_size=6))
def test_reseeding_starts_the_stream_afresh(seed, calls):
    def draws(generator):
        methods = {
            "rand": lambda: generator.rand((3, 5), np.float32),
            "randn": lambda: generator.randn(700),
            "bits": lambda: generator.bitrand(130),
            "perm": lambda: generator.randperm(9),
        }
        return [methods[call]() for call in calls]

    used = MersenneTwister(seed + 1)
    used.rand(500, np.uint64)
    used.randn()
    used.seed(seed)
    for first, second in zip(draws(used), draws(MersenneTwister(seed)), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("n", [0, 1, 12, 13, 500, 1001, 1003, 5000])
def test_float32_normals_are_the_rounded_scalar_draws(n):
    array, scalars = MersenneTwister(3), MersenneTwister(3)
    np.testing.assert_array_equal(array.randn(n, np.float32), [scalars.randn(dtype=np.float32) for _ in range(n)])
    np.testing.assert_array_equal(array.rand(4), [scalars.rand() for _ in range(4)])


def test_long_normals_continue_where_scalar_draws_would():
    array, scalars = MersenneTwister(11), MersenneTwister(11)
    array.rand(100)
    scalars.rand(100)
    expected = np.array([scalars.randn() for _ in range(40_000)])
    np.testing.assert_array_equal(array.randn(40_000, np.float32), expected.astype(np.float32))
    assert array.rand() == scalars.rand()


def test_a_million_normals_have_the_moments_of_a_normal():
    values = MersenneTwister(5).randn(10**6)
    standard_error = 1e-3
    assert abs(values.mean()) < 5 * standard_error
    assert abs(values.var() - 1) < 5 * np.sqrt(2) * standard_error
    assert abs((values**4).mean() - 3) < 5 * np.sqrt(96) * standard_error
    # beyond 3.65 the tail's own branch draws: P = 2.6e-4
    assert abs((np.abs(values) > 3.6541528853610088).mean() - 2.58e-4) < 5 * np.sqrt(2.6e-4 / 1e6)


@given(st.integers(0, 300), SEEDS)
def test_permutations_are_permutations_and_start_at_one(n, seed):
    generator = MersenneTwister(seed)
    assert sorted(generator.randperm(n)) == list(range(1, n + 1))
    assert sorted(generator.shuffle(range(1, n + 1))) == list(range(1, n + 1))


def test_shuffle_leaves_its_argument_alone_and_keeps_its_type():
    values = np.array(["a", "b", "c"])
    shuffled = MersenneTwister(1).shuffle(values)
    assert values.tolist() == ["a", "b", "c"]
    assert sorted(shuffled) == ["a", "b", "c"]
    assert MersenneTwister(1).shuffle(range(1, 1)).dtype == np.int64


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint64])
def test_arrays_are_filled_column_major_with_their_type(dtype):
    flat, shaped = MersenneTwister(9).rand(24, dtype), MersenneTwister(9).rand((2, 3, 4), dtype)
    assert shaped.dtype == dtype
    np.testing.assert_array_equal(shaped, flat.reshape((2, 3, 4), order="F"))
    assert isinstance(MersenneTwister(9).rand(dtype=dtype), dtype)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: MersenneTwister(-1), "seed = -1"),
        (lambda: MersenneTwister(1.5), "seed = 1.5"),
        (lambda: MersenneTwister(True), "seed = True"),
        (lambda: MersenneTwister("1"), "seed = '1'"),
        (lambda: MersenneTwister(0).rand(3, np.float16), "dtype = 'float16'"),
        (lambda: MersenneTwister(0).randn(3, np.uint64), "dtype = 'uint64'"),
        (lambda: MersenneTwister(0).rand(-1), "shape = -1"),
        (lambda: MersenneTwister(0).rand((2, -1)), "shape = (2, -1)"),
        (lambda: MersenneTwister(0).randperm(-3), "n = -3"),
        (lambda: MersenneTwister(0).shuffle(np.zeros((2, 2))), "x = array([[0., 0.], [0., 0.]])"),
        (lambda: Xoroshiro128Star(0), "seed = 0"),
        (lambda: Xoroshiro128Star(2**128), "seed = "),
        (lambda: Xoroshiro128Star(1).uint64(-1), "n = -1"),
    ],
)
def test_bad_arguments_are_named(call, named):
    with pytest.raises(ValueError) as caught:
        call()
    assert named in str(caught.value)
    assert "allowed" in str(caught.value)


def test_xoroshiro_bits_are_its_words_lowest_bit_first():
    words = Xoroshiro128Star(77).uint64(3)
    bits = Xoroshiro128Star(77).bitrand((5, 30)).ravel(order="F")
    assert [int(word) >> i & 1 for word in words for i in range(64)][:150] == bits.astype(int).tolist()


@given(st.integers(1, 2**127))
def test_negative_xoroshiro_seeds_are_twos_complement(magnitude):
    negative, positive = Xoroshiro128Star(-magnitude), Xoroshiro128Star(2**128 - magnitude)
    assert negative.state == positive.state
