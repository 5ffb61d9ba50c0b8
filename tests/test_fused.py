"""Claims about the reverse passes that are written out, in torch and compiled: they agree with plain autograd."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from kernel_paths import PATHS, using
from network_cases import factor_networks, networks, random_frame, random_parameters, random_trials, seeds, surrogates

from pyflossing._support.errors import NonFiniteError
from pyflossing.gradients import by_autograd as gradients
from pyflossing.gradients import flossing_pass, training_pass, trajectory_pass
from pyflossing.model.loss import Parameters, drive
from pyflossing.model.networks import BinaryNetwork, SpikingNetwork, TanhNetwork
from pyflossing.model.spectrum import logarithms, transient_steps


@pytest.fixture(autouse=True, params=PATHS)
def path(request):
    with using(request.param):
        yield


class ReluNetwork(TanhNetwork):
    """A user's own: another step and its Jacobian."""

    def step(self, x, u, J):
        return J @ torch.relu(x) + u

    def jacobian_action(self, x, x_next, J, Q):
        return (x_next > 0).to(Q.dtype)[:, None] * (J @ Q) + 0.5 * Q


def _distance(ours, theirs):
    """Largest difference, relative to the largest entry."""
    scale = float(theirs.abs().max())
    return float((ours - theirs).abs().max()) / scale if scale else float(ours.abs().max())


def _far_from_collapse(network, p, x, frame, inputs, n_steps, target):
    """A direction that nearly collapsed, in any step, amplifies rounding by the inverse of what is left of it."""
    logs = logarithms(network, p.J, x, frame, drive(p.ws, p.b, inputs[:, :, None])[:, :, 0], n_steps)
    return float(logs.min()) > -8 and float(logs[transient_steps(n_steps) :].mean(dim=0).min()) > -3


@given(surrogate=surrogates)
def test_slopes_are_derivatives_of_the_surrogates(surrogate):
    v = torch.linspace(-3, 3, 61, dtype=torch.float64, requires_grad=True)
    (by_autograd,) = torch.autograd.grad(surrogate.derivative(v).sum(), v)
    torch.testing.assert_close(surrogate.slope(v.detach()), by_autograd, rtol=1e-12, atol=1e-14)


@given(surrogate=surrogates)
def test_derivatives_in_place_are_the_derivatives(surrogate):
    v = torch.linspace(-3, 3, 61, dtype=torch.float64)
    expected = surrogate.derivative(v)
    assert surrogate.derivative_(v) is v
    torch.testing.assert_close(v, expected, rtol=1e-14, atol=1e-15)


@given(
    network=networks,
    n=st.integers(1, 9),
    steps=st.integers(1, 20),
    batch=st.integers(1, 4),
    channels=st.integers(1, 2),
    seed=seeds,
    data=st.data(),
)
def test_training_gradients_agree_in_float64(network, n, steps, batch, channels, seed, data):
    first, steps_at_once = data.draw(st.integers(0, steps)), data.draw(st.sampled_from([1, 3, steps]))
    p = random_parameters(network, n, batch, seed, n_inputs=channels)
    inputs, targets = random_trials(steps, batch, seed, n_inputs=channels)
    plain = gradients.training_gradient(network, p, inputs, targets, first)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trajectory_pass, "_PART", steps_at_once * n * batch)
        fused = training_pass.training_gradient(network, p, inputs, targets, first)
    assert fused.loss == pytest.approx(plain.loss, rel=1e-12)
    assert fused.accuracy == plain.accuracy
    for ours, theirs in zip(fused.gradients, plain.gradients, strict=True):
        assert ours.shape == theirs.shape
        assert _distance(ours, theirs) < 1e-10


@given(network=networks | factor_networks, n=st.integers(1, 7), steps=st.integers(13, 20), seed=seeds, data=st.data())
def test_flossing_gradients_agree_in_float64(network, n, steps, seed, data):
    k = data.draw(st.integers(1, n))
    p = random_parameters(network, n, 1, seed)
    inputs, _ = random_trials(steps, 1, seed)
    frame = random_frame(network.n_states(n), k, seed)
    arguments = (network, p, p.x0[:, 0], frame, inputs[:, :, 0], steps, -0.1)
    assume(_far_from_collapse(*arguments))
    plain, fused = gradients.flossing_gradient(*arguments), flossing_pass.flossing_gradient(*arguments)
    torch.testing.assert_close(fused.exponents, plain.exponents, rtol=1e-9, atol=1e-10)
    assert fused.loss == pytest.approx(plain.loss, rel=1e-9)
    scale = max(1e-3, *(float(theirs.abs().max()) for theirs in plain.gradients.values()))
    for name, theirs in plain.gradients.items():
        assert float((fused.gradients[name] - theirs).abs().max()) < 1e-8 * scale


@given(decay=st.floats(0.5, 0.95), n=st.integers(2, 12), steps=st.integers(13, 60), seed=seeds, data=st.data())
def test_steps_in_blocks_give_what_single_steps_give(decay, n, steps, seed, data):
    """Membranes and synapses that remember keep the frame well-conditioned over several steps."""
    network = SpikingNetwork(decay, decay, 0.1)
    k, first = data.draw(st.integers(1, n)), data.draw(st.integers(0, steps))
    p = random_parameters(network, n, 1, seed)
    u = training_pass.drive(p.ws, p.b, random_trials(steps, 1, seed)[0])
    start = (network, p.J, p.x0[:, 0], random_frame(2 * n, k, seed))
    single = flossing_pass.SpectrumPass(*start, u.clone())
    blocks = flossing_pass.SpectrumPass(*start, u.clone(), blocks_from=first)
    assert int((blocks.logs != 0).any(dim=1).sum()) < 0.75 * steps
    torch.testing.assert_close(blocks.logs[first:].sum(dim=0), single.logs[first:].sum(dim=0), rtol=1e-10, atol=1e-10)
    weights = torch.zeros_like(single.logs)
    weights[first:] = torch.linspace(-1, 1, k, dtype=torch.float64)
    for ours, theirs in zip(blocks.adjoint(weights), single.adjoint(weights), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8 * max(1e-3, float(theirs.abs().max())))


@given(network=networks | factor_networks, n=st.integers(1, 12), steps=st.integers(1, 20), seed=seeds, data=st.data())
def test_rescaled_frames_give_what_orthonormal_ones_give(network, n, steps, seed, data):
    k, first = data.draw(st.integers(1, n)), data.draw(st.integers(0, steps))
    p = random_parameters(network, n, 1, seed)
    u = training_pass.drive(p.ws, p.b, random_trials(steps, 1, seed)[0])
    start = (network, p.J, p.x0[:, 0], random_frame(network.n_states(n), k, seed))
    single = flossing_pass.SpectrumPass(*start, u.clone())
    assume(float(single.logs.min()) > -7)
    rescaled = flossing_pass.SpectrumPass(*start, u.clone(), blocks_from=first)
    torch.testing.assert_close(rescaled.logs[first:].sum(dim=0), single.logs[first:].sum(dim=0), rtol=1e-9, atol=1e-9)
    weights = torch.zeros_like(single.logs)
    weights[first:] = torch.linspace(-1, 1, k, dtype=torch.float64)
    for ours, theirs in zip(rescaled.adjoint(weights), single.adjoint(weights), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-7 * max(1e-3, float(theirs.abs().max())))


def _errors_in_float32(network, p, frame, inputs):
    """Of autograd's flossing gradient and of ours, by that in Float64, relative to its largest entry."""
    exact = Parameters(*(each.double() for each in p))
    expected = gradients.flossing_gradient(
        network, exact, exact.x0[:, 0], frame.double(), inputs.double(), len(inputs), 0.0
    ).gradients
    scale = max(float(each.abs().max()) for each in expected.values())
    for module in (gradients, flossing_pass):
        found = module.flossing_gradient(network, p, p.x0[:, 0], frame, inputs, len(inputs), 0.0).gradients
        yield max(float((found[name] - each).abs().max()) for name, each in expected.items()) / scale


@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_a_block_that_comes_out_too_long_is_taken_again(n):
    """Units at rest allow long blocks. When some of them saturate, such a block has a condition of 10^10 and more."""
    p = random_parameters(TanhNetwork(), n, 1, 1, dtype=torch.float32)
    inputs = torch.zeros(60, 1)
    inputs[31:] = 3
    saturating = (torch.arange(n) % 2 == 0).float()[:, None]
    p = p._replace(J=torch.linalg.qr(p.J).Q, ws=saturating, b=0 * p.b, x0=0 * p.x0)
    plain, fused = _errors_in_float32(TanhNetwork(), p, random_frame(n, n, 1, dtype=torch.float32), inputs)
    assert fused < 30 * max(plain, 3e-6)


@pytest.mark.parametrize("network", [TanhNetwork(), BinaryNetwork(), SpikingNetwork.per_step()])
def test_in_float32_flossing_gradients_are_about_as_precise_as_autograd_s(network):
    """Of small networks with strong weights, where directions come and go within a few steps."""
    judged = 0
    for seed in range(100):
        n, steps = 2 + seed % 12, 13 + seed % 47
        p = random_parameters(network, n, 1, seed, dtype=torch.float32, gain=1 + seed % 4)
        frame = random_frame(network.n_states(n), 1 + seed % n, seed, dtype=torch.float32)
        inputs = random_trials(steps, 1, seed, dtype=torch.float32)[0][:, :, 0]
        try:
            plain, fused = _errors_in_float32(network, p, frame, inputs)
        except NonFiniteError:
            continue
        if plain < 0.01:
            judged += 1
            assert fused < 200 * max(plain, 3e-6), f"seed {seed}"
    assert judged > 50


@given(n=st.integers(1, 7), steps=st.integers(13, 20), seed=seeds, gain=st.floats(0.2, 3), data=st.data())
def test_spiking_units_without_decays_floss_as_a_chain_of_half_the_size(n, steps, seed, gain, data):
    network = replace(SpikingNetwork.per_step(), membrane_gain=gain)
    k = data.draw(st.integers(1, n))
    p = random_parameters(network, n, 1, seed)
    inputs, _ = random_trials(steps, 1, seed)
    arguments = (network, p, p.x0[:, 0], random_frame(2 * n, k, seed), inputs[:, :, 0], steps, 0.1)
    assume(_far_from_collapse(*arguments))
    plain, fused = gradients.flossing_gradient(*arguments), flossing_pass.flossing_gradient(*arguments)
    torch.testing.assert_close(fused.exponents, plain.exponents, rtol=1e-9, atol=1e-10)
    scale = max(1e-3, *(float(theirs.abs().max()) for theirs in plain.gradients.values()))
    for name, theirs in plain.gradients.items():
        assert float((fused.gradients[name] - theirs).abs().max()) < 1e-8 * scale


@pytest.mark.parametrize("network", [TanhNetwork(), BinaryNetwork(), SpikingNetwork.per_step()])
def test_a_collapse_is_named_by_its_step(network):
    p = random_parameters(network, 4, 1, 1)
    frame, inputs = random_frame(network.n_states(4), 3, 1), random_trials(14, 1, 1)[0]
    arguments = (network, p._replace(J=torch.zeros_like(p.J)), p.x0[:, 0], frame, inputs[:, :, 0], 14, 0.0)
    for module in (gradients, flossing_pass):
        with pytest.raises(NonFiniteError, match="local exponent 1 is -inf") as error:
            module.flossing_gradient(*arguments)
        assert error.value.step == 1


@pytest.mark.parametrize("by", ["numpy", "torch"])
def test_states_of_exactly_zero_have_the_sign_minus_one(by, monkeypatch):
    """Without input and bias every state after the first is J times signs; a row of zeros makes a zero."""
    monkeypatch.setattr(trajectory_pass, "_SMALL_PRODUCT", 2**18 if by == "numpy" else 0)
    network = BinaryNetwork()
    p = random_parameters(network, 4, 2, 1)
    J = p.J.clone()
    J[1] = 0
    p = p._replace(J=J, b=torch.zeros_like(p.b), ws=torch.zeros_like(p.ws))
    inputs, targets = random_trials(6, 2, 1)
    plain = gradients.training_gradient(network, p, inputs, targets, 1)
    fused = training_pass.training_gradient(network, p, inputs, targets, 1)
    assert fused.loss == pytest.approx(plain.loss, rel=1e-14)
    assert _distance(fused.gradients.J, plain.gradients.J) < 1e-12


def test_results_outlive_the_next_pass():
    """Large arrays are used again: by passes of the same size, of another one, and in inference mode."""
    p = random_parameters(SpikingNetwork.published(), 4, 2, 1)
    trials = [random_trials(steps, 2, seed) for steps, seed in ((14, 1), (14, 2), (15, 3), (14, 1))]

    def result(i):
        return training_pass.training_gradient(SpikingNetwork.published(), p, *trials[i], 1)

    first = result(0)
    kept = [x.clone() for x in first.gradients]
    others = [result(1), result(2)]
    with torch.inference_mode():
        others.append(result(0))
    others.append(result(3))
    for ours, theirs in zip(first.gradients, kept, strict=True):
        assert torch.equal(ours, theirs)
    for again in others[-2:]:
        assert torch.equal(again.gradients.J, kept[1])
    assert not torch.equal(others[0].gradients.J, kept[1])


def test_a_network_of_the_user_s_own_takes_plain_autograd():
    network = ReluNetwork()
    p = random_parameters(network, 4, 2, 1)
    inputs, targets = random_trials(14, 2, 1)
    plain = gradients.training_gradient(network, p, inputs, targets, 1)
    fused = training_pass.training_gradient(network, p, inputs, targets, 1)
    assert torch.equal(fused.gradients.J, plain.gradients.J)
    arguments = (network, p, p.x0[:, 0], random_frame(4, 2, 1), inputs[:, :, 0], 14, 0.0)
    floss = flossing_pass.flossing_gradient(*arguments)
    assert torch.equal(floss.gradients["J"], gradients.flossing_gradient(*arguments).gradients["J"])
