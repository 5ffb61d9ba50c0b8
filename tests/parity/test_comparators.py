"""Claims about how pairs of arrays are judged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from parity.checks.comparators import identical, within


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
