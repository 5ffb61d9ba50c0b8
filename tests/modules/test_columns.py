"""Claims about Jacobians that are sums of fixed matrices with scaled columns: they are the step's, to rounding."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from kernel_paths import KINDS, needs_kernel, using, using_kind
from module_cases import normal
from torch import nn

from pyflossing.modules.linear import RecordedDerivative
from pyflossing.modules.state import StateLayout
from pyflossing.modules.steps import as_step

TYPES = (torch.float32, torch.float64)


def recorded(step, state, inputs, k=2):
    """A derivative ready at three times, with their states (3, B, n) and the flat step."""
    layout = StateLayout.of(state, batched=True)
    flat = layout.flatten(state, "state:")
    called = as_step(step, layout, flat, inputs[0], None)
    states = torch.stack([flat, 0.5 * flat, flat + normal(*flat.shape, dtype=flat.dtype)])
    derivative = RecordedDerivative(called, layout, flat, inputs[0], k)
    with torch.no_grad():
        following = derivative.prepare(states, inputs)

    def one(h, x):
        return layout.with_batch(1).flatten(called(layout.with_batch(1).unflatten(h[None]), x[None]), "")[0]

    return derivative, states, following, one


def require_jacobians(derivative, states, following, one, inputs):
    """At every time and for every example, against autograd's."""
    n, eps = states.shape[-1], torch.finfo(states.dtype).eps
    for t in range(len(states)):
        for b in range(states.shape[1]):
            h, x = states[t, b], inputs[t, b]
            for found, wanted in (
                (derivative.transposed(t)[b].mT, torch.autograd.functional.jacobian(lambda h, x=x: one(h, x), h)),
                (following[t, b], one(h, x).detach()),
            ):
                assert float((found - wanted).abs().max()) <= 8 * n * eps * wanted.abs().max().clamp(min=1)


def require_pushed(derivative, states, inputs, one):
    """What the compiled kernel makes of two directions, or one, at the second time: lengths tell all that is pushed."""
    _, batch, n = states.shape
    V = torch.linalg.qr(normal(batch, n, min(2, n), seed=8)).Q.to(states.dtype)
    found = derivative.through(1, 2, V)
    for b in range(batch):
        D = torch.autograd.functional.jacobian(lambda h, b=b: one(h, inputs[1, b]), states[1, b])
        scale = torch.linalg.matrix_norm(D) * 8 * n * torch.finfo(states.dtype).eps
        lengths = torch.linalg.vector_norm(D @ V[b], dim=0)
        assert float((found.lengths[0, b] - lengths).abs().max()) <= scale
        R = torch.linalg.qr(D.double() @ V[b].double()).R
        unequal = (
            lengths.max() / lengths.min()
        )  # a short direction's error turns it, and with it what is left of the other
        assert not float((found.diagonals[0, b] - R.diagonal().abs()).abs().max()) > 2 * scale * unequal


def leaky(n, dtype):
    W, U = normal(n, n, seed=3, dtype=dtype), normal(n, 3, seed=4, dtype=dtype)
    return lambda h, x: 0.9 * h - 0.1 * torch.tanh(h @ W.T + x @ U.T)


CELLS = {
    "RNNCell": lambda n, dtype: nn.RNNCell(3, n, dtype=dtype),
    "relu": lambda n, dtype: nn.RNNCell(3, n, nonlinearity="relu", dtype=dtype),
    "GRUCell": lambda n, dtype: nn.GRUCell(3, n, dtype=dtype),
    "LSTMCell": lambda n, dtype: nn.LSTMCell(3, n // 2, dtype=dtype),
    "leaky": leaky,
}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("n", [2, 13, 67])
@pytest.mark.parametrize("cell", CELLS)
def test_jacobians_of_cells(cell, n, dtype):
    batch = 1 if n > 64 else 2
    step, inputs = CELLS[cell](n, dtype), normal(3, batch, 3, seed=2, dtype=dtype)
    state = normal(batch, n // 2 * 2 if cell == "LSTMCell" else n, dtype=dtype)
    found = recorded(step, tuple(state.chunk(2, dim=-1)) if cell == "LSTMCell" else state, inputs, k=n // 2 + 1)
    assert found[0].is_sum or n == 2
    require_jacobians(*found, inputs)


@needs_kernel
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("n", [2, 13, 67, 130])
@pytest.mark.parametrize("cell", CELLS)
def test_the_kernel_pushes_by_the_sum(cell, n, dtype, kind):
    step, inputs = CELLS[cell](n, dtype), normal(3, 3, 3, seed=2, dtype=dtype)
    state = normal(3, n // 2 * 2 if cell == "LSTMCell" else n, dtype=dtype)
    with using_kind(kind):
        found = recorded(step, tuple(state.chunk(2, dim=-1)) if cell == "LSTMCell" else state, inputs)
        assert (found[0].is_sum and not found[0].forms_jacobians) or n == 2
        require_pushed(found[0], found[1], inputs, found[3])


def test_steps_whose_derivative_is_no_such_sum_are_taken_as_before():
    n = 67
    W, inputs = normal(n, n), normal(3, 2, 1)
    two_products = recorded(lambda h, x: h + torch.tanh(h) @ W.T + x, normal(2, n), inputs)
    assert not two_products[0].is_sum
    with torch.no_grad():
        pushed = two_products[0].push(1, torch.eye(n).double().expand(2, n, n))
    h = two_products[1][1]
    wanted = torch.eye(n).double() + W * (1 - torch.tanh(h)[:, None] ** 2)
    torch.testing.assert_close(pushed, wanted)
    require_jacobians(*recorded(lambda h, x: h + torch.tanh(h) @ W.T + x, normal(2, n), inputs, k=60), inputs)
    mixed = recorded(lambda h, x: torch.softmax(h, dim=-1) + x, normal(2, 5), inputs)
    require_jacobians(*mixed, inputs)


GATES = (torch.tanh, torch.sigmoid, torch.relu, nn.functional.silu, nn.functional.gelu, nn.functional.elu,
         nn.functional.leaky_relu, nn.functional.hardtanh, nn.functional.softplus)  # fmt: skip


@st.composite
def cells(draw):
    """Steps of one product with weights, gates of its parts and of the state, sums, differences, and halves joined."""
    n, n_gates = draw(st.integers(2, 9)), draw(st.integers(1, 4))
    dtype = draw(st.sampled_from(TYPES))
    W = normal(n_gates * n, n, seed=draw(st.integers(0, 99)), dtype=dtype) / n**0.5
    functions = draw(st.lists(st.sampled_from(GATES), min_size=n_gates, max_size=n_gates))
    plan = draw(st.lists(st.tuples(st.sampled_from("*+-/.~sv"), st.integers(0, n_gates)), min_size=1, max_size=6))
    joined = draw(st.integers(0, 2))

    def step(h, x):
        gates = [f(a) for f, a in zip(functions, (h @ W.mT + x).chunk(n_gates, dim=-1), strict=True)]
        parts = [*gates, h]
        value = h
        for operation, i in plan:
            other = parts[i]
            value = {
                "*": lambda v, o: v * o, "+": lambda v, o: v + o, "-": lambda v, o: o - v,
                "/": lambda v, o: v / (2 + o * o), ".": lambda v, o: 0.7 * v,
                "~": lambda v, o: -v, "s": lambda v, o: torch.sigmoid(v) + o,
                "v": lambda v, o: v.view(v.shape) * 1.5,
            }[operation](value, other)  # fmt: skip
        for _ in range(joined):
            half = n // 2
            value = torch.cat([value[..., half:], (value + gates[0])[..., :half]], dim=-1)
        return value

    return step, n, n_gates, dtype


@given(cells(), st.integers(1, 3), st.integers(0, 99))
def test_jacobians_of_random_cells(cell, batch, seed):
    step, n, n_gates, dtype = cell
    inputs = normal(3, batch, n_gates * n, seed=seed, dtype=dtype)
    with using("compiled" if KINDS else "torch"):
        found = recorded(step, normal(batch, n, seed=seed + 1, dtype=dtype), inputs)
        require_jacobians(*found, inputs)
        if KINDS:
            require_pushed(found[0], found[1], inputs, found[3])
