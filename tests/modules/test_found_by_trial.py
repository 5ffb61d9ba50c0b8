"""What was tried as a user would and went wrong: hidden states below a threshold, modules out of sight, odd ranges."""

from __future__ import annotations

import copy
import functools
import math

import mpmath
import pytest
import snntorch
import torch
from module_cases import normal
from torch import nn

from pyflossing import LyapunovSpectrum, check_jacobian, finite_time_exponents, floss, lyapunov_spectrum
from pyflossing.modules import finite_time
from pyflossing.modules.logs import RoundingWarning, shares
from pyflossing.modules.statistics import entropy_rate, kaplan_yorke_dimension

B, N, T = 2, 5, 40


def gru():
    torch.manual_seed(2)
    return nn.GRUCell(N, N).double()


STATE, INPUTS = normal(B, N) / 2, normal(T, B, N, seed=3)


def without_names(cell):
    def step(*arguments):
        return cell(*arguments)

    return step


@pytest.mark.parametrize("wrap", [functools.partial, without_names])
def test_the_order_of_a_call_without_names_is_asked_for(wrap):
    step = wrap(gru())
    with pytest.raises(ValueError, match="say input_first=True"):
        lyapunov_spectrum(step, STATE, INPUTS)
    found = lyapunov_spectrum(step, STATE, INPUTS, input_first=True)
    torch.testing.assert_close(found.exponents, lyapunov_spectrum(gru(), STATE, INPUTS).exponents)


def test_compiled_parts_run_uncompiled():
    calls = []

    def backend(graph, _):
        calls.append(graph)
        return graph.forward

    cell, plain = gru(), gru()
    cell.compile(backend=backend)
    inner = torch.compile(plain, backend=backend)
    for step in (cell, lambda h, x: inner(x, h)):
        found = lyapunov_spectrum(step, STATE, INPUTS)
        torch.testing.assert_close(found.exponents, lyapunov_spectrum(plain, STATE, INPUTS).exponents)
    assert not calls


class SpikesOfItsOwn(nn.Module):
    """A membrane inside, so far below its threshold that only its surrogate gradient tells."""

    def __init__(self):
        super().__init__()
        self.weights, self.neuron = nn.Linear(N, N), snntorch.Leaky(beta=0.9, init_hidden=True)

    def forward(self, h, x):
        return torch.tanh(self.weights(h)) + self.neuron(0.01 * (x + h))


class EveryThirdTime(nn.Module):
    """A clock inside."""

    def __init__(self):
        super().__init__()
        self.weights, self.time = nn.Linear(N, N), 0

    def forward(self, h, x):
        self.time += 1
        return h if self.time % 3 else torch.tanh(self.weights(h) + x)


@pytest.mark.parametrize("kind", [SpikesOfItsOwn, EveryThirdTime])
def test_states_within_a_module_are_found_even_if_they_show_late(kind):
    torch.manual_seed(1)
    module = kind()
    with pytest.raises(ValueError, match="keeps a state of its own"):
        lyapunov_spectrum(module, STATE.float(), INPUTS.float())
    assert getattr(module, "time", 0) == 0


def test_the_remedies_for_clocks_and_membranes_work():
    torch.manual_seed(1)
    module = SpikesOfItsOwn()

    def step(state, x):
        h, module.neuron.mem = state
        return module(h, x), module.neuron.mem

    found = lyapunov_spectrum(step, (STATE.float(), STATE.float()), INPUTS.float(), 2)
    assert found.exponents.isfinite().all()
    clock = EveryThirdTime().double()
    moves = lambda h, x: torch.where(x[1], torch.tanh(clock.weights(h) + x[0]), h)  # noqa: E731
    found = lyapunov_spectrum(moves, STATE, (INPUTS, torch.arange(T) % 3 == 2), 2)
    assert found.exponents.isfinite().all()


class Holder:
    def __init__(self, norm):
        self.parts = [{"norm": norm}]

    def step(self, h, x):
        return torch.tanh(self.parts[0]["norm"](h) + x)


def nested(norm):
    inner = lambda h: 1.0 * norm(h)  # noqa: E731
    return lambda h, x: torch.tanh(inner(h) + x)


@pytest.mark.parametrize("hide", [lambda norm: Holder(norm).step, nested, lambda norm: functools.partial(nested(norm))])
@pytest.mark.parametrize("call", [lyapunov_spectrum, finite_time_exponents, check_jacobian])
def test_steps_that_are_refused_or_looked_at_change_no_module_wherever_it_is(hide, call):
    norm = nn.BatchNorm1d(N).double()
    before, stream = copy.deepcopy(norm.state_dict()), torch.get_rng_state()
    if call is check_jacobian:
        check_jacobian(hide(norm), STATE, INPUTS[0])
    else:
        with pytest.raises(ValueError, match="mixes the examples"):
            call(hide(norm), STATE, INPUTS)
    for name, buffer in norm.state_dict().items():
        assert torch.equal(buffer, before[name])
    assert torch.equal(stream, torch.get_rng_state())


def test_noise_is_the_same_in_all_ways_that_are_compared():
    cell, drop = gru(), nn.Dropout(0.3)
    report = check_jacobian(lambda h, x: cell(x, drop(h)), STATE, INPUTS[0])
    assert len(report.differences) == 6
    assert report.largest < 1e-7
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).double()
    found = lyapunov_spectrum(lambda h, _: layer(h), normal(B, 3, 4), n_steps=20, k=2)
    assert found.exponents.isfinite().all()


def test_inference_mode_around_and_within():
    cell = gru()
    with torch.inference_mode():
        report = check_jacobian(cell, STATE.clone(), INPUTS[0].clone())
    assert report.largest < 1e-7

    def step(h, x):
        with torch.inference_mode():
            y = cell(x, h)
        return 0.5 * h + y.clone()

    with pytest.raises(ValueError, match=r"inference_mode.*write torch\.no_grad\(\)"):
        lyapunov_spectrum(step, STATE, INPUTS)


def test_no_grad_that_only_tends_to_parameters_is_no_second_derivative():
    layer = nn.utils.parametrizations.spectral_norm(nn.Linear(N, N)).double()
    for _ in range(50):  # the largest singular value has settled
        layer(STATE)
    found = lyapunov_spectrum(lambda h, x: torch.tanh(layer(h) + x), STATE, INPUTS, 2)
    layer.eval()
    settled = lyapunov_spectrum(lambda h, x: torch.tanh(layer(h) + x), STATE, INPUTS, 2)
    torch.testing.assert_close(found.exponents, settled.exponents, rtol=0, atol=1e-3)


def test_a_call_that_fails_says_with_what_it_was_made():
    whole = nn.GRU(N, N, 2).double()

    class Wrapped(nn.Module):
        def forward(self, x, h):
            return whole(x, h)

    with pytest.raises(ValueError, match=r"fails when it is called with state \(2, 2, 5\) and x \(2, 5\): "):
        lyapunov_spectrum(Wrapped(), normal(2, B, N), INPUTS)
    with pytest.raises(ValueError, match="fails when it is called"):
        lyapunov_spectrum(whole, STATE, INPUTS)


def test_one_example_with_the_batch_first_is_refused_or_read_as_told():
    right = lyapunov_spectrum(gru(), STATE[:1], INPUTS[:, :1])
    turned = INPUTS[:, :1].transpose(0, 1)
    with pytest.raises(ValueError, match="say batch_first=True"):
        lyapunov_spectrum(gru(), STATE[:1], turned)
    found = lyapunov_spectrum(gru(), STATE[:1], turned, batch_first=True)
    torch.testing.assert_close(found.exponents, right.exponents)


@pytest.mark.filterwarnings("error")
def test_layers_in_single_precision_run_as_recorded(capfd):
    torch.manual_seed(1)
    layers = nn.LSTM(3, 4, num_layers=2)
    state, inputs = (torch.zeros(2, B, 4), torch.zeros(2, B, 4)), normal(T, B, 3, dtype=torch.float32)
    found = lyapunov_spectrum(layers, state, inputs, 3)
    assert found.settings.evaluation == "recorded"
    assert torch.backends.mkldnn.enabled
    assert "performance drop" not in capfd.readouterr().err
    wide = lyapunov_spectrum(layers, state, inputs, 3, dtype=torch.float64)
    torch.testing.assert_close(found.exponents, wide.exponents, rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [1e19, 1e-24])
def test_derivatives_whose_squares_leave_single_precision(size):
    factors = size * torch.tensor([3.0, 1.0, 0.2])
    found = lyapunov_spectrum(
        lambda h, _: h * factors, torch.full((1, 3), 1e-6), n_steps=1, transient=0, frame=torch.eye(3)
    )
    torch.testing.assert_close(found.exponents[0], factors.double().log(), rtol=0, atol=1e-5)
    lost = torch.diag(size * torch.tensor([1.0, 1e-8]))
    torch.testing.assert_close(shares(lost)[0], torch.tensor([1.0, 1e-8]))


def test_numbers_of_exponents_that_rounding_has_eaten():
    nan = math.nan
    found = torch.tensor([[0.5, -0.2, -1.0, nan], [0.5, 0.2, nan, nan], [0.5, -0.2, nan, -1.0]], dtype=torch.float64)
    expected = torch.tensor([2.3, nan, 2.3], dtype=torch.float64)
    torch.testing.assert_close(kaplan_yorke_dimension(found, 4), expected, equal_nan=True)
    torch.testing.assert_close(entropy_rate(found), torch.tensor([0.5, 0.7, 0.5], dtype=torch.float64))


def singular_exponents(cell, h, inputs):
    """By an explicit product of Jacobians of 80 digits."""
    mpmath.mp.dps = 80
    product = mpmath.eye(h.numel())
    for x in inputs:
        jacobian = torch.autograd.functional.jacobian(lambda q, x=x: cell(x, q), h)
        product, h = mpmath.matrix(jacobian.tolist()) * product, cell(x, h).detach()
    values = sorted(mpmath.svd_r(product, compute_uv=False), reverse=True)
    return torch.tensor([float(mpmath.log(value) / len(inputs)) for value in values], dtype=torch.float64)


def test_all_exponents_of_a_short_run_over_any_range():
    cell = gru()
    with torch.no_grad():
        for p in cell.parameters():
            p.mul_(3)
    found = finite_time_exponents(cell, STATE[:1], INPUTS[:25, :1])
    assert found.n_sweeps > 0
    expected = singular_exponents(cell, STATE[0], INPUTS[:25, 0])
    assert float(expected[0] - expected[-1]) * 25 > finite_time._SAFE_RANGE
    torch.testing.assert_close(found.exponents[0], expected, rtol=0, atol=1e-8)


def test_exponents_of_short_runs_that_rounding_has_eaten_are_nan():
    u, v = normal(N, 1, dtype=torch.float32), normal(1, N, seed=2, dtype=torch.float32)
    step = lambda h, _: torch.tanh(h @ u @ v + 0.1)  # noqa: E731
    with pytest.warns(RoundingWarning, match="take k <= 1"):
        found = finite_time_exponents(step, STATE.float(), n_steps=8)
    assert found.exponents.isnan().tolist() == [[False] + [True] * (N - 1)] * B
    one = finite_time_exponents(step, STATE.float(), n_steps=8, k=1)
    torch.testing.assert_close(one.exponents[:, 0], found.exponents[:, 0], rtol=0, atol=1e-6)


def test_nothing_to_train_is_refused():
    cell = gru().requires_grad_(False)
    with pytest.raises(ValueError, match=r"no parameter.*call requires_grad_\(\) on some"):
        lyapunov_spectrum(cell, STATE, INPUTS, 2, differentiable=True)
    cell.bias_hh.requires_grad_()
    assert lyapunov_spectrum(cell, STATE, INPUTS, 2, differentiable=True).exponents.requires_grad
    optimiser = torch.optim.SGD(cell.parameters(), lr=0.1)
    before = cell.weight_hh.clone()
    floss(cell, cell.parameters(), optimiser, lambda _: (STATE, INPUTS), 1, 2)
    assert torch.equal(cell.weight_hh, before)


def test_torch_loads_what_torch_saved(tmp_path):
    found = lyapunov_spectrum(gru(), STATE, INPUTS, 2)
    torch.save(found, tmp_path / "spectrum.pt")
    read = torch.load(tmp_path / "spectrum.pt", weights_only=True)
    assert isinstance(read, LyapunovSpectrum)
    assert torch.equal(read.exponents, found.exponents)
    assert read.settings == found.settings


def test_what_a_step_does_from_time_to_time_is_seen():
    weights, seldom = normal(N, N), []

    def step(h, x):
        seldom.append(x.numpy()[0, 0] > 1.7)  # torch cannot see this
        return 0.1 * h if seldom[-1] else torch.tanh(h @ weights + x)

    found = lyapunov_spectrum(step, STATE, normal(300, B, N, seed=9), 2, transient=0)
    assert any(seldom[50:])
    masked = lambda h, x: torch.where(x[:1, :1] > 1.7, 0.1 * h, torch.tanh(h @ weights + x))  # noqa: E731
    expected = lyapunov_spectrum(masked, STATE, normal(300, B, N, seed=9), 2, transient=0)
    torch.testing.assert_close(found.exponents, expected.exponents, rtol=0, atol=1e-9)
