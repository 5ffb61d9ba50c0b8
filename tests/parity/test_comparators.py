"""Claims about how pairs of arrays are judged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from parity.checks.comparators import Estimate, Raster, identical, within
from parity.checks.free_running import Series, until_horizon


@given(arrays(np.float32, st.tuples(st.integers(0, 4), st.integers(0, 4))))
def test_an_array_is_identical_to_its_copy_in_any_order_nan_included(values):
    assert identical(values, np.asfortranarray(values.copy())).passed


@given(arrays(np.float64, (3, 4)), st.integers(0, 11), st.integers(0, 63))
def test_one_flipped_bit_is_found_and_located(values, place, bit):
    other = values.copy(order="F")
    other.ravel(order="K").view(np.uint64)[place] ^= np.uint64(1) << np.uint64(bit)
    verdict = identical(values, other)
    row, column = np.unravel_index(place, (3, 4), order="F")
    assert not verdict.passed
    assert f"1 of 12 differ, first at [{row}, {column}] (Julia [{row + 1}, {column + 1}])" in verdict.detail


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (np.zeros(2, np.float32), np.zeros(2), "types differ"),
        (np.zeros((2, 1)), np.zeros((1, 2)), "shapes differ"),
        (np.array(0.0), np.array(-0.0), "ours 0.0 (0x0.0p+0), theirs -0.0 (-0x0.0p+0)"),
    ],
)
def test_form_and_sign_of_zero_count(ours, theirs, said):
    verdict = identical(ours, theirs)
    assert not verdict.passed
    assert said in verdict.detail


def test_a_bound_admits_up_to_itself_and_never_nan():
    compare = within(lambda _ours, _theirs: 0.5, "a made-up cause")
    assert compare(np.array([1.0, 2.0]), np.array([1.5, 2.0])).passed
    verdict = compare(np.array([1.0, 2.0]), np.array([1.0, 2.51]))
    assert not verdict.passed
    assert "a made-up cause" in verdict.detail
    assert not compare(np.array([np.nan]), np.array([np.nan])).passed


def test_an_estimate_admits_its_own_bound_number_by_number():
    ours = Estimate(np.array([1.0, 2.0]), np.array([0.5, 0.0]), "a made-up cause")
    assert ours.judge(np.array([1.5, 2.0])).passed
    verdict = ours.judge(np.array([1.0, 2.1]))
    assert not verdict.passed
    assert "first at [1] (Julia [2])" in verdict.detail
    assert not ours.judge(np.array([np.nan, 2.0])).passed
    assert "types differ" in ours.judge(np.array([1.0, 2.0], np.float32)).detail


def raster_of(margin, bound):
    values = np.zeros((1, 1, 3), np.uint8)
    return Raster(values, np.full((1, 1, 3), margin), np.full(3, bound))


def test_rasters_may_part_only_where_a_state_lies_within_rounding_of_the_threshold():
    parted = np.zeros((1, 1, 3), np.uint8)
    parted[0, 0, 1:] = 1
    near, far = (raster_of(margin, 1e-6).judge(parted) for margin in (1e-7, 1e-3))
    assert near.passed
    assert "parts at step 2 of 3, where a state lies 1.0e-07 from the threshold" in near.detail
    assert not far.passed
    assert raster_of(1e-3, 1e-6).judge(np.zeros((1, 1, 3), np.uint8)).detail == "bit for bit"


def test_a_series_is_compared_up_to_its_horizon_and_says_so():
    series = Series(Estimate(np.array([1.0, 2.0]), np.full(2, 0.1), "a cause"), total=3, unit="epochs", computed=3)
    verdict = series.judge(np.array([1.0, 2.05, 99.0]))
    assert verdict.passed
    assert verdict.extent == "2 of 3 epochs (divergence horizon)"
    assert not series.judge(np.array([1.0, 2.2, 3.0])).passed
    assert not series.judge(np.array([1.0, 2.0])).passed


@given(st.integers(2, 30), st.integers(1, 3))
def test_the_bound_of_a_series_never_shrinks_and_ends_where_it_exceeds_a_thousandth(rows, seed):
    rng = np.random.default_rng(seed)
    values = rng.uniform(1, 2, rows)
    runs = values + 10.0 ** np.linspace(-8, -2, rows) * rng.standard_normal((16, rows))
    limited = until_horizon(values, runs, runs, 1e-16)
    so_far = np.maximum.accumulate(np.abs(runs - runs.mean(axis=0)), axis=1)
    bound = 10 * np.sqrt(2 * 16 / 15 * (so_far**2).mean(axis=0)) + 8e-16 * values
    horizon = np.flatnonzero(np.append(bound > 1e-3 * values, True))[0]
    assert len(limited.values) == horizon
    np.testing.assert_allclose(limited.bound, bound[:horizon])


def test_imprecise_runs_of_ours_do_not_make_their_own_horizon():
    rng = np.random.default_rng(1)
    values = np.ones(8)
    theirs, ours = (values + scale * rng.standard_normal((16, 8)) for scale in (1e-7, 1e-2))
    limited = until_horizon(values, ours, theirs, 1e-7)
    assert len(limited.values) == 8
    assert "ours is imprecise" in limited.flaw
    assert not limited.judge(values).passed


def test_a_moved_run_that_is_no_longer_finite_ends_the_horizon_and_one_of_ours_alone_is_a_flaw():
    rng = np.random.default_rng(1)
    values, finite = np.ones(8), 1 + 1e-7 * rng.standard_normal((16, 8))
    broken = finite.copy()
    broken[3, 5:] = np.nan
    limited = until_horizon(values, finite, broken, 1e-7)
    assert len(limited.values) == 5
    assert limited.judge(values[:5]).passed
    assert "ours is imprecise" in until_horizon(values, broken, finite, 1e-7).flaw
