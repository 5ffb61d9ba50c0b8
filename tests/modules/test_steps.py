"""Steps of every kind work, and what cannot work is refused with what to do."""

from __future__ import annotations

import collections
import re
import warnings

import pytest
import snntorch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from network_cases import networks, random_frame, random_parameters, random_trials, seeds
from snntorch import surrogate
from torch import nn
from torch.autograd.function import once_differentiable

from pyflossing import NonFiniteError, check_jacobian, lyapunov_spectrum
from pyflossing.model.loss import drive
from pyflossing.model.networks import BinaryNetwork, SpikingNetwork, TanhNetwork
from pyflossing.model.spectrum import logarithms
from pyflossing.model.surrogates import Surrogate, sign, spike
from pyflossing.modules.logs import RoundingWarning
from pyflossing.modules.steps import network_step

N, B, T = 5, 3, 40


def normal(*shape, seed=1, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def cell_of(kind):
    torch.manual_seed(2)
    return getattr(nn, kind)(2, N)


@pytest.mark.parametrize("method", ["auto", "forward", "double_backward"])
@pytest.mark.parametrize("kind", ["RNNCell", "GRUCell", "LSTMCell"])
def test_cells_of_torch_are_steps(kind, method):
    cell = cell_of(kind)
    state = (normal(B, N), normal(B, N, seed=2)) if kind == "LSTMCell" else normal(B, N)
    inputs = normal(T, B, 2, seed=3)
    found = lyapunov_spectrum(cell, state, inputs, dtype=torch.float64, method=method, transient=0)
    assert found.exponents.shape == (B, 2 * N if kind == "LSTMCell" else N)
    assert next(cell.parameters()).dtype == torch.float32  # converted for the call only
    jacobian = torch.func.jacrev if kind == "LSTMCell" else torch.func.jacfwd
    wide = cell_of(kind).double()

    def flat_step(flat, x):
        parts = tuple(flat.chunk(2)) if kind == "LSTMCell" else flat
        after = wide(x, parts)
        return torch.cat(after) if kind == "LSTMCell" else after

    flat = torch.cat([s[0] for s in state]) if kind == "LSTMCell" else state[0]
    total = 0.0
    for x in inputs[:, 0]:
        total += torch.linalg.slogdet(jacobian(flat_step)(flat, x)).logabsdet.item()
        flat = flat_step(flat, x).detach()
    assert found.exponents[0].sum().item() == pytest.approx(total / T, rel=1e-7)


class TwoRates(nn.Module):
    """A fast state of every step, and a slow one that moves when a clock among the inputs says so."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.fast, self.slow = nn.Linear(5, 3, bias=False).double(), nn.Linear(5, 2, bias=False).double()

    def forward(self, state, tick):
        both = torch.cat([state["fast"], state["slow"]], dim=-1)
        slow = torch.where(tick, 0.9 * state["slow"] + 0.1 * self.slow(both), state["slow"])
        return {"fast": 0.5 * state["fast"] + self.fast(both), "slow": slow}


def test_two_coupled_states_that_move_at_different_rates():
    module, period, n_steps = TwoRates(), 4, 1600
    tick = torch.arange(n_steps) % period == 0
    state = {"fast": normal(B, 3), "slow": normal(B, 2)}
    found = lyapunov_spectrum(module, state, tick, qr_every=period, transient=400)

    # the map over one period is linear
    def over_one_period(flat):
        s = {"fast": flat[:3], "slow": flat[3:]}
        for t in tick[:period]:
            s = module(s, t)
        return torch.cat([s["fast"], s["slow"]])

    eigenvalues = torch.linalg.eigvals(torch.func.jacrev(over_one_period)(torch.zeros(5, dtype=torch.float64)))
    expected = eigenvalues.abs().log().sort(descending=True).values / period
    torch.testing.assert_close(found.exponents, expected.expand(B, 5), rtol=0, atol=5e-3)


@pytest.mark.parametrize("batched", [True, False])
def test_structures_of_states_change_nothing(batched):
    a, b = normal(4, 4), normal(2, 2)
    batch = (B,) if batched else ()
    pair = collections.namedtuple("pair", "one two")

    def tensors(x, y):
        wide = torch.tanh(x.flatten(-2) @ a + torch.cat([y, y], dim=-1))
        return wide.reshape(x.shape), torch.sin(2 * y @ b + x.sum((-1, -2))[..., None])

    def named_parts(s, _):
        wide, narrow = tensors(s["x"], s["y"])
        return {"y": narrow, "x": wide}  # the order of keys does not matter

    def nested(s, _):
        wide, narrow = tensors(s[0][0], s[1]["y"])
        return [wide], {"y": narrow}

    ways = [
        (named_parts, lambda x, y: {"x": x, "y": y}),
        (lambda s, _: tensors(*s), lambda x, y: [x, y]),
        (nested, lambda x, y: ([x], {"y": y})),
        (lambda s, _: pair(*tensors(s.one, s.two)), pair),
    ]
    x, y = normal(*batch, 2, 2), normal(*batch, 2, seed=2)
    found = [lyapunov_spectrum(step, build(x, y), n_steps=30, batched=batched) for step, build in ways]
    for other in found[1:]:
        assert torch.equal(other.exponents, found[0].exponents)
    assert type(found[3].final_state) is pair
    assert found[3].final_state.one.shape == x.shape


@settings(max_examples=25)
@given(network=networks, n=st.integers(1, 5), seed=seeds, data=st.data())
def test_built_in_networks_give_the_logarithms_of_their_hand_written_path(network, n, seed, data):
    p = random_parameters(network, n, 1, seed)
    inputs, _ = random_trials(24, 1, seed)
    u = drive(p.ws, p.b, inputs)[:, :, 0]
    k = data.draw(st.integers(1, network.n_states(n)))
    frame = random_frame(network.n_states(n), k, seed)
    expected = logarithms(network, p.J, p.x0[:, 0], frame, u, 24)
    step, action = network_step(network, p.J)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RoundingWarning)  # some surrogates vanish, and their directions with them
        found = lyapunov_spectrum(step, p.x0.T, u[:, None], k, transient=0, frame=frame, jacobian_action=action)
    # the same operations in the same order, up to the shape of the products; directions may collapse to rounding errors
    solid = (expected > -12).all()
    torch.testing.assert_close(
        found.logs[:, 0][: 24 if solid else 1], expected[: 24 if solid else 1], rtol=1e-7, atol=1e-7
    )


@pytest.mark.parametrize("name", ["sech2", "fast_sigmoid", "triangular"])
def test_hand_written_jacobians_are_those_of_automatic_differentiation(name):
    J, u = normal(N, N), normal(B, N, seed=2)
    s = Surrogate(name, 1.5)

    def agree(step, state, network):
        hand = network_step(network, J)[1]
        return check_jacobian(step, state, u, jacobian_action=hand, smooth=False).largest

    # tanh and binary networks: D stands at the new state, so it is the derivative with respect to the activity
    def activity(nonlinearity, network):
        def step(r, u):
            return nonlinearity(r @ J.T + u)

        def action(r, u, r_next, V):
            return network.jacobian_action(None, r @ J.T + u, J, V)

        return check_jacobian(step, normal(B, N), u, jacobian_action=action, smooth=False).largest

    assert activity(torch.tanh, TanhNetwork()) < 1e-14
    assert activity(lambda x: sign(x, s), BinaryNetwork(s)) < 1e-14

    # the spiking one ignores the reset
    network = SpikingNetwork(0.8, 0.9, 0.3, jacobian_surrogate=s, spike_surrogate=s)

    def without_reset(state, u):
        mem, syn = state.chunk(2, dim=1)
        syn = 0.8 * syn + u + spike(mem - 1, s) @ J.T
        return torch.cat([0.9 * mem + 0.3 * syn, syn], dim=1)

    assert agree(without_reset, normal(B, 2 * N), network) < 1e-14
    assert agree(network_step(network, J)[0], 3 + normal(B, 2 * N), network) > 0.1


SURROGATES = {
    "atan": surrogate.atan(),
    "fast_sigmoid": surrogate.fast_sigmoid(slope=2),
    "sigmoid": surrogate.sigmoid(slope=2),
    "triangular": surrogate.triangular(),
    "straight_through": surrogate.straight_through_estimator(),
}


class Recurrent(nn.Module):
    """A recurrent layer around one of snntorch's neurons, with spikes of the present membrane."""

    def __init__(self, neuron):
        super().__init__()
        torch.manual_seed(4)
        self.neuron, self.weights = neuron, nn.Linear(N, N)

    def forward(self, state, x):
        mem = state[-1]
        current = self.weights(self.neuron.fire(mem).to(x.dtype)) + x
        return self.neuron(current, *state)[1:]


@pytest.mark.parametrize("kind", ["Leaky", "Synaptic"])
@pytest.mark.parametrize("name", SURROGATES)
def test_neurons_of_snntorch_with_their_surrogates(kind, name):
    grad = SURROGATES[name]
    neuron = (
        snntorch.Leaky(beta=0.9, spike_grad=grad) if kind == "Leaky" else snntorch.Synaptic(0.7, 0.9, spike_grad=grad)
    )
    layer, n_parts = Recurrent(neuron), 1 if kind == "Leaky" else 2
    state = tuple(normal(B, N, seed=i) for i in range(n_parts))
    inputs = normal(T, B, N, seed=5)
    found = lyapunov_spectrum(layer, state, inputs, 3, dtype=torch.float64)
    assert found.settings.method == "double_backward"
    assert found.exponents.isfinite().all()

    # by hand: the surrogate's derivative where the recurrent spikes are; the reset is detached
    def action(state, x, state_next, V):
        mem = state[-1].detach().requires_grad_()
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(grad(mem - 1).sum(), mem)
        weights = layer.weights.weight.detach().double()
        recurrent = weights @ (slope[..., None] * V[:, -N:])
        if kind == "Leaky":
            return 0.9 * V + recurrent
        syn = 0.7 * V[:, :N] + recurrent
        return torch.cat([syn, 0.9 * V[:, N:] + syn], dim=1)

    hand = lyapunov_spectrum(layer, state, inputs, 3, dtype=torch.float64, jacobian_action=action)
    # snntorch keeps its constants in Float32
    torch.testing.assert_close(hand.exponents, found.exponents, rtol=1e-6, atol=1e-6)
    with pytest.raises(ValueError, match="no forward mode"):
        lyapunov_spectrum(layer, state, inputs, 3, dtype=torch.float64, method="forward")


class HookedSpike(nn.Module):
    """A surrogate as a hook, which only a backward pass sees."""

    def forward(self, x, _):
        y = x + 0
        if y.requires_grad:
            y.register_hook(lambda g: g / 2)
        return y


def test_check_jacobian_finds_a_wrong_action_and_a_hook():
    right = lambda s, x, after, V: (1 - after**2)[..., None] * V  # noqa: E731
    wrong = lambda s, x, after, V: (1 - s**2)[..., None] * V  # noqa: E731
    tanh = lambda s, x: torch.tanh(s)  # noqa: E731
    report = check_jacobian(tanh, normal(B, N), jacobian_action=right, tolerance=1e-8)
    assert len(report.differences) == 10
    assert not report.unavailable
    report = check_jacobian(tanh, normal(B, N), jacobian_action=wrong)
    assert report.differences["jacobian_action", "forward"] > 0.1
    assert report.differences["double_backward", "forward"] < 1e-14
    with pytest.raises(
        ValueError, match=r"differ by more than tolerance = 1e-08:\njacobian_action and double_backward"
    ):
        check_jacobian(tanh, normal(B, N), jacobian_action=wrong, tolerance=1e-8)
    hooked = check_jacobian(HookedSpike(), normal(B, N))
    assert hooked.differences["double_backward", "forward"] == pytest.approx(0.5)
    only_backward = check_jacobian(lambda s, x: surrogate.atan()(s) + s, normal(B, N), smooth=False)
    assert "no forward mode" in only_backward.unavailable["forward"]


def test_noise_that_a_step_draws_is_the_same_for_all_directions():
    step = lambda h, _: torch.tanh(h * (1 + torch.rand_like(h)))  # noqa: E731
    for method in ("forward", "double_backward"):
        torch.manual_seed(1)
        found = lyapunov_spectrum(step, normal(B, 1), n_steps=20, method=method, transient=0)
        assert found.exponents.isfinite().all()


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        return g * ctx.saved_tensors[0].cos()


class OnceWithForwardMode(Once):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x.sin()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])
        ctx.save_for_forward(inputs[0])

    @staticmethod
    def jvp(ctx, v):
        return v * ctx.saved_tensors[0].cos()


class Slope(torch.autograd.Function):
    """The backward pass of a sine, with a look at its numbers in the pass that is taken along many directions."""

    @staticmethod
    def forward(ctx, x, g):
        ctx.save_for_backward(x)
        return g * x.cos()

    @staticmethod
    def backward(ctx, g):
        assert not bool(g.isnan().any())
        return None, g * ctx.saved_tensors[0].cos()


class LookingSine(Once):
    @staticmethod
    def backward(ctx, g):
        return Slope.apply(ctx.saved_tensors[0], g)


@pytest.mark.parametrize(("function", "method"), [(OnceWithForwardMode, "forward"), (LookingSine, "double_backward")])
def test_another_way_is_taken_where_the_first_one_does_not_work(function, method):
    weights = normal(N, N)
    found = lyapunov_spectrum(lambda h, _: function.apply(h @ weights), normal(B, N), n_steps=20)
    plain = lyapunov_spectrum(lambda h, _: torch.sin(h @ weights), normal(B, N), n_steps=20)
    assert found.settings.method == method
    torch.testing.assert_close(found.exponents, plain.exponents)


def _mixing(h, _):
    return torch.tanh(h - h.mean(dim=0))


def _cut(h, _):
    return torch.sin(h.detach())


def _in_place(h, _):
    return h.mul_(2)


def _with_output(h, _):
    return h.sum(), 2 * h


def _growing(h, _):
    return torch.cat([h, h], dim=1)


def _data_dependent(h, _):
    return h[:, h[0] > 0]


REFUSED = [
    (_in_place, "changes state in place.*return new tensors"),
    (_mixing, "mixes the examples of a batch.*module.eval"),
    (_cut, "does not depend on the state.*surrogate gradient"),
    (_with_output, "type tuple, where the state had a tensor: a step returns the new state alone"),
    (_growing, r"has shape \(3, 10\), not \(3, 5\): shapes must stay"),
    (_data_dependent, "may not depend on the data"),
    (lambda h, _: h.float(), "has type torch.float32, not torch.float64"),
    (lambda h, _: 2 * h.float() @ torch.ones(5, 5, dtype=torch.float64), "does not work in torch.float64"),
    (nn.GRU(5, 5, bidirectional=True), "bidirectional=False"),
    (3, "step = 3 is not allowed"),
]


@pytest.mark.parametrize(
    ("step", "message"), REFUSED, ids=[re.sub(r"\W+", " ", message)[:40] for _, message in REFUSED]
)
def test_what_cannot_work_is_refused_with_what_to_do(step, message):
    start = normal(B, N)
    before = start.clone()
    with pytest.raises(ValueError, match=message):
        lyapunov_spectrum(step, start, n_steps=20)
    assert torch.equal(start, before)


@pytest.mark.parametrize(
    ("state", "rest", "message"),
    [
        (torch.ones(3, 2, dtype=torch.int64), {}, "type torch.int64, in which there are no tangents"),
        ({"h": torch.ones(3, 2), "t": 1}, {}, r"state\['t'\] = 1 is not allowed"),
        ((), {}, "state has no tensors"),
        ((torch.ones(3, 2), torch.ones(2, 2)), {}, r"state\[1\] has batch size 2, but state\[0\] 3"),
        ((torch.ones(3, 2), torch.ones(3, 2).double()), {}, "give all one type"),
        (torch.ones(3, 2), {"dtype": torch.bfloat16}, "dtype = torch.bfloat16 is not allowed"),
        (torch.ones(()), {}, "batched=False"),
        (torch.ones(3, 0), {}, "state is empty"),
        (torch.full((3, 2), torch.nan), {}, "must be finite"),
        (torch.ones(3, 2), {"n_steps": None}, "n_steps = None is not allowed without inputs"),
        (torch.ones(3, 2), {"n_steps": 12}, "it must be >= 13"),
        (torch.ones(3, 2), {"inputs": torch.ones(10, 3), "n_steps": 20}, "the inputs have 10 steps"),
        (torch.ones(3, 2), {"inputs": (torch.ones(20), torch.ones(10))}, r"inputs\[1\] has shape \(10,\)"),
        (torch.ones(3, 2), {"k": 3}, "k = 3 is not allowed: it must be an integer from 1 to 2"),
        (torch.ones(3, 2), {"transient": 20}, "transient = 20 is not allowed: it must be an integer from 0 to 19"),
        (torch.ones(3, 2), {"qr_every": 0}, "qr_every = 0"),
        (torch.ones(3, 2), {"truncate": 0}, "truncate = 0"),
        (torch.ones(3, 2), {"time_step": 0.0}, "time_step = 0.0"),
        (torch.ones(3, 2), {"method": "reverse"}, "method = 'reverse'"),
        (torch.ones(3, 2), {"frame": torch.ones(2, 2)}, "must be orthonormal"),
        (torch.ones(3, 2), {"frame": torch.eye(3)}, r"frame has shape \(3, 3\): it must be \(2, 2\) or \(3, 2, 2\)"),
        (torch.ones(3, 2), {"jacobian_action": lambda s, x, after, V: V[0]}, "with V's own shape"),
    ],
)
def test_bad_arguments_are_named(state, rest, message):
    with pytest.raises(ValueError, match=message):
        lyapunov_spectrum(lambda h, _: 2 * h, state, **{"n_steps": 20} | rest)


@pytest.mark.parametrize(
    ("step", "rest", "quantity", "message"),
    [
        (lambda h, _: h**2 * 1e3, {}, "state", "the state is not finite in example 1 of 2.*diverges"),
        (lambda h, _: 1e3 * h.abs().sqrt() * 0, {}, "tangent", "no finite derivative"),
        (lambda h, _: torch.sin(h * 1e30), {"qr_every": 15}, "tangent", "lower qr_every = 15"),
    ],
)
def test_numbers_that_are_not_finite_stop_the_run_and_say_where(step, rest, quantity, message):
    start = torch.tensor([[1e-4, 0.0], [3.0, 0.0]], dtype=torch.float64)
    with pytest.raises(NonFiniteError, match=message) as caught:
        lyapunov_spectrum(step, start, n_steps=60, **rest)
    assert caught.value.quantity == quantity
    assert caught.value.step is not None
