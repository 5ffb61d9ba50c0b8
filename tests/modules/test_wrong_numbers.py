"""What once gave a wrong number without a word gives the right one, or is refused with a remedy that works."""

from __future__ import annotations

import math
import warnings

import pytest
import snntorch
import torch
from module_cases import jacobian_exponents, normal
from torch import nn

from pyflossing import check_jacobian, lyapunov_spectrum
from pyflossing.modules.logs import RoundingWarning

B, N, T = 3, 6, 60


def square_gru():
    torch.manual_seed(2)
    return nn.GRUCell(N, N).double()


GRU_STATE, GRU_INPUTS = normal(B, N), normal(T, B, N, seed=3)


def gru_exponents(b=0):
    cell = square_gru()
    return jacobian_exponents(lambda h, x: cell(x[None], h[None])[0], GRU_STATE[b], GRU_INPUTS[:, b], transient=16)


class InputFirst(nn.Module):
    """A module that is called as torch's cells are."""

    def __init__(self):
        super().__init__()
        self.cell = square_gru()

    def forward(self, input, hidden):
        return self.cell(input, hidden)


class Nameless(InputFirst):
    def forward(self, a, b):
        return self.cell(a, b)


@pytest.mark.parametrize(
    "wrap",
    [
        torch.jit.script,
        nn.DataParallel,
        torch.compile,
        lambda cell: torch.compile(nn.DataParallel(cell)),
        lambda _: InputFirst(),
    ],
    ids=["script", "DataParallel", "compile", "both", "names"],
)
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # torch.compile's
def test_wrapped_cells_and_modules_that_take_the_input_first_are_called_so(wrap):
    found = lyapunov_spectrum(wrap(square_gru()), GRU_STATE, GRU_INPUTS)
    torch.testing.assert_close(found.exponents[0], gru_exponents(), rtol=0, atol=1e-10)


def test_an_order_that_cannot_be_told_is_refused_and_input_first_tells_it():
    with pytest.raises(ValueError, match="say input_first=True or input_first=False"):
        lyapunov_spectrum(Nameless(), GRU_STATE, GRU_INPUTS)
    found = lyapunov_spectrum(Nameless(), GRU_STATE, GRU_INPUTS, input_first=True)
    torch.testing.assert_close(found.exponents[0], gru_exponents(), rtol=0, atol=1e-10)
    swapped = lyapunov_spectrum(Nameless(), GRU_STATE, GRU_INPUTS, input_first=False)
    assert (swapped.exponents[0] - gru_exponents()).abs().max() > 0.1
    cell = square_gru()

    def backwards(x, h):
        return cell(x, h)

    with pytest.raises(ValueError, match="reads like input first"):
        lyapunov_spectrum(backwards, GRU_STATE, GRU_INPUTS)
    found = lyapunov_spectrum(backwards, GRU_STATE, GRU_INPUTS, input_first=True)
    torch.testing.assert_close(found.exponents[0], gru_exponents(), rtol=0, atol=1e-10)


def test_an_order_that_sizes_tell_needs_no_words():
    class Narrow(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(2)
            self.cell = nn.GRUCell(2, N).double()

        def forward(self, a, b):
            return self.cell(a, b)

    inputs = GRU_INPUTS[..., :2]
    cell = Narrow().cell
    expected = jacobian_exponents(lambda h, x: cell(x[None], h[None])[0], GRU_STATE[0], inputs[:, 0], transient=16)
    found = lyapunov_spectrum(Narrow(), GRU_STATE, inputs)
    torch.testing.assert_close(found.exponents[0], expected, rtol=0, atol=1e-10)


class OwnState(nn.Module):
    """A membrane among the module's attributes."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(4)
        self.weights = nn.Linear(N, N).double()
        self.register_buffer("trace", torch.zeros(1, N, dtype=torch.float64))

    def forward(self, state, x):
        self.trace = 0.9 * self.trace + state
        return torch.tanh(self.weights(self.trace) + x)


def test_a_state_within_the_module_is_refused_and_found_unchanged():
    hidden = snntorch.Leaky(beta=0.9, init_hidden=True, output=True)
    weights = nn.Linear(N, N)
    inside = lambda state, x: weights(state) + hidden(x)[1]  # noqa: E731
    for step, dtype in ((inside, torch.float32), (OwnState(), torch.float64)):
        with pytest.raises(ValueError, match=r"keeps a state of its own.*init_hidden=False and the membrane as state"):
            lyapunov_spectrum(step, GRU_STATE.to(dtype), GRU_INPUTS.to(dtype))
    module = OwnState()
    with pytest.raises(ValueError, match="state of its own"):
        lyapunov_spectrum(module, GRU_STATE, GRU_INPUTS)
    assert not module.trace.any()


def test_the_remedy_for_a_state_within_the_module_works():
    module = OwnState()

    def step(state, x):
        h, trace = state
        trace = 0.9 * trace + h
        return torch.tanh(module.weights(trace) + x), trace

    def flat(s, x):
        return torch.cat([part[0] for part in step((s[None, :N], s[None, N:]), x)])

    # the next step needs the trace alone, so that no more than N directions are left
    found = lyapunov_spectrum(step, (GRU_STATE, 0 * GRU_STATE), GRU_INPUTS, k=N)
    start = torch.cat([GRU_STATE[0], 0 * GRU_STATE[0]])
    expected = jacobian_exponents(flat, start, GRU_INPUTS[:, 0], k=N, transient=16)
    torch.testing.assert_close(found.exponents[0], expected, rtol=0, atol=1e-9)


def test_dropout_is_no_state_of_its_own_and_trying_a_step_draws_nothing():
    cell = square_gru()
    drop = nn.Dropout(0.2)
    step = lambda h, x: cell(x, drop(h))  # noqa: E731
    torch.manual_seed(5)
    one = lyapunov_spectrum(step, GRU_STATE, GRU_INPUTS, k=1, transient=0)
    torch.manual_seed(5)
    state = GRU_STATE
    with torch.no_grad():
        for x in GRU_INPUTS:
            state = step(state, x)
    torch.testing.assert_close(one.final_state, state)
    assert one.settings.evaluation == "step by step"


def test_buffers_of_a_refused_step_stay_as_they_are():
    norm = nn.BatchNorm1d(N).double()
    before = {name: buffer.clone() for name, buffer in norm.named_buffers()}
    with pytest.raises(ValueError, match=r"mixes the examples.*module\.eval"):
        lyapunov_spectrum(lambda h, x: torch.tanh(norm(h) + x), GRU_STATE, GRU_INPUTS)
    for name, buffer in norm.named_buffers():
        assert torch.equal(buffer, before[name])
    norm.eval()
    found = lyapunov_spectrum(lambda h, x: torch.tanh(norm(h) + x), GRU_STATE, GRU_INPUTS)
    assert found.exponents.isfinite().all()


class OneStepGradient(nn.Module):
    """Three inner steps, of which training differentiates the last one."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(6)
        self.weights = nn.Linear(N, N).double()

    def inner(self, h, x):
        return 0.5 * h + torch.tanh(2 * self.weights(h) + x)

    def forward(self, h, x):
        with torch.no_grad():
            h = self.inner(self.inner(h, x), x)
        return self.inner(h, x)


def test_where_no_grad_makes_two_derivatives_the_caller_chooses():
    module = OneStepGradient()
    with pytest.raises(ValueError, match=r"torch\.no_grad.*through_no_grad=True.*through_no_grad=False"):
        lyapunov_spectrum(module, GRU_STATE, GRU_INPUTS)
    whole = jacobian_exponents(
        lambda h, x: module.inner(module.inner(module.inner(h, x), x), x), GRU_STATE[0], GRU_INPUTS[:, 0], transient=16
    )
    settings = [{"through_no_grad": True}, {"method": "forward"}, {"through_no_grad": True, "method": "backward"}]
    for choice in settings:
        found = lyapunov_spectrum(module, GRU_STATE, GRU_INPUTS, **choice)
        torch.testing.assert_close(found.exponents[0], whole, rtol=0, atol=1e-9)
    # in training the first two inner steps are constants, so that nothing depends on the state
    with pytest.raises(ValueError, match="does not depend on the state"):
        lyapunov_spectrum(module, GRU_STATE, GRU_INPUTS, through_no_grad=False)
    whole_gradient = lyapunov_spectrum(module, GRU_STATE, GRU_INPUTS, through_no_grad=True, differentiable=True)
    assert whole_gradient.exponents.requires_grad


class PartlyHidden(OneStepGradient):
    def forward(self, h, x):
        with torch.no_grad():
            hidden = self.inner(h, x)
        return 0.3 * h + 0.5 * self.inner(hidden, x)


def test_both_derivatives_of_a_step_with_no_grad_in_a_part():
    module = PartlyHidden()
    found = lyapunov_spectrum(module, GRU_STATE, GRU_INPUTS, through_no_grad=False, transient=0)
    torch.testing.assert_close(found.exponents, torch.full_like(found.exponents, math.log(0.3)))
    found = lyapunov_spectrum(module, GRU_STATE, GRU_INPUTS, through_no_grad=True)
    whole = lambda h, x: 0.3 * h + 0.5 * module.inner(module.inner(h, x), x)  # noqa: E731
    expected = jacobian_exponents(whole, GRU_STATE[0], GRU_INPUTS[:, 0], transient=16)
    torch.testing.assert_close(found.exponents[0], expected, rtol=0, atol=1e-9)


class Halved(nn.Module):
    """A gradient that a hook makes another than the derivative."""

    def forward(self, state, x):
        y = torch.tanh(2 * state + x)
        if y.requires_grad:
            y.register_hook(lambda g: g / 2)
        return y


def test_where_a_hook_makes_two_derivatives_the_caller_chooses():
    with pytest.raises(ValueError, match=r"differ by 0\.5.*Choose method='double_backward'.*method='forward'"):
        lyapunov_spectrum(Halved(), GRU_STATE, GRU_INPUTS)
    a, b = (
        lyapunov_spectrum(Halved(), GRU_STATE, GRU_INPUTS, method=method, transient=0).exponents
        for method in ("double_backward", "forward")
    )
    torch.testing.assert_close(a, b - math.log(2))


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("turn", [False, True])
def test_mixing_is_found_in_whichever_direction_it_goes(size, turn):
    def step(h, _):
        h = h.flip(0) if turn else h
        return torch.tanh(1.5 * h.cumsum(0))

    with pytest.raises(ValueError, match="mixes the examples"):
        lyapunov_spectrum(step, normal(size, 4), n_steps=20)
    alone = lyapunov_spectrum(step, normal(1, 4), n_steps=20)
    assert alone.exponents.isfinite().all()


def layered(kind, **settings):
    torch.manual_seed(7)
    return getattr(nn, kind)(2, 4, num_layers=2, **settings).double()


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_all_layers_of_torchs_recurrent_modules_take_one_step(kind, batch_first):
    module = layered(kind, batch_first=batch_first)
    h = normal(2, B, 4) / 2
    state = (h, normal(2, B, 4, seed=2) / 2) if kind == "LSTM" else h
    inputs = normal(T, B, 2, seed=3)
    found = lyapunov_spectrum(module, state, inputs.transpose(0, 1) if batch_first else inputs)

    def flat_step(flat, x):
        parts = flat.reshape(-1, 2, 1, 4)
        given = x[None, None]
        after = module(given, tuple(parts) if kind == "LSTM" else parts[0])[1]
        return torch.cat([part.reshape(-1) for part in (after if kind == "LSTM" else [after])])

    start = torch.cat([part[:, 1].reshape(-1) for part in (state if kind == "LSTM" else [state])])
    expected = jacobian_exponents(flat_step, start, inputs[:, 1], transient=16)
    torch.testing.assert_close(found.exponents[1], expected, rtol=0, atol=1e-9)
    end = found.final_state[0] if kind == "LSTM" else found.final_state
    assert end.shape == h.shape
    report = check_jacobian(module, state, inputs[0])
    assert report.largest < 1e-7


@pytest.mark.parametrize("layers", [1, 2])
def test_the_layout_of_layers_is_refused_and_batch_dim_reads_it(layers):
    torch.manual_seed(7)
    gru = nn.GRU(2, 4, num_layers=layers).double()
    step = lambda h, x: gru(x[None], h)[1]  # noqa: E731
    inputs, state = normal(T, B, 2), normal(layers, B, 4)
    with pytest.raises(ValueError, match="batch_dim="):
        lyapunov_spectrum(step, state, inputs)
    found = lyapunov_spectrum(step, state, inputs, batch_dim=1)
    assert found.exponents.shape == (B, 4 * layers)
    torch.testing.assert_close(found.exponents, lyapunov_spectrum(gru, state, inputs).exponents)


def test_rounding_has_no_exponents():
    torch.manual_seed(8)
    cell = nn.GRUCell(2, 64)
    state, inputs = torch.zeros(1, 64), normal(200, 1, 2, dtype=torch.float32)
    truth = lyapunov_spectrum(cell, state, inputs, 50, dtype=torch.float64).exponents
    # QR decompositions in between are put where rounding would eat the trailing directions
    rarely = lyapunov_spectrum(cell, state, inputs, 50, qr_every=10)
    torch.testing.assert_close(rarely.exponents, truth, rtol=0, atol=2e-3)
    assert rarely.block_lengths.tolist() == [10] * 17


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_directions_that_a_step_loses_are_nan_and_the_warning_says_what_to_do(dtype):
    u, v = normal(N, 1, dtype=dtype), normal(1, N, seed=2, dtype=dtype)
    step = lambda h, _: torch.tanh(h @ u @ v + 0.1)  # noqa: E731
    with pytest.warns(RoundingWarning, match="take k <= 1"):
        found = lyapunov_spectrum(step, normal(B, N, dtype=dtype), n_steps=40)
    assert found.exponents[:, 0].isfinite().all()
    assert found.exponents[:, 1:].isnan().all()
    one = lyapunov_spectrum(step, normal(B, N, dtype=dtype), n_steps=40, k=1)
    torch.testing.assert_close(one.exponents[:, 0], found.exponents[:, 0], rtol=1e-5, atol=1e-6)


def test_shrinking_below_single_precision_asks_for_double():
    mix = torch.linalg.qr(normal(2, 2)).Q
    matrix = mix @ torch.diag(torch.tensor([1.0, 1e-9], dtype=torch.float64)) @ mix.T
    start = torch.ones(1, 2)
    with pytest.warns(RoundingWarning, match=r"dtype=torch\.float64"):
        found = lyapunov_spectrum(lambda h, _: h @ matrix.float(), start, n_steps=30)
    assert found.exponents.isnan().tolist() == [[False, True]]
    found = lyapunov_spectrum(lambda h, _: h @ matrix, start, n_steps=30, dtype=torch.float64)
    assert found.exponents[0, 1].item() == pytest.approx(math.log(1e-9), abs=1e-5)


def test_a_direction_that_a_step_makes_exactly_zero_has_the_exponent_minus_infinity():
    found = lyapunov_spectrum(
        lambda h, _: h * torch.tensor([2.0, 0.0]), torch.ones(1, 2), n_steps=20, frame=torch.eye(2)
    )
    torch.testing.assert_close(found.exponents[0], torch.tensor([math.log(2), -math.inf], dtype=torch.float64))


def test_inputs_with_the_batch_first_are_refused_or_read_as_told():
    cell = square_gru()
    right = lyapunov_spectrum(cell, GRU_STATE, GRU_INPUTS)
    with pytest.raises(ValueError, match="say batch_first=True"):
        lyapunov_spectrum(cell, GRU_STATE, GRU_INPUTS.transpose(0, 1))
    found = lyapunov_spectrum(cell, GRU_STATE, GRU_INPUTS.transpose(0, 1), batch_first=True)
    torch.testing.assert_close(found.exponents, right.exponents)


def test_as_many_steps_as_examples_must_be_told_apart():
    cell = square_gru()
    state, inputs = normal(20, N), normal(20, 20, N, seed=2)
    with pytest.raises(ValueError, match="batch_first=False if it is the first, batch_first=True"):
        lyapunov_spectrum(cell, state, inputs)
    a = lyapunov_spectrum(cell, state, inputs, batch_first=False)
    b = lyapunov_spectrum(cell, state, inputs.transpose(0, 1), batch_first=True)
    torch.testing.assert_close(a.exponents, b.exponents)
    assert (a.exponents - lyapunov_spectrum(cell, state, inputs, batch_first=True).exponents).abs().max() > 1e-3


def test_nothing_of_this_warns_where_all_is_well():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lyapunov_spectrum(square_gru(), GRU_STATE, GRU_INPUTS)
