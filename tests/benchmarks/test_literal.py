"""Claims about what timings are compared with, literal loops and JAX: they compute the same."""

from __future__ import annotations

import in_jax
import numpy as np
import pytest
import torch
from literal import flossing_epoch, training_epoch
from network_cases import random_frame, random_parameters, random_trials

from pyflossing import BinaryNetwork, SpikingNetwork, TanhNetwork
from pyflossing.gradients import by_autograd

NETWORKS = (TanhNetwork(), BinaryNetwork(), SpikingNetwork.published(), SpikingNetwork.per_step())


@pytest.mark.parametrize("network", NETWORKS)
def test_training(network):
    p = random_parameters(network, 7, 3, 1, n_inputs=2)
    inputs, targets = random_trials(15, 3, 1, n_inputs=2)
    known = by_autograd.training_gradient(network, p, inputs, targets, 4)
    loss, accuracy, by_parameter = training_epoch(network, p, inputs, targets, 4)
    assert loss == pytest.approx(known.loss, rel=1e-12)
    assert accuracy == pytest.approx(known.accuracy)
    for ours, theirs in zip(by_parameter, known.gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("network", NETWORKS)
def test_flossing(network):
    p = random_parameters(network, 7, 1, 1, n_inputs=2)
    inputs, _ = random_trials(15, 1, 1, n_inputs=2)
    frame = random_frame(network.n_states(7), 3, 1)
    known = by_autograd.flossing_gradient(network, p, p.x0[:, 0], frame, inputs[:, :, 0], 15, -0.1)
    exponents, loss, by_name = flossing_epoch(network, p, p.x0[:, 0], frame, inputs[:, :, 0], 15, -0.1)
    torch.testing.assert_close(exponents, known.exponents, rtol=1e-9, atol=1e-12)
    assert loss == pytest.approx(known.loss, rel=1e-9)
    for name, gradient in known.gradients.items():
        torch.testing.assert_close(by_name[name], gradient, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("network", NETWORKS)
def test_in_jax(network):
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    in_jax.one_thread()
    p = random_parameters(network, 7, 3, 1, n_inputs=2, dtype=torch.float32)
    inputs, targets = random_trials(15, 3, 1, n_inputs=2, dtype=torch.float32)
    known = by_autograd.training_gradient(network, p, inputs, targets, 4)
    found = in_jax.training_gradient(network, 15, 3, 4)(
        *([in_jax.array(x) for x in p], *map(in_jax.array, (inputs, targets)))
    )
    (loss, accuracy), gradients = jax.device_get(found)
    assert loss == pytest.approx(known.loss, rel=1e-5)
    assert accuracy == pytest.approx(known.accuracy)
    for ours, theirs in zip(gradients, known.gradients, strict=True):
        assert np.allclose(ours, theirs, rtol=1e-3, atol=1e-5)
    frame = random_frame(network.n_states(7), 3, 1, dtype=torch.float32)
    arrays = (p.x0[:, 0], frame, inputs[:, :, 0])
    known = by_autograd.flossing_gradient(network, p, *arrays, 15, -0.1)
    flossed = [in_jax.array(getattr(p, name)) for name in by_autograd.FLOSSED]
    (loss, _), gradients = jax.device_get(
        in_jax.flossing_gradient(network, 15, -0.1)(flossed, *map(in_jax.array, arrays))
    )
    assert loss == pytest.approx(known.loss, rel=1e-4)
    for ours, theirs in zip(gradients, known.gradients.values(), strict=True):
        assert np.allclose(ours, theirs, rtol=1e-2, atol=1e-3)
