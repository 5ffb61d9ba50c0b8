"""Claims about norms and clipping where squares leave the range of their type."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from network_cases import seeds

from pyflossing import DelayedXOR, Flossing, FlossingSchedule, TrainingConfig, Trials, WeightDistribution, floss
from pyflossing._support.norms import euclidean_norm, scaled
from pyflossing.training.loop import run
from pyflossing.training.optimiser import clip
from pyflossing.training.state import initial_state

FLOAT32 = (torch.float32, st.integers(-44, 36))
FLOAT64 = (torch.float64, st.integers(-320, 305))


@pytest.mark.parametrize(("dtype", "exponents"), [FLOAT32, FLOAT64], ids=["float32", "float64"])
@given(data=st.data(), seed=seeds, n=st.integers(1, 70))
def test_a_norm_is_right_at_every_scale(dtype, exponents, data, seed, n):
    x = torch.from_numpy(np.random.default_rng(seed).standard_normal(n) * 10.0 ** data.draw(exponents)).to(dtype)
    true = math.hypot(*x.tolist())
    for found in (euclidean_norm(x), euclidean_norm(x[: n // 2], x[n // 2 :])):
        # below the normal range numbers have a fixed spacing, and the parts' norms are rounded to it too
        assert math.isclose(found, true, rel_tol=8 * torch.finfo(dtype).eps, abs_tol=4 * math.ulp(0.0))


@given(seed=seeds, exponent=st.integers(-12, 15), wide=st.booleans(), n=st.integers(1, 500))
def test_an_ordinary_norm_has_torch_s_bits(seed, exponent, wide, n):
    x = torch.from_numpy(np.random.default_rng(seed).standard_normal(n) * 10.0**exponent).to(torch.float64)
    x = x if wide else x.float()
    assert euclidean_norm(x) == float(torch.linalg.vector_norm(x))


@pytest.mark.parametrize("x", [[0.0, 0.0], [math.inf, 1.0], [-math.inf, math.inf], []])
def test_nothing_and_infinity(x):
    assert euclidean_norm(torch.tensor(x)) == (math.inf if math.inf in x else 0.0)
    assert math.isnan(euclidean_norm(torch.tensor([*x, math.nan]), torch.ones(2)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("limit", [1e-30, 0.03, 1.0, 1e30])
def test_large_gradients_are_clipped_to_the_limit_and_keep_their_direction(dtype, limit):
    direction = torch.tensor([0.6, -0.8, 0.0], dtype=dtype)
    for length in (torch.finfo(dtype).max, torch.finfo(dtype).max ** 0.6):
        clipped = clip(direction * length, limit)
        torch.testing.assert_close(clipped, direction * min(limit, length), rtol=1e-6, atol=0)


def test_the_gradient_whose_norm_no_float64_holds_is_clipped_too():
    arrays = [torch.full((50,), 1.7e308, dtype=torch.float64), torch.full((50,), -1.7e308, dtype=torch.float64)]
    assert euclidean_norm(*arrays) == math.inf
    for x, sign in zip(scaled(arrays, 1.0, math.inf), (1, -1), strict=True):
        torch.testing.assert_close(x, torch.full_like(x, 0.1 * sign))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_flossing_of_weak_weights_clips_gradients_instead_of_losing_them(dtype):
    """An exponent is the logarithm of the gain, so its derivative is as large as the gain is small."""
    flossing = Flossing(4, 0.0, 14, 16, FlossingSchedule(1, 0, 1, 0), clip_norm=0.5)
    config = TrainingConfig(
        n_units=6, task=DelayedXOR(1), trials=Trials(2, 6), flossing=flossing, n_epochs=1, dtype=dtype,
        weights=WeightDistribution(gain=1e-25),
    )  # fmt: skip
    state = initial_state(config)
    record = next(run(config, state))
    assert euclidean_norm(record.gradients["J"]) > 1e24
    first_moment = state.flossing_adam["J"].m
    assert math.isclose(euclidean_norm(first_moment), (1 - config.optimiser.beta1) * 0.5, rel_tol=1e-5)
    assert bool((first_moment != 0).any(dim=0).all())


def test_floss_clips_a_gradient_whose_square_is_too_large_for_float64():
    weight = torch.full((1,), 1e-200, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.SGD([weight], lr=1.0)
    state = torch.ones(1, 1, dtype=torch.float64)
    history = floss(
        lambda h, _: weight * h + 1, [weight], optimiser, lambda _: (state, None), 1, n_steps=20, clip_norm=0.25
    )
    assert 1e200 < float(history.gradient_norm[0]) < math.inf
    assert math.isclose(weight.item(), 0.25, rel_tol=1e-12)
