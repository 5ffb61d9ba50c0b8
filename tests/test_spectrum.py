"""Claims about Lyapunov spectra that need no Julia."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from network_cases import factor_networks, networks, random_frame, random_parameters, random_trials, seeds

from pyflossing.model.loss import drive
from pyflossing.model.networks import SpikingNetwork, TanhNetwork
from pyflossing.model.spectrum import initial_frame, logarithms, spectrum, transient_steps

STEPS = 24


class LinearNetwork(TanhNetwork):
    """x' = J x + u, to have exponents that are known."""

    def step(self, x, u, J):
        return J @ x + u

    def jacobian_action(self, x, x_next, J, Q):
        return J @ Q


def _setup(network, n, seed):
    p = random_parameters(network, n, 1, seed)
    inputs, _ = random_trials(STEPS, 1, seed)
    return p, p.x0[:, 0], drive(p.ws, p.b, inputs)[:, :, 0]


def _collapsed(logs):
    """Whether a direction lost all but a few digits; what it then points to is rounding."""
    return bool((logs < -12).any())


@given(network=networks, n=st.integers(1, 6), seed=seeds)
def test_sum_of_all_exponents_is_the_mean_log_determinant(network, n, seed):
    p, x, u = _setup(network, n, seed)
    n_states = network.n_states(n)
    identity = torch.eye(n_states, dtype=torch.float64)
    logs = []
    state = x
    for n_step in range(STEPS):
        following = network.step(state[:, None], u[n_step][:, None], p.J)[:, 0]
        logs.append(torch.linalg.slogdet(network.jacobian_action(state, following, p.J, identity)).logabsdet)
        state = following
    expected = torch.stack(logs)[transient_steps(STEPS) :].mean()
    assume(bool((torch.stack(logs) > -12).all()))
    total = spectrum(network, p.J, x, random_frame(n_states, n_states, seed), u, STEPS).sum()
    # a Jacobian close to singular loses as many digits as its condition number has, in either way
    torch.testing.assert_close(total, expected, rtol=1e-7, atol=1e-7)


@given(network=factor_networks, n=st.integers(2, 6), k=st.integers(1, 2), seed=seeds)
def test_exponents_with_the_reset_s_factor_are_those_of_the_product_of_explicit_jacobians(network, n, k, seed):
    p, x, u = _setup(network, n, seed)
    frame = random_frame(2 * n, k, seed)
    logs = logarithms(network, p.J, x, frame, u, STEPS)
    assume(bool((logs > -4).all()))  # so that the product keeps its digits
    alpha, beta, c, eye = network.synaptic_decay, network.membrane_decay, network.membrane_gain, torch.eye(n).double()
    at_start, product = None, frame
    for step in range(STEPS):
        if step == transient_steps(STEPS):
            at_start = torch.linalg.qr(product).R.diagonal().abs().log()
        kept = torch.diag((x[:n] <= network.threshold).double())
        sent = p.J @ torch.diag(network.jacobian_surrogate.derivative(x[:n] - network.threshold))
        rows = [torch.hstack([kept @ (beta * eye + c * sent), c * alpha * kept]), torch.hstack([sent, alpha * eye])]
        product = torch.vstack(rows) @ product
        x = network.step(x[:, None], u[step][:, None], p.J)[:, 0]
    grown = torch.linalg.qr(product).R.diagonal().abs().log() - at_start
    expected = grown / (STEPS - transient_steps(STEPS))
    spread = float((logs[:, 0] - logs[:, -1]).clamp_min(0).sum())  # digits that the second column loses to the first
    assume(spread < 12)
    found = spectrum(network, p.J, p.x0[:, 0], frame, u, STEPS)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)


@given(network=networks, n=st.integers(1, 6), seed=seeds, data=st.data())
def test_leading_exponents_do_not_depend_on_how_many_are_computed(network, n, seed, data):
    p, x, u = _setup(network, n, seed)
    frame = random_frame(network.n_states(n), network.n_states(n), seed)
    k = data.draw(st.integers(1, frame.shape[1]))
    whole = logarithms(network, p.J, x, frame, u, STEPS)
    assume(not _collapsed(whole))
    torch.testing.assert_close(logarithms(network, p.J, x, frame[:, :k], u, STEPS), whole[:, :k], rtol=1e-6, atol=1e-6)


@given(n=st.integers(1, 6), seed=seeds, factor=st.floats(0.1, 10))
def test_scaling_a_linear_network_shifts_its_exponents_by_the_logarithm(n, seed, factor):
    p, x, u = _setup(LinearNetwork(), n, seed)
    frame = random_frame(n, n, seed)
    once = spectrum(LinearNetwork(), p.J, x, frame, u, STEPS)
    scaled = spectrum(LinearNetwork(), factor * p.J, x, frame, u, STEPS)
    torch.testing.assert_close(scaled, once + math.log(factor), rtol=1e-7, atol=1e-7)


@given(n=st.integers(1, 6), seed=seeds)
def test_an_orthogonal_linear_network_has_exponents_zero(n, seed):
    _, x, u = _setup(LinearNetwork(), n, seed)
    zeros = spectrum(LinearNetwork(), random_frame(n, n, seed), x, random_frame(n, n, seed + 1), u, STEPS)
    torch.testing.assert_close(zeros, torch.zeros(n, dtype=torch.float64), rtol=0, atol=1e-13)


@given(network=networks, n=st.integers(2, 6), seed=seeds, data=st.data())
def test_renaming_the_units_changes_no_exponent(network, n, seed, data):
    p, x, u = _setup(network, n, seed)
    frame = random_frame(network.n_states(n), 2, seed)
    order = torch.tensor(data.draw(st.permutations(range(n))))
    states = torch.cat([order + n * block for block in range(network.n_states(n) // n)])
    logs = logarithms(network, p.J, x, frame, u, STEPS)
    assume(not _collapsed(logs))
    renamed = logarithms(network, p.J[order][:, order], x[states], frame[states], u[:, order], STEPS)
    torch.testing.assert_close(renamed, logs, rtol=1e-6, atol=1e-6)


def test_a_collapsed_direction_has_exponent_minus_infinity():
    n = 4
    p, x, u = _setup(TanhNetwork(), n, 1)
    zeros = spectrum(TanhNetwork(), torch.zeros_like(p.J), x, random_frame(n, 2, 1), u, STEPS)
    assert zeros.tolist() == [-math.inf, -math.inf]


def test_without_synaptic_memory_half_of_the_spiking_directions_collapse():
    n, network = 3, SpikingNetwork(0.0, 0.5, 1.0)
    p, x, u = _setup(network, n, 5)
    exponents = spectrum(network, p.J, x, random_frame(2 * n, 2 * n, 1), u, STEPS)
    assert exponents[:n].isfinite().all()
    assert (exponents[n:] < -25).all()  # log of rounding errors, or of zero


@pytest.mark.parametrize("n_steps", [0, 1, 11, 12])
def test_a_spectrum_without_counted_steps_is_refused(n_steps):
    p, x, u = _setup(TanhNetwork(), 3, 1)
    with pytest.raises(ValueError, match=f"^n_steps = {n_steps} is not allowed"):
        spectrum(TanhNetwork(), p.J, x, random_frame(3, 1, 1), u, n_steps)
    assert spectrum(TanhNetwork(), p.J, x, random_frame(3, 1, 1), u, 13).isfinite().all()


@given(n=st.integers(1, 20), seed=st.integers(0, 2**63 - 1), data=st.data())
def test_the_initial_frame_is_orthonormal(n, seed, data):
    k = data.draw(st.integers(0, n))
    frame = initial_frame(n, k, seed, like=torch.empty(0, dtype=torch.float64))
    assert frame.shape == (n, k)
    torch.testing.assert_close(frame.T @ frame, torch.eye(k, dtype=torch.float64), rtol=0, atol=1e-14)
