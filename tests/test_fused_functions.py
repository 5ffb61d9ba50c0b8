"""Claims about the autograd functions: values and gradients of the plain path, inside losses of one's own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from network_cases import networks, random_frame, random_parameters, random_trials, seeds

from pyflossing import TanhNetwork
from pyflossing.gradients import functions
from pyflossing.model import loss, spectrum


class AnotherNetwork(TanhNetwork):
    """A user's own."""


def _case(network, n, steps, batch, seed):
    p = random_parameters(network, n, batch, seed)
    inputs, _ = random_trials(steps, batch, seed)
    u = loss.drive(p.ws, p.b, inputs)
    return [x.detach().clone().requires_grad_() for x in (p.J, p.x0, u)]


def _agree(ours, theirs):
    scale = float(theirs.abs().max())
    assert float((ours - theirs).abs().max()) <= 1e-10 * max(scale, 1e-300)


@given(network=networks, n=st.integers(1, 9), steps=st.integers(1, 20), batch=st.integers(1, 4), seed=seeds)
def test_trajectories(network, n, steps, batch, seed):
    J, x0, u = _case(network, n, steps, batch, seed)
    plain = torch.stack([network.readout_state(x) for x in loss.trajectory(network, J, x0, u)])
    ours = functions.trajectory(network, J, x0, u)
    _agree(ours.detach(), plain.detach())
    weights = torch.randn(plain.shape, dtype=plain.dtype, generator=torch.Generator().manual_seed(seed))
    found = torch.autograd.grad((weights * ours**2).sum() + J.sum(), (J, x0, u))
    known = torch.autograd.grad((weights * plain**2).sum() + J.sum(), (J, x0, u))
    for a, b in zip(found, known, strict=True):
        assert a.shape == b.shape
        _agree(a, b)


@given(network=networks, n=st.integers(1, 7), steps=st.integers(1, 12), seed=seeds, data=st.data())
def test_logarithms(network, n, steps, seed, data):
    k = data.draw(st.integers(1, n))
    J, x0, u = _case(network, n, steps + 2, 1, seed)
    x, drive = x0[:, 0], u[:, :, 0]
    Q = random_frame(network.n_states(n), k, seed)
    plain = spectrum.logarithms(network, J, x, Q, drive, steps)
    assume(bool((plain.detach() > -10).all()))  # a direction that all but collapses has no gradient worth comparing
    ours = functions.logarithms(network, J, x, Q, drive, steps)
    torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-9)
    weights = torch.randn(plain.shape, dtype=plain.dtype, generator=torch.Generator().manual_seed(seed))
    known = torch.autograd.grad((weights * plain).sum(), (J, x0, u), materialize_grads=True)
    found = torch.autograd.grad((weights * ours).sum(), (J, x0, u), materialize_grads=True)
    for a, b in zip(found, known, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7 * max(1.0, float(b.abs().max())))


def test_gradcheck():
    J, x0, u = _case(TanhNetwork(), 4, 5, 2, 3)
    assert torch.autograd.gradcheck(lambda *a: functions.trajectory(TanhNetwork(), *a), (J, x0, u))
    Q = random_frame(4, 3, 1)
    assert torch.autograd.gradcheck(
        lambda J, x, u: functions.logarithms(TanhNetwork(), J, x, Q, u, 5), (J, x0[:, 0], u[:, :, 0])
    )


def test_a_stack_of_networks_is_each_of_them():
    cases = [_case(TanhNetwork(), 4, 6, 2, seed) for seed in (1, 2, 3)]
    together = functions.trajectory(TanhNetwork(), *(torch.stack(arrays) for arrays in zip(*cases, strict=True)))
    for one, case in zip(together, cases, strict=True):
        torch.testing.assert_close(one, functions.trajectory(TanhNetwork(), *case))


def test_a_second_backward_pass_gives_the_same_gradient():
    J, x0, u = _case(TanhNetwork(), 4, 6, 2, 1)
    total = functions.trajectory(TanhNetwork(), J, x0, u).sum()
    first = torch.autograd.grad(total, J, retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(total, J), first, rtol=0, atol=0)


def test_weights_that_changed_in_place_are_found():
    J, x0, u = _case(TanhNetwork(), 4, 6, 2, 1)
    total = functions.trajectory(TanhNetwork(), J, x0, u).sum()
    with torch.no_grad():
        J.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


def test_what_is_refused():
    J, x0, u = _case(TanhNetwork(), 4, 6, 2, 1)
    with pytest.raises(ValueError, match=r"network = AnotherNetwork.* is not allowed"):
        functions.trajectory(AnotherNetwork(), J, x0, u)
    with pytest.raises(ValueError, match=r"Q = .* is not allowed"):
        functions.logarithms(TanhNetwork(), J, x0[:, 0], random_frame(4, 2, 1).requires_grad_(), u[:, :, 0], 5)
