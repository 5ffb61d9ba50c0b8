"""Claims about loss, accuracy and gradients that need no Julia; whole gradients are compared with it in the report."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from network_cases import networks, random_frame, random_parameters, random_trials, seeds

from pyflossing._support.errors import NonFiniteError
from pyflossing.gradients import by_autograd as gradients
from pyflossing.gradients import training_pass
from pyflossing.gradients.by_autograd import flossing_gradient, training_gradient
from pyflossing.model.loss import Parameters, drive, loss_and_accuracy, readout, relax, trajectory
from pyflossing.model.networks import SpikingNetwork, TanhNetwork
from pyflossing.model.spectrum import flossing_loss, spectrum


@given(
    network=networks, n=st.integers(1, 5), steps=st.integers(2, 12), batch=st.integers(1, 4), seed=seeds, data=st.data()
)
def test_loss_is_the_mean_cross_entropy_over_the_original_s_count(network, n, steps, batch, seed, data):
    first = data.draw(st.integers(0, steps - 1))
    p = random_parameters(network, n, batch, seed)
    inputs, targets = random_trials(steps, batch, seed)
    loss, accuracy = loss_and_accuracy(network, p, inputs, targets, first)
    x, total, right = p.x0, 0.0, 0
    for n_step in range(1, steps + 1):
        x = network.step(x, p.ws @ inputs[n_step - 1] + p.b[:, None], p.J)
        r = (p.wr @ x[:n] + p.offset).numpy()
        y = targets[n_step - 1].numpy()
        if n_step >= first:
            total += np.logaddexp(0, (1 - 2 * y) * r).sum()
            right += ((r >= 0) == (y == 1)).sum()
    count = batch * (steps - first + 1)
    assert float(loss) == pytest.approx(total / count, rel=1e-12)
    assert float(accuracy) == pytest.approx(right / count, rel=1e-12)


@pytest.mark.parametrize("method", [gradients.training_gradient, training_pass.training_gradient])
@pytest.mark.parametrize("target", [0.0, 1.0])
@pytest.mark.parametrize("readout_", [-60.0, -17.0, -10.0, 0.0, 3.0, 17.0, 60.0])
def test_a_small_loss_keeps_its_digits_in_float32(method, target, readout_):
    quiet = random_parameters(TanhNetwork(), 3, 2, 1, dtype=torch.float32)
    p = quiet._replace(wr=torch.zeros(1, 3), offset=torch.tensor([readout_]))
    inputs, targets = random_trials(4, 2, 1, dtype=torch.float32)
    found = method(TanhNetwork(), p, inputs, torch.full_like(targets, target), 1)
    assert found.loss == pytest.approx(np.logaddexp(0, (1 - 2 * target) * readout_), rel=1e-6)
    expected = 1 / (1 + np.exp(-readout_)) - target
    assert float(found.gradients.offset) == pytest.approx(expected, abs=1e-6)


@given(n=st.integers(1, 4), inputs_per_step=st.integers(1, 3), seed=seeds)
def test_inputs_are_averaged_over_channels(n, inputs_per_step, seed):
    p = random_parameters(TanhNetwork(), n, 2, seed, n_inputs=inputs_per_step)
    inputs, _ = random_trials(3, 2, seed, n_inputs=inputs_per_step)
    expected = sum(p.ws[:, i, None] * inputs[:, i, None, :] for i in range(inputs_per_step)) / inputs_per_step
    torch.testing.assert_close(drive(p.ws, p.b, inputs), expected + p.b[:, None])


@given(n=st.integers(1, 4), steps=st.integers(2, 8), seed=seeds)
def test_training_gradients_of_a_smooth_network_are_derivatives(n, steps, seed):
    p = random_parameters(TanhNetwork(), n, 2, seed)
    inputs, targets = random_trials(steps, 2, seed)

    def loss(*parameters):
        return loss_and_accuracy(TanhNetwork(), Parameters(*parameters), inputs, targets, 1)[0]

    assert torch.autograd.gradcheck(loss, tuple(x.requires_grad_() for x in p), rtol=1e-5, atol=1e-7)


@given(n=st.integers(2, 4), k=st.integers(1, 2), seed=seeds)
def test_flossing_gradients_of_a_smooth_network_are_derivatives(n, k, seed):
    p = random_parameters(TanhNetwork(), n, 1, seed)
    inputs, _ = random_trials(14, 1, seed)
    frame = random_frame(n, k, seed)

    def loss(ws, j, b):
        u = drive(ws, b, inputs)[:, :, 0]
        return flossing_loss(spectrum(TanhNetwork(), j, p.x0[:, 0], frame, u, 14), -0.1)

    leaves = tuple(x.requires_grad_() for x in (p.ws, p.J, p.b))
    # close to a degenerate pair of directions the derivative is large and central differences lose digits
    assert torch.autograd.gradcheck(loss, leaves, rtol=1e-3, atol=1e-5)


@given(network=networks, seed=seeds)
def test_gradients_repeat_bit_for_bit(network, seed):
    p = random_parameters(network, 5, 3, seed, dtype=torch.float32)
    inputs, targets = random_trials(15, 3, seed, dtype=torch.float32)
    first, second = (training_gradient(network, p, inputs, targets, 2) for _ in range(2))
    assert (first.loss, first.accuracy) == (second.loss, second.accuracy)
    assert all(torch.equal(a, b) for a, b in zip(first.gradients, second.gradients, strict=True))


def test_the_reset_passes_no_gradient():
    """With no synaptic input the membrane's gradient through a reset unit is zero, and beta through another."""
    network = SpikingNetwork(0.0, 0.5, 1.0)
    x = torch.tensor([[1.2], [0.3], [0.0], [0.0]], dtype=torch.float64, requires_grad=True)
    after = network.step(x, torch.zeros(2, 1, dtype=torch.float64), torch.zeros(2, 2, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(after[:2].sum(), x)
    assert gradient[:2, 0].tolist() == [0.0, 0.5]


@given(network=networks, n=st.integers(1, 5), seed=seeds)
def test_relaxation_is_a_hundred_steps_of_the_bias_alone(network, n, seed):
    p = random_parameters(network, n, 2, seed)
    u = drive(p.ws, p.b, torch.zeros(100, 1, 2, dtype=torch.float64))
    normals = p.x0[:n]
    states = trajectory(network, p.J, network.rest(normals), u)
    torch.testing.assert_close(relax(network, p.J, p.b, normals), states[-1], rtol=1e-9, atol=1e-9)


@given(network=networks, seed=seeds)
def test_the_readout_sees_the_membranes(network, seed):
    p = random_parameters(network, 3, 2, seed)
    r = readout(network, p.wr, p.offset, p.x0[None])
    torch.testing.assert_close(r[0, 0], (p.wr @ p.x0[:3] + p.offset)[0])


def test_a_state_that_overflows_is_named_with_its_step():
    p = random_parameters(SpikingNetwork.published(), 3, 2, 1)
    inputs, targets = random_trials(9, 2, 1)
    inputs[4] = float("inf")
    with pytest.raises(NonFiniteError, match=r"a state is not finite \(step 5\)") as caught:
        training_gradient(SpikingNetwork.published(), p, inputs, targets, 1)
    assert (caught.value.quantity, caught.value.step) == ("state", 5)


def test_flossing_refuses_an_exponent_of_minus_infinity():
    p = random_parameters(TanhNetwork(), 3, 1, 1)._replace(J=torch.zeros(3, 3, dtype=torch.float64))
    inputs, _ = random_trials(20, 1, 1)
    with pytest.raises(NonFiniteError, match=r"local exponent 1 is -inf \(step 1\)"):
        flossing_gradient(TanhNetwork(), p, p.x0[:, 0], random_frame(3, 2, 1), inputs[:, :, 0], 20, 0.0)
