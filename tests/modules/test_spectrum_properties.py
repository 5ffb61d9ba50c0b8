"""What must hold of any spectrum, whatever the step."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from pyflossing import lyapunov_spectrum
from pyflossing.model.spectrum import initial_frame
from pyflossing.modules.statistics import entropy_rate, kaplan_yorke_dimension, standard_error

seeds = st.integers(0, 2**31 - 1)
methods = st.sampled_from(["double_backward", "forward"])


class Pair(nn.Module):
    """Two coupled states: the second is slow and changes in every fourth step only, by the clock in the inputs."""

    def __init__(self, n, seed):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)

        def weights():
            return nn.Parameter(1.5 * torch.randn(n, n, generator=generator, dtype=torch.float64) / n**0.5)

        self.fast, self.slow, self.down, self.up = weights(), weights(), weights(), weights()

    def forward(self, state, inputs):
        x, clock = inputs
        fast = state["fast"] / 2 + torch.tanh(state["fast"] @ self.fast + state["slow"] @ self.down + x) / 2
        slow = 0.9 * state["slow"] + 0.1 * torch.tanh(state["slow"] @ self.slow + fast @ self.up)
        return {"slow": torch.where(clock % 4 == 0, slow, state["slow"]), "fast": fast}


def case(n, seed, *, batch=3, n_steps=60):
    generator = torch.Generator().manual_seed(seed + 1)
    state = {name: torch.randn(batch, n, generator=generator, dtype=torch.float64) for name in ("fast", "slow")}
    x = torch.randn(n_steps, batch, n, generator=generator, dtype=torch.float64)
    return Pair(n, seed), state, (x, torch.arange(n_steps))


@settings(max_examples=8)
@given(n=st.integers(1, 3), seed=seeds, method=methods, data=st.data())
def test_leading_exponents_do_not_depend_on_how_many_are_computed(n, seed, method, data):
    step, state, inputs = case(n, seed)
    whole = lyapunov_spectrum(step, state, inputs, method=method)
    k = data.draw(st.integers(1, 2 * n))
    frame = initial_frame(2 * n, 2 * n, 1, like=torch.empty(0, dtype=torch.float64))[:, :k]
    part = lyapunov_spectrum(step, state, inputs, k, method=method, frame=frame)
    torch.testing.assert_close(part.exponents, whole.exponents[:, :k], rtol=0, atol=1e-7)


@settings(max_examples=8)
@given(n=st.integers(1, 3), seed=seeds, method=methods)
def test_a_batch_is_its_examples_one_by_one(n, seed, method):
    step, state, (x, clock) = case(n, seed)
    together = lyapunov_spectrum(step, state, (x, clock), method=method)
    for b in range(3):
        one = {name: part[b] for name, part in state.items()}
        alone = lyapunov_spectrum(step, one, (x[:, b], clock), batched=False, method=method)
        assert alone.exponents.shape == (2 * n,)
        torch.testing.assert_close(alone.exponents, together.exponents[b], rtol=0, atol=1e-8)


@settings(max_examples=8)
@given(n=st.integers(1, 3), seed=seeds, every=st.integers(1, 6), method=methods)
def test_sum_of_all_exponents_is_the_mean_log_determinant_however_rarely_qr_runs(n, seed, every, method):
    step, state, inputs = case(n, seed)
    found = lyapunov_spectrum(step, state, inputs, transient=0, qr_every=every, method=method)
    x, clock = inputs

    def flat_step(flat, x, tick):
        after = step({"fast": flat[:n], "slow": flat[n:]}, (x, tick))
        return torch.cat([after["fast"], after["slow"]])

    assume(bool((found.logs > -12).all()))  # what else is left of a direction is rounding
    for b in range(3):
        flat, total = torch.cat([state["fast"][b], state["slow"][b]]), 0.0
        for t in range(60):
            jacobian = torch.autograd.functional.jacobian(lambda f, t=t, b=b: flat_step(f, x[t, b], clock[t]), flat)
            total += torch.linalg.slogdet(jacobian).logabsdet
            flat = flat_step(flat, x[t, b], clock[t]).detach()
        torch.testing.assert_close(found.exponents[b].sum(), total / 60, rtol=1e-7, atol=1e-7)
        torch.testing.assert_close(found.final_state["fast"][b], flat[:n])


@settings(max_examples=10)
@given(seed=seeds, every=st.integers(2, 4))
def test_qr_every_changes_no_exponent(seed, every):
    step, state, inputs = case(2, seed)
    often = lyapunov_spectrum(step, state, inputs, 2, transient=12)
    rarely = lyapunov_spectrum(step, state, inputs, 2, transient=12, qr_every=every)
    torch.testing.assert_close(rarely.exponents, often.exponents, rtol=0, atol=1e-8)
    assert rarely.block_lengths.sum() == often.block_lengths.sum() == 48


def test_after_the_transient_the_frame_does_not_matter():
    step, state, inputs = case(3, 7, n_steps=600)
    start = torch.linalg.qr(torch.randn(3, 6, 2, generator=torch.Generator().manual_seed(9), dtype=torch.float64)).Q

    def spread(transient):
        frames = (1, 77, torch.Generator().manual_seed(1), start)
        found = [lyapunov_spectrum(step, state, inputs, 2, transient=transient, frame=f).exponents for f in frames]
        return torch.stack(found).std(dim=0).max()

    assert spread(0) > 1e-4
    assert spread(400) < 1e-5


def test_a_run_can_be_continued():
    step, state, (x, clock) = case(2, 8)
    whole = lyapunov_spectrum(step, state, (x, clock), 2, transient=0)
    first = lyapunov_spectrum(step, state, (x[:24], clock[:24]), 2, transient=0)
    second = lyapunov_spectrum(step, first.final_state, (x[24:], clock[24:]), 2, transient=0, frame=first.final_frame)
    torch.testing.assert_close(torch.cat([first.logs, second.logs]), whole.logs)
    time, running = whole.convergence()
    torch.testing.assert_close(running[23], first.exponents)
    torch.testing.assert_close(running[-1], whole.exponents)
    assert time.tolist() == list(range(1, 61))


def test_a_transient_of_the_original_is_the_default():
    step, state, inputs = case(1, 1)
    found = lyapunov_spectrum(step, state, inputs)
    assert (found.settings.transient, len(found.logs), found.settings.n_steps) == (16, 44, 60)
    assert repr(found).startswith("<LyapunovSpectrum: 3 examples, 2 of 2 exponents from 44 steps, largest ")


@pytest.mark.parametrize("correlation", [0.0, 0.9, -0.5])
def test_standard_errors_are_those_of_correlated_numbers(correlation):
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(4096, 200, generator=generator, dtype=torch.float64)
    series = [noise[0] / math.sqrt(1 - correlation**2)]
    for row in noise[1:]:
        series.append(correlation * series[-1] + row)
    series = torch.stack(series)
    expected = 1 / (1 - correlation) / 4096**0.5  # of an autoregressive process with unit noise
    found = standard_error(series)
    assert abs(found.mean() / expected - 1) < 0.12
    assert abs(series.mean(dim=0).std() / expected - 1) < 0.2  # and that is how the means really scatter


def test_few_numbers_have_no_standard_error():
    assert standard_error(torch.ones(1, 2)).isnan().all()
    assert standard_error(torch.ones(2, 2)).tolist() == [0, 0]
    assert standard_error(torch.full((9, 1), -math.inf)).isnan().all()


@pytest.mark.parametrize(
    ("exponents", "n_states", "dimension", "rate"),
    [
        ([0.5, 0.0, -1.0], 3, 2.5, 0.5),
        ([-1.0, 0.5, 0.0], 3, 2.5, 0.5),  # in any order
        ([-0.1, -0.2], 2, 0.0, 0.0),
        ([0.2, -0.1], 2, 2.0, 0.2),
        ([0.2, -0.1], 5, math.nan, 0.2),
        ([0.0], 1, 1.0, 0.0),
    ],
)
def test_dimension_and_entropy(exponents, n_states, dimension, rate):
    values = torch.tensor(exponents, dtype=torch.float64)
    assert float(kaplan_yorke_dimension(values, n_states)) == pytest.approx(dimension, nan_ok=True)
    assert float(entropy_rate(values)) == pytest.approx(rate)
