"""Claims about one step of the networks and its Jacobian."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from network_cases import factor_networks, networks, random_parameters, seeds, spiking_networks

from pyflossing.model.networks import SpikingNetwork, TanhNetwork, network_from_name


def _jacobian(network, p, x, u):
    """D as a matrix, from its action on the unit vectors."""
    x_next = network.step(x[:, None], u[:, None], p.J)[:, 0]
    return network.jacobian_action(x, x_next, p.J, torch.eye(len(x), dtype=x.dtype))


@given(seed=seeds, n=st.integers(1, 7))
def test_tanh_jacobian_is_that_of_the_rates(seed, n):
    """D acts on perturbations of tanh(x): h' = tanh(J h + u)."""
    p = random_parameters(TanhNetwork(), n, 1, seed)
    x, u = p.x0[:, 0], p.b
    by_autograd = torch.func.jacrev(lambda h: torch.tanh(p.J @ h + u))(torch.tanh(x))
    torch.testing.assert_close(_jacobian(TanhNetwork(), p, x, u), by_autograd, rtol=1e-12, atol=1e-14)


@given(network=spiking_networks, seed=seeds, n=st.integers(1, 7))
def test_spiking_jacobian_is_that_of_the_step_without_reset(network, seed, n):
    network = replace(network, jacobian_surrogate=network.spike_surrogate)
    p = random_parameters(network, n, 1, seed)
    mem = network.threshold - p.x0[:n].abs() - 0.01  # below threshold nothing is reset
    x = torch.cat([mem, p.x0[n:]])[:, 0]
    by_autograd = torch.func.jacrev(lambda y: network.step(y[:, None], p.b[:, None], p.J)[:, 0])(x)
    torch.testing.assert_close(_jacobian(network, p, x, p.b), by_autograd, rtol=1e-12, atol=1e-14)


@given(network=factor_networks, seed=seeds, n=st.integers(1, 7))
def test_spiking_jacobian_with_the_reset_s_factor_is_that_of_the_whole_step(network, seed, n):
    """What the training's backward pass transposes, whether units spike or not."""
    network = replace(network, jacobian_surrogate=network.spike_surrogate)
    p = random_parameters(network, n, 1, seed)
    x = 2 * p.x0[:, 0]
    x[0] = network.threshold  # where no spike is sent yet
    by_autograd = torch.func.jacrev(lambda y: network.step(y[:, None], p.b[:, None], p.J)[:, 0])(x)
    torch.testing.assert_close(_jacobian(network, p, x, p.b), by_autograd, rtol=1e-12, atol=1e-14)


@given(network=spiking_networks, seed=seeds, n=st.integers(1, 7))
def test_the_reset_s_factor_leaves_of_the_published_jacobian_the_rows_of_silent_membranes(network, seed, n):
    p = random_parameters(network, n, 1, seed)
    x = 2 * p.x0[:, 0]
    published, ours = (_jacobian(replace(network, jacobian_reset=of), p, x, p.b) for of in ("none", "factor"))
    spiking = x[:n] > network.threshold
    assert torch.equal(ours[n:], published[n:])
    assert torch.equal(ours[:n][~spiking], published[:n][~spiking])
    assert not ours[:n][spiking].any()


@given(network=networks, seed=seeds)
def test_trials_of_a_batch_do_not_meet(network, seed):
    p = random_parameters(network, 5, 4, seed)
    u = random_parameters(network, 5, 4, seed + 1).x0[:5]
    together = network.step(p.x0, u, p.J)
    alone = torch.cat([network.step(p.x0[:, j : j + 1], u[:, j : j + 1], p.J) for j in range(4)], dim=1)
    torch.testing.assert_close(together, alone, rtol=1e-13, atol=1e-14)


@given(network=networks, seed=seeds)
def test_leading_dimensions_are_an_ensemble_of_networks(network, seed):
    members = [random_parameters(network, 4, 3, seed + i) for i in range(3)]
    x, u, j = (torch.stack(t) for t in zip(*((p.x0, p.x0[:4], p.J) for p in members), strict=True))
    alone = torch.stack([network.step(p.x0, p.x0[:4], p.J) for p in members])
    torch.testing.assert_close(network.step(x, u, j), alone, rtol=1e-13, atol=1e-14)


def test_published_constants_are_those_of_the_example():
    network = SpikingNetwork.published()
    assert network.synaptic_decay == pytest.approx(math.exp(-1 / 5))
    assert network.membrane_decay == pytest.approx(math.exp(-1 / 10))
    assert network.membrane_gain == pytest.approx(1 - math.exp(-1 / 10))
    assert (network.threshold, network.jacobian_surrogate.sharpness, network.spike_surrogate.sharpness) == (1, 5, 10)


def test_a_spike_resets_the_membrane_and_reaches_the_synapses():
    network = replace(SpikingNetwork.published(), threshold=1.0)
    x = torch.tensor([[1.5], [0.5], [0.2], [0.1]], dtype=torch.float64)  # mem, mem, syn, syn
    j = torch.tensor([[0.0, 7.0], [3.0, 0.0]], dtype=torch.float64)
    after = network.step(x, torch.zeros(2, 1, dtype=torch.float64), j)[:, 0]
    alpha, beta = network.synaptic_decay, network.membrane_decay
    syn_2 = alpha * 0.1 + 3.0
    expected = [0.0, beta * 0.5 + (1 - beta) * syn_2, alpha * 0.2, syn_2]
    torch.testing.assert_close(after, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize(
    "change", [{"synaptic_decay": 1.0}, {"membrane_decay": -0.1}, {"threshold": float("nan")}, {"membrane_gain": "1"}]
)
def test_bad_constants_are_refused_by_name(change):
    with pytest.raises(ValueError, match=f"^{next(iter(change))} = "):
        replace(SpikingNetwork.published(), **change)


@pytest.mark.parametrize("value", ["full", True, None])
def test_another_treatment_of_the_reset_is_refused(value):
    with pytest.raises(
        ValueError, match=f"^jacobian_reset = {value!r} is not allowed: it must be one of 'none', 'factor'"
    ):
        replace(SpikingNetwork.published(), jacobian_reset=value)


def test_names_of_networks():
    assert [network_from_name(kind).kind for kind in ("tanh", "binary", "spiking")] == ["tanh", "binary", "spiking"]
    with pytest.raises(ValueError, match="network = 'lstm' is not allowed"):
        network_from_name("lstm")
