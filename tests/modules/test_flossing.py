"""Gradients of spectra, and flossing of anybody's own parameters."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from network_cases import networks, random_frame, random_parameters, random_trials, seeds
from snntorch import surrogate
from torch import nn
from torch.func import functional_call

from pyflossing import NonFiniteError, TanhNetwork, floss, flossing_loss, lyapunov_spectrum
from pyflossing.model.loss import drive
from pyflossing.model.spectrum import logarithms
from pyflossing.modules.steps import network_step

N, B, T = 4, 2, 16


def normal(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gru(seed=2):
    torch.manual_seed(seed)
    return nn.GRUCell(3, N).double()


def trial(n_steps=T):
    return normal(B, N), normal(n_steps, B, 3, seed=5)


def sample(epoch):
    return normal(B, N, seed=epoch), normal(T, B, 3, seed=100 + epoch)


def test_the_loss_and_its_one_sided_variants():
    exponents = torch.tensor([[0.5, 0.0], [-1.0, -2.0]], dtype=torch.float64)
    assert flossing_loss(exponents).item() == (0.25 + 0 + 1 + 4) / 4
    assert flossing_loss(exponents, side="expanding").item() == 0.25 / 4
    assert flossing_loss(exponents, side="contracting").item() == (1 + 4) / 4
    assert flossing_loss(exponents, -1.0, "expanding").item() == (2.25 + 1) / 4
    assert flossing_loss(exponents, torch.tensor([0.0, -1.0])).item() == (0.25 + 1 + 1 + 1) / 4
    spectrum = lyapunov_spectrum(lambda h, _: 2 * h, torch.ones(1, 2), n_steps=20)
    assert flossing_loss(spectrum).item() == pytest.approx(math.log(2) ** 2)
    with pytest.raises(ValueError, match="side = 'upper' is not allowed"):
        flossing_loss(exponents, side="upper")


@pytest.mark.parametrize("side", ["both", "expanding", "contracting"])
@pytest.mark.parametrize(("k", "qr_every", "method"), [(N, 1, "auto"), (2, 3, "forward"), (2, 3, "double_backward")])
def test_gradcheck_of_the_loss_through_a_gru(k, qr_every, method, side):
    cell = gru()
    names, weights = zip(*cell.named_parameters(), strict=True)
    state, inputs = trial()

    def loss(*weights):
        step = lambda h, x: functional_call(cell, dict(zip(names, weights, strict=True)), (x, h))  # noqa: E731
        found = lyapunov_spectrum(
            step, state, inputs, k, qr_every=qr_every, method=method, transient=4, differentiable=True
        )
        # some exponents lie above their targets, and some below
        return flossing_loss(found, torch.tensor([-2.0, 0.0, -2.0, 0.0], dtype=torch.float64)[:k], side)

    assert loss(*weights).item() > 0
    assert torch.autograd.gradcheck(loss, tuple(w.detach().requires_grad_() for w in weights), fast_mode=True)


def test_gradcheck_through_a_jacobian_action_with_a_state_in_two_parts():
    def loss(a, b):
        def step(s, x):
            return torch.tanh(s["u"] @ a + s["v"]), torch.sin(s["u"]) + s["v"] @ b

        def action(s, x, after, V):
            u, v = V.split(2, dim=1)
            slope = 1 - after["u"] ** 2
            return torch.cat([slope[..., None] * (a.T @ u + v), s["u"].cos()[..., None] * u + b.T @ v], dim=1)

        start = {"u": normal(B, 2), "v": normal(B, 2, seed=2)}
        found = lyapunov_spectrum(
            lambda s, x: dict(zip("uv", step(s, x), strict=True)),
            start, n_steps=8, k=3, transient=0, jacobian_action=action, differentiable=True,
        )  # fmt: skip
        return flossing_loss(found)

    weights = tuple((0.7 * normal(2, 2, seed=i)).requires_grad_() for i in (3, 4))
    assert torch.autograd.gradcheck(loss, weights)


@settings(max_examples=25)
@given(network=networks, n=st.integers(1, 5), seed=seeds, data=st.data())
def test_gradients_of_built_in_networks_are_those_of_their_hand_written_path(network, n, seed, data):
    p = random_parameters(network, n, 1, seed)
    inputs, _ = random_trials(24, 1, seed)
    u = drive(p.ws, p.b, inputs)[:, :, 0].detach()
    # with as many directions as states the last ones are what rounding leaves
    k = data.draw(st.integers(1, max(1, network.n_states(n) // 2)))
    frame = random_frame(network.n_states(n), k, seed)
    n_steps = 6
    ours, theirs = (p.J.detach().clone().requires_grad_() for _ in range(2))
    expected = logarithms(network, ours, p.x0[:, 0].detach(), frame, u, n_steps).mean(dim=0)
    if not (expected > -6).all():  # a direction collapsed: the gradient is its rounding errors, many times enlarged
        return
    step, action = network_step(network, theirs)
    found = lyapunov_spectrum(
        step, p.x0.detach().T, u[:n_steps, None], k,
        transient=0, frame=frame, jacobian_action=action, differentiable=True,
    )  # fmt: skip
    torch.testing.assert_close(found.exponents[0], expected, rtol=1e-7, atol=1e-7)
    (a,) = torch.autograd.grad((expected**2).mean(), ours)
    (b,) = torch.autograd.grad(flossing_loss(found), theirs)
    torch.testing.assert_close(b, a, rtol=1e-5, atol=1e-6 * (1 + a.abs().max().item()))


@pytest.mark.parametrize("settings", [{}, {"truncate": 5}, {"truncate": 5, "qr_every": 3}, {"truncate": 1}])
def test_one_epoch_takes_the_gradient_of_the_loss(settings):
    cell = gru()
    state, inputs = sample(1)
    spectrum = lyapunov_spectrum(cell, state, inputs, 3, differentiable=True, **settings)
    loss = flossing_loss(spectrum, -0.2, "contracting")
    expected = torch.autograd.grad(loss, list(cell.parameters()), allow_unused=True)
    before = [p.detach().clone() for p in cell.parameters()]
    seen = []
    history = floss(
        cell, cell.parameters(), torch.optim.SGD(cell.parameters(), lr=1.0), sample, 1, 3,
        target=-0.2, side="contracting", callback=lambda *found: seen.append(found), **settings,
    )  # fmt: skip
    torch.testing.assert_close(history.exponents[0], spectrum.exponents.detach())
    assert history.loss.tolist() == pytest.approx([loss.item()])
    for now, old, gradient in zip(cell.parameters(), before, expected, strict=True):
        torch.testing.assert_close(old - now.detach(), gradient, rtol=1e-6, atol=1e-9)
    norm = math.sqrt(sum((g**2).sum().item() for g in expected))
    assert history.gradient_norm.tolist() == pytest.approx([norm])
    assert [epoch for epoch, _ in seen] == [1]
    assert seen[0][1] is history.last
    assert all(p.grad is None for p in cell.parameters())


def test_cutting_changes_the_gradient_but_not_the_exponents():
    cell = gru()
    state, inputs = trial()
    gradients = []
    for truncate in (None, T, 4):
        found = lyapunov_spectrum(cell, state, inputs, 2, differentiable=True, truncate=truncate)
        gradients.append(torch.autograd.grad(flossing_loss(found), cell.weight_hh)[0])
    assert torch.equal(gradients[0], gradients[1])
    assert (gradients[0] - gradients[2]).abs().max() > 1e-3 * gradients[0].abs().max()
    detached = lyapunov_spectrum(cell, state, inputs, 2)
    # without gradients many steps are taken at once, in another order of sums
    torch.testing.assert_close(detached.exponents, found.exponents.detach(), rtol=0, atol=1e-13)
    assert not detached.exponents.requires_grad


class Kept:
    """A tensor that a graph keeps, counted from its saving to its end."""

    now = most = 0

    def __init__(self, tensor):
        self.tensor = tensor.detach()
        Kept.now += tensor.numel()
        Kept.most = max(Kept.most, Kept.now)

    def __del__(self):
        Kept.now -= self.tensor.numel()


def test_a_cut_gradient_needs_the_memory_of_one_stretch_however_long_the_trajectory():
    cell = gru()

    def most_kept(length, **settings):
        inputs = normal(length, B, 3)
        optimiser = torch.optim.SGD(cell.parameters(), lr=0.0)
        Kept.now = Kept.most = 0
        with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
            floss(cell, cell.parameters(), optimiser, lambda _: (normal(B, N), inputs), 1, 2, **settings)
        return Kept.most

    assert most_kept(128) > 1.8 * most_kept(64)
    assert most_kept(128, truncate=8) < 1.1 * most_kept(64, truncate=8) < 0.3 * most_kept(64)


def test_clipping_bounds_the_update():
    cell = gru()
    before = [p.detach().clone() for p in cell.parameters()]
    history = floss(cell, cell.parameters(), torch.optim.SGD(cell.parameters(), lr=1.0), sample, 1, 2, clip_norm=1e-3)
    change = math.sqrt(sum(((p - q) ** 2).sum().item() for p, q in zip(cell.parameters(), before, strict=True)))
    assert history.gradient_norm[0] > 1e-3
    assert change == pytest.approx(1e-3)


@pytest.mark.parametrize("side", ["both", "contracting"])
def test_exponents_move_to_the_target(side):
    cell = gru()
    history = floss(cell, cell.parameters(), torch.optim.Adam(cell.parameters(), lr=0.02), sample, 60, 2, side=side)
    assert history.exponents.shape == (60, B, 2)
    assert history.loss[0] > 0.05
    assert history.loss[-5:].mean() < 0.1 * history.loss[0]
    assert history.last.exponents.equal(history.exponents[-1])


@pytest.mark.parametrize(("side", "expected"), [("expanding", [1, 1, 0.5, 0.25]), ("contracting", [2, 1.5, 1, 1])])
def test_one_sided_flossing_leaves_the_other_directions_alone(side, expected):
    factors = torch.tensor([2.0, 1.5, 0.5, 0.25], dtype=torch.float64, requires_grad=True)
    start = torch.full((1, 4), 1e-3, dtype=torch.float64)
    optimiser = torch.optim.SGD([factors], lr=0.2)
    eye = torch.eye(4, dtype=torch.float64)
    history = floss(
        lambda h, _: h * factors, [factors], optimiser, lambda _: (start, None), 150, 4,
        side=side, n_steps=15, frame=eye,
    )  # fmt: skip
    torch.testing.assert_close(factors.detach(), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=2e-3)
    assert history.loss[-1] < 1e-5


def test_a_spiking_layer_with_a_surrogate_of_snntorch_is_flossed():
    spike = surrogate.fast_sigmoid(slope=2)
    weights = (0.2 * normal(N, N)).requires_grad_()
    step = lambda mem, x: 0.6 * mem + spike(mem - 1).to(mem.dtype) @ weights + x  # noqa: E731
    draw = lambda _: (normal(B, N), normal(T, B, N, seed=99))  # noqa: E731
    history = floss(step, [weights], torch.optim.Adam([weights], lr=0.02), draw, 60, 2)
    assert history.last.settings.method == "double_backward"
    assert history.loss[-5:].mean() < 0.2 * history.loss[0]


def test_other_parameters_of_the_optimiser_stay_as_they_are():
    cell, readout = gru(), nn.Linear(N, 1).double()
    optimiser = torch.optim.Adam([*cell.parameters(), *readout.parameters()], lr=0.1)
    optimiser.zero_grad()
    readout(cell(normal(B, 3))).sum().backward()  # left over from training
    before = [p.detach().clone() for p in readout.parameters()]
    recurrent, fixed = cell.weight_hh, cell.weight_ih.detach().clone()
    floss(cell, [recurrent], optimiser, sample, 2, 2)
    assert all(torch.equal(p, q) for p, q in zip(readout.parameters(), before, strict=True))
    assert torch.equal(cell.weight_ih, fixed)
    assert all(p.grad is None for p in [*cell.parameters(), *readout.parameters()])


def test_frozen_parameters_are_left_out():
    cell = gru()
    cell.weight_ih.requires_grad_(False)
    before = cell.weight_ih.clone()
    recurrent = cell.weight_hh.detach().clone()
    floss(cell, cell.parameters(), torch.optim.SGD(cell.parameters(), lr=0.1), sample, 1, 2)
    assert torch.equal(cell.weight_ih, before)
    assert not torch.equal(cell.weight_hh, recurrent)


def test_forgotten_gradients_are_told_in_words():
    cell = gru()
    state, inputs = sample(1)
    loss = flossing_loss(lyapunov_spectrum(cell, state, inputs, 2))
    assert loss.item() > 0
    with pytest.raises(RuntimeError, match="compute it with differentiable=True"):
        loss.backward()
    flossing_loss(lyapunov_spectrum(cell, state, inputs, 2, differentiable=True)).backward()
    assert cell.weight_hh.grad.any()
    optimiser = torch.optim.SGD(cell.parameters(), lr=0.1)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            with pytest.raises(ValueError, match=r"floss is not allowed under torch\.no_grad\(\).*call it outside"):
                floss(cell, cell.parameters(), optimiser, sample, 1, 2)
            with pytest.raises(ValueError, match="differentiable=True is not allowed under"):
                lyapunov_spectrum(cell, state, inputs, 2, differentiable=True)
    floss(cell, cell.parameters(), optimiser, sample, 1, 2)


def test_a_regulariser_in_ones_own_training_loop():
    cell, readout = gru(), nn.Linear(N, 1).double()
    optimiser = torch.optim.Adam([*cell.parameters(), *readout.parameters()], lr=0.01)
    values = []
    for epoch in range(1, 31):
        state, inputs = sample(epoch)
        found = lyapunov_spectrum(cell, state, inputs, 2, differentiable=True)
        task = ((readout(found.final_state) - inputs[-1, :, :1]) ** 2).mean()
        regulariser = flossing_loss(found)
        optimiser.zero_grad()
        (task + regulariser).backward()
        optimiser.step()
        values.append(regulariser.item())
    assert values[-1] < 0.5 * values[0]


def test_a_step_of_a_built_in_network_can_be_flossed():
    J = (0.5 * normal(N, N)).requires_grad_()
    step, action = network_step(TanhNetwork(), J)
    draw = lambda epoch: (normal(B, N, seed=epoch), 0.3 * normal(T, B, N, seed=50 + epoch))  # noqa: E731
    history = floss(step, [J], torch.optim.Adam([J], lr=0.05), draw, 50, 2, jacobian_action=action)
    assert history.loss[-5:].mean() < 0.2 * history.loss[0]


def free(value=1.0, **kw):
    return torch.full((2, 2), value, dtype=torch.float64, **kw)


BAD = [
    ({"parameters": []}, r"parameters = \[\]"),
    ({"parameters": free(requires_grad=True)}, "must be a list of tensors"),
    ({"parameters": [free()]}, r"parameters = \[\.\.\.\] is not allowed: all are frozen: set requires_grad"),
    ({"parameters": [free(requires_grad=True)]}, r"parameters\[0\] is not held by the optimiser"),
    ({"n_epochs": 0}, "n_epochs = 0 is not allowed"),
    ({"side": "above"}, "side = 'above' is not allowed"),
    ({"clip_norm": 0.0}, "clip_norm = 0.0 is not allowed"),
    ({"differentiable": True}, "differentiable is not allowed here"),
    ({"k": 9}, "k = 9 is not allowed"),
    ({"sample": lambda epoch: (normal(1 + epoch, N), normal(T, 1 + epoch, 3))}, r"sample\(2\) gives another batch"),
    ({"step": lambda h, x: torch.tanh(2 * h)}, "parameters have no influence on the exponents"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_bad_arguments_are_named(change, message):
    cell = gru()
    arguments = {"step": cell, "parameters": list(cell.parameters()), "sample": sample, "n_epochs": 2, "k": 2} | change
    with pytest.raises(ValueError, match=message):
        floss(optimiser=torch.optim.SGD(cell.parameters(), lr=0.1), **arguments)
    with pytest.raises(ValueError, match="optimiser = LBFGS is not allowed"):
        floss(cell, cell.parameters(), torch.optim.LBFGS(cell.parameters()), sample, 1)


@pytest.mark.parametrize(
    ("step", "quantity", "message"),
    [
        (lambda w: lambda h, x: h * w.diagonal() * torch.tensor([1.0, 0.0]).to(h), "exponent", "take fewer exponents"),
        (lambda w: lambda h, x: h * (w.diagonal() - 1).abs().sqrt() + h, "gradient", "gradient is not finite"),
        (lambda w: lambda h, x: h**3 * w.diagonal() + 2, "state", "diverges"),
    ],
)
def test_numbers_that_are_not_finite_leave_the_parameters_alone(step, quantity, message):
    w = free(requires_grad=True)
    optimiser = torch.optim.Adam([w], lr=0.1)
    start = torch.ones(1, 2, dtype=torch.float64)
    with pytest.raises(NonFiniteError, match=message) as caught:
        floss(step(w), [w], optimiser, lambda _: (start, torch.zeros(20, 1)), 3, 2)
    assert caught.value.quantity == quantity
    assert caught.value.flossing_epoch == 1
    assert torch.equal(w.detach(), free())
    assert not optimiser.state
