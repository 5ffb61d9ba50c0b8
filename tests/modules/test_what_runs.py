"""Steps that have a plain backward pass only, half types, complex numbers, and states of any structure."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
import torch.utils._pytree as torch_trees
from module_cases import jacobian_exponents, normal
from page_code import DOCS
from torch import nn
from torch.autograd.function import once_differentiable

from pyflossing import check_jacobian, flossing_loss, lyapunov_spectrum
from pyflossing.model.spectrum import initial_frame
from pyflossing.modules.ways import plain_attention

B, N, T = 3, 6, 60


class Attention(nn.Module):
    """A block of attention over four tokens of width 4, with a residual, as recursive reasoning models have it."""

    def __init__(self, tokens=4, width=4, heads=2):
        super().__init__()
        torch.manual_seed(1)
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, 2 * width, bias=False), nn.Linear(2 * width, width, bias=False)
        self.double()

    def forward(self, state, x):
        z = state + x
        size, tokens, width = z.shape
        q, k, v = self.qkv(z).reshape(size, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(size, tokens, width)
        z = F.rms_norm(z + self.out(mixed), (width,))
        return F.rms_norm(z + self.down(F.silu(self.up(z))), (width,))


ATTENTION_STATE, ATTENTION_INPUTS = normal(2, 4, 4), normal(30, 2, 4, 4, seed=2)


def attention_exponents(block, k=8):
    plain = plain_attention(block)
    flat = lambda h, x: plain(h.reshape(1, 4, 4), x[None])[0].reshape(-1)  # noqa: E731
    return jacobian_exponents(flat, ATTENTION_STATE[0].reshape(-1), ATTENTION_INPUTS[:, 0], k=k)


def test_attention_is_measured_by_plain_backward_passes():
    block = Attention()
    found = lyapunov_spectrum(block, ATTENTION_STATE, ATTENTION_INPUTS, 8, transient=0)
    assert found.settings.method == "backward"
    assert found.settings.evaluation == "stacked"
    torch.testing.assert_close(found.exponents[0], attention_exponents(block), rtol=0, atol=1e-9)


def test_spectra_of_attention_are_differentiable_with_the_attention_written_out():
    block = Attention()

    def loss(weight):
        step = lambda h, x: torch.func.functional_call(block, {"out.weight": weight}, (h, x))  # noqa: E731
        found = lyapunov_spectrum(step, ATTENTION_STATE, ATTENTION_INPUTS[:6], 3, transient=0, differentiable=True)
        torch.testing.assert_close(
            found.exponents.detach(),
            lyapunov_spectrum(step, ATTENTION_STATE, ATTENTION_INPUTS[:6], 3, transient=0).exponents,
            rtol=0, atol=1e-9,
        )  # fmt: skip
        return flossing_loss(found)

    assert torch.autograd.gradcheck(loss, (block.out.weight.detach().requires_grad_(),), fast_mode=True)
    with pytest.raises(ValueError, match="method = 'adjoint' is not allowed with differentiable=True"):
        lyapunov_spectrum(block, ATTENTION_STATE, ATTENTION_INPUTS, method="adjoint", differentiable=True)


class Once(torch.autograd.Function):
    """A tanh whose backward pass has no gradient."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.tanh()

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        return g * (1 - ctx.saved_tensors[0].tanh() ** 2)


class ByNumpy(torch.autograd.Function):
    """The same by numpy."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.from_numpy(x.detach().numpy().copy()).tanh()

    @staticmethod
    def backward(ctx, g):
        x = ctx.saved_tensors[0].detach().numpy()
        return torch.from_numpy(g.detach().numpy() / torch.from_numpy(x).cosh().numpy() ** 2)


@pytest.mark.parametrize("function", [Once, ByNumpy])
def test_backward_passes_that_have_no_gradient_are_enough(function):
    weights, state, inputs = 1.5 * normal(N, N, seed=3), normal(B, N), normal(T, B, N, seed=2)
    step = lambda h, x: function.apply(h @ weights + x)  # noqa: E731
    expected = lyapunov_spectrum(lambda h, x: torch.tanh(h @ weights + x), state, inputs, 4, transient=0)
    found = lyapunov_spectrum(step, state, inputs, 4, transient=0)
    assert found.settings.method == "backward"
    torch.testing.assert_close(found.exponents, expected.exponents, rtol=0, atol=1e-10)
    with pytest.raises(ValueError, match=r"method = 'double_backward'.*once_differentiable"):
        lyapunov_spectrum(step, state, inputs, method="double_backward")


@pytest.mark.parametrize("method", ["backward", "adjoint"])
def test_plain_backward_passes_give_the_same_exponents(method):
    torch.manual_seed(2)
    cell = nn.GRUCell(2, N).double()
    with torch.no_grad():
        for p in cell.parameters():
            p.mul_(3)
    state, inputs = normal(B, N), normal(1200, B, 2, seed=3)
    # away from the ends, at which only one of the two frames has aligned, both products are of the same Jacobians
    expected = lyapunov_spectrum(cell, state, inputs, 3, transient=100)
    found = lyapunov_spectrum(cell, state, inputs, 3, transient=100, method=method)
    atol = 1e-12 if method == "backward" else 0.02
    torch.testing.assert_close(found.exponents, expected.exponents, rtol=0, atol=atol)
    assert found.settings.method == method
    torch.testing.assert_close(found.final_state, expected.final_state)


def test_the_adjoint_of_all_directions_has_the_same_sum_of_exponents():
    torch.manual_seed(2)
    cell = nn.GRUCell(2, N).double()
    state, inputs = normal(B, N), normal(40, B, 2, seed=3)
    a, b = (
        lyapunov_spectrum(cell, state, inputs, transient=0, method=m).exponents.sum(-1)
        for m in ("adjoint", "double_backward")
    )
    torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="left out at both ends"):
        lyapunov_spectrum(cell, state, inputs, transient=20, method="adjoint")


def test_the_adjoint_pulls_attention_back():
    block, k = Attention(), 8
    found = lyapunov_spectrum(block, ATTENTION_STATE, ATTENTION_INPUTS, transient=0, k=k, method="adjoint")
    plain = plain_attention(block)
    h, jacobians = ATTENTION_STATE[:1].reshape(-1), []
    for x in ATTENTION_INPUTS[:, :1]:
        step = lambda flat, x=x: plain(flat.reshape(1, 4, 4), x).reshape(-1)  # noqa: E731
        jacobians.append(torch.autograd.functional.jacobian(step, h))
        h = step(h).detach()
    Q, total = initial_frame(16, k, 1, like=h), 0
    for jacobian in reversed(jacobians):
        Q, R = torch.linalg.qr(jacobian.T @ Q)
        total = total + R.diagonal().abs().log()
    torch.testing.assert_close(found.exponents[0], total / len(jacobians), rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", ["auto", "backward", "adjoint"])
def test_half_types_and_autocast_run_with_their_own_rounding(method):
    torch.manual_seed(2)
    cell = nn.GRUCell(2, 8)
    state, inputs = normal(B, 8, dtype=torch.float32), normal(200, B, 2, seed=3, dtype=torch.float32)
    truth = lyapunov_spectrum(cell, state, inputs, 2).exponents
    half = cell.bfloat16()
    found = lyapunov_spectrum(half, state.bfloat16(), inputs.bfloat16(), 2, method=method)
    assert found.settings.dtype == "float32"
    assert found.final_state.dtype == torch.bfloat16
    torch.testing.assert_close(found.exponents, truth, rtol=0, atol=0.02)
    cell = cell.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = lyapunov_spectrum(cell, state, inputs, 2, method=method)
    torch.testing.assert_close(found.exponents, truth, rtol=0, atol=0.02)

    def within(h, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return cell(x, h)

    found = lyapunov_spectrum(within, state, inputs, 2, method=method)
    torch.testing.assert_close(found.exponents, truth, rtol=0, atol=0.02)


def test_inference_mode_changes_nothing():
    torch.manual_seed(2)
    cell = nn.GRUCell(2, N).double()
    state, inputs = normal(B, N), normal(T, B, 2, seed=3)
    expected = lyapunov_spectrum(cell, state, inputs).exponents
    with torch.inference_mode():
        made_here = nn.GRUCell(2, N).double()
        made_here.load_state_dict(cell.state_dict())
        inner = lyapunov_spectrum(cell, state.clone(), inputs.clone()).exponents
        both = lyapunov_spectrum(made_here, state.clone(), inputs.clone()).exponents
    torch.testing.assert_close(inner, expected)
    torch.testing.assert_close(both, expected)
    torch.testing.assert_close(lyapunov_spectrum(made_here, state, inputs).exponents, expected)


@dataclass(frozen=True)
class Carry:
    high: torch.Tensor
    low: torch.Tensor
    nothing: None = None


class Registered:
    def __init__(self, one, two):
        self.one, self.two = one, two


torch_trees.register_pytree_node(
    Registered, lambda c: ([c.one, c.two], "context"), lambda parts, context: Registered(*parts)
)


@pytest.mark.parametrize("kind", [Carry, Registered])
def test_dataclasses_and_registered_structures_are_states(kind):
    a, b = normal(4, 4), normal(3, 3, seed=2)

    def move(high, low):
        return torch.tanh(high @ a + low.sum(-1, keepdim=True)), torch.sin(low @ b + high[..., :1])

    def step(carry, _):
        high, low = (carry.high, carry.low) if kind is Carry else (carry.one, carry.two)
        return kind(*move(high, low))

    start = normal(B, 4), normal(B, 3, seed=4)
    found = lyapunov_spectrum(step, kind(*start), n_steps=30)
    expected = lyapunov_spectrum(lambda s, _: move(*s), start, n_steps=30)
    torch.testing.assert_close(found.exponents, expected.exponents)
    assert type(found.final_state) is kind


def test_complex_states_count_twice():
    phases = torch.exp(1j * normal(4)) * torch.tensor([1.2, 0.9, 0.5, 0.1], dtype=torch.float64)
    start = torch.complex(normal(B, 4), normal(B, 4, seed=2)) / 100
    found = lyapunov_spectrum(lambda z, _: phases * z, start, n_steps=40, transient=0, frame=torch.eye(8))
    expected = torch.tensor([1.2, 1.2, 0.9, 0.9, 0.5, 0.5, 0.1, 0.1], dtype=torch.float64).log()
    torch.testing.assert_close(found.exponents, expected.expand(B, 8), rtol=0, atol=1e-12)
    assert found.final_state.dtype == torch.complex128
    weights = torch.complex(normal(4, 4), normal(4, 4, seed=5))
    found = lyapunov_spectrum(lambda z, _: torch.tanh(z.abs()) * (z @ weights) / 3, start, n_steps=40, transient=0)

    def real(s, _):
        z = torch.view_as_complex(s.reshape(4, 2))
        return torch.view_as_real(torch.tanh(z.abs()) * (z @ weights) / 3).reshape(-1)

    expected = jacobian_exponents(real, torch.view_as_real(start[0]).reshape(-1), [None] * 40)
    torch.testing.assert_close(found.exponents[0], expected, rtol=0, atol=1e-8)


def test_the_spiking_layer_of_the_docs_runs_in_double_precision():
    path = DOCS / "examples" / "floss_snntorch.py"
    spec = importlib.util.spec_from_file_location("floss_snntorch", path)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS / "examples")
        example = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(example)
    torch.manual_seed(1)
    layer = example.SpikingLayer()
    state, inputs = example.sample(1, 60)
    wide = lyapunov_spectrum(layer, state, inputs, 5, dtype=torch.float64)
    assert wide.settings.dtype == "float64"
    own = lyapunov_spectrum(layer.double(), tuple(s.double() for s in state), inputs.double(), 5, dtype=torch.float64)
    torch.testing.assert_close(wide.exponents, own.exponents)


def test_the_first_step_tells_how_it_is_differentiated():
    report = check_jacobian(Attention(), ATTENTION_STATE, ATTENTION_INPUTS[0])
    assert "attention" in report.unavailable["double_backward"]
    assert report.differences["backward", "finite_difference"] < 1e-7
    assert math.isfinite(report.largest)
