"""Claims about the initial weights that need no Julia."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyflossing import WeightDistribution, initial_weights

SEED = st.integers(0, 2**63 - 1)


@given(n=st.integers(1, 40), gain=st.floats(0.1, 5), seed=SEED)
def test_orthogonal_weights_are_gain_times_orthogonal(n, gain, seed):
    j = initial_weights(n, seed, WeightDistribution("orthogonal", gain=gain)).J.astype(np.float64) / np.float32(gain)
    # each entry is rounded to Float32 twice, and a product of two columns adds n of them
    np.testing.assert_allclose(j.T @ j, np.eye(n), atol=4 * n * np.finfo(np.float32).eps)


@given(n=st.integers(1, 20), s=st.integers(1, 3), seed=SEED)
def test_shapes_and_types(n, s, seed):
    weights = initial_weights(n, seed, n_inputs=s)
    assert {name: values.shape for name, values in weights._asdict().items()} == {
        "ws": (n, s),
        "J": (n, n),
        "wr": (1, n),
        "b": (n,),
        "offset": (1,),
    }
    assert all(values.dtype == np.float32 for values in weights)


@given(seed=SEED, mean=st.floats(-10, 10))
def test_mean_coupling_shifts_gaussian_weights_and_is_ignored_for_orthogonal_ones(seed, mean):
    plain, shifted = (initial_weights(8, seed, WeightDistribution(mean_coupling=m)).J for m in (0.0, mean))
    np.testing.assert_array_equal(shifted, plain + np.float32(mean) / np.float32(8))
    plain, ignored = (
        initial_weights(8, seed, WeightDistribution("orthogonal", mean_coupling=m)).J for m in (0.0, mean)
    )
    np.testing.assert_array_equal(ignored, plain)


@given(seed=SEED)
def test_bias_is_uniform_above_its_mean(seed):
    b = initial_weights(50, seed, WeightDistribution(bias_mean=1.0, bias_spread=0.5)).b
    assert (b >= 1).all()
    assert (b <= 1.5).all()


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: initial_weights(0, 1), "n_units = 0"),
        (lambda: initial_weights(4, -1), "seed = -1"),
        (lambda: initial_weights(4, 1, n_inputs=0), "n_inputs = 0"),
        (lambda: WeightDistribution("diagonal"), "coupling = 'diagonal'"),
        (lambda: WeightDistribution(gain=float("inf")), "gain = inf"),
        (lambda: WeightDistribution(bias_mean=None), "bias_mean = None"),
    ],
)
def test_bad_arguments_are_named(call, named):
    with pytest.raises(ValueError) as caught:
        call()
    assert named in str(caught.value)
