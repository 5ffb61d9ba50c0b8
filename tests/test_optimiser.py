"""Claims about clipping and Adam; the authors' recorded updates are compared bit for bit in the report."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from network_cases import seeds

from pyflossing.training.optimiser import AdamState, Rates, adam_update, adam_updates, clip

RATES = Rates(1e-3, 0.9, 0.999)


@given(seed=seeds, updates=st.integers(1, 6), scale=st.floats(1e-6, 1e3))
def test_in_float64_it_is_the_adam_that_everyone_knows(seed, updates, scale):
    generator = torch.Generator().manual_seed(seed)
    ours = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    theirs = ours.clone().requires_grad_()
    peer = torch.optim.Adam([theirs], lr=RATES.learning_rate, betas=(RATES.beta1, RATES.beta2), eps=1e-8)
    state = AdamState.fresh(ours, RATES)
    for _ in range(updates):
        gradient = scale * torch.randn(3, 4, generator=generator, dtype=torch.float64)
        theirs.grad = gradient.clone()
        peer.step()
        ours, state = adam_update(ours, gradient, state, RATES)
    torch.testing.assert_close(ours, theirs.detach(), rtol=1e-12, atol=1e-14)


@given(seed=seeds)
def test_float32_moments_are_float64_results_rounded_once(seed):
    rng = np.random.default_rng(seed)
    gradient = rng.standard_normal(50)
    x = rng.standard_normal(50).astype(np.float32)
    updated, state = adam_update(
        torch.from_numpy(x), torch.from_numpy(gradient), AdamState.fresh(torch.from_numpy(x), RATES), RATES
    )
    m, v = np.float32((1 - 0.9) * gradient), np.float32((1 - 0.999) * gradient**2)
    step = m.astype(float) / (1 - 0.9) / (np.sqrt(v.astype(float) / (1 - 0.999)) + 1e-8) * 1e-3
    assert np.array_equal(state.m.numpy(), m)
    assert np.array_equal(state.v.numpy(), v)
    assert np.array_equal(updated.numpy(), np.float32(x - step))


def test_a_float32_gradient_rounds_the_step_before_it_is_subtracted():
    x, gradient = torch.tensor([0.3]), torch.tensor([0.7])
    updated, state = adam_update(x, gradient, AdamState.fresh(x, RATES), RATES)
    step = state.m.double() / (1 - 0.9) / (torch.sqrt(state.v.double() / (1 - 0.999)) + 1e-8) * 1e-3
    assert torch.equal(updated, x - step.float())


@given(seed=seeds, length=st.floats(1e-3, 10))
def test_clipping_shortens_long_gradients_and_leaves_short_ones(seed, length):
    direction = torch.from_numpy(np.random.default_rng(seed).standard_normal((4, 2)))
    gradient = direction * (length / torch.linalg.vector_norm(direction))
    clipped = clip(gradient, 0.03)
    if length <= 0.0299:
        assert clipped is gradient
    torch.testing.assert_close(clipped, gradient * min(1.0, 0.03 / length))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_arrays_keep_their_type(dtype):
    x = torch.ones(3, dtype=dtype)
    updated, state = adam_update(x, torch.ones(3, dtype=torch.float64), AdamState.fresh(x, RATES), RATES)
    assert updated.dtype == state.m.dtype == state.v.dtype == dtype


@given(seed=seeds, wide=st.booleans(), same=st.booleans())
def test_several_arrays_at_once_are_updated_as_alone_bit_for_bit(seed, wide, same):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(3, 1), (4, 5), (7,)]
    arrays = [torch.randn(shape, generator=generator) for shape in shapes]
    states = [AdamState.fresh(x, RATES) for x in arrays]
    if not same:
        states[1] = adam_update(arrays[1], arrays[1], states[1], RATES)[1]
    for _ in range(3):
        gradients = [torch.randn(shape, generator=generator).to(torch.float64 if wide else None) for shape in shapes]
        alone = [adam_update(*each, RATES) for each in zip(arrays, gradients, states, strict=True)]
        arrays, states = adam_updates(arrays, gradients, states, RATES)
        for x, state, (expected, expected_state) in zip(arrays, states, alone, strict=True):
            assert torch.equal(x, expected)
            assert torch.equal(state.m, expected_state.m)
            assert torch.equal(state.v, expected_state.v)
            assert (state.power1, state.power2) == (expected_state.power1, expected_state.power2)
