"""Short runs by singular values, long ones until they are good enough, in pieces, and in files."""

from __future__ import annotations

import math
from dataclasses import dataclass

import matplotlib as mpl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from module_cases import normal
from torch import nn

from pyflossing import LyapunovSpectrum, finite_time_exponents, lyapunov_spectrum
from pyflossing._support.errors import DamagedFileError
from pyflossing.modules import finite_time
from pyflossing.modules.statistics import standard_error

mpl.use("agg")
B = 2


def gru(n, seed=1, size=1.0):
    torch.manual_seed(seed)
    cell = nn.GRUCell(3, n).double()
    with torch.no_grad():
        for p in cell.parameters():
            p.mul_(size)
    return cell


def singular_exponents(cell, h, inputs):
    """By an explicit product of Jacobians, kept by its singular value decomposition in extended range."""
    product = torch.eye(h.numel(), dtype=torch.float64)
    for x in inputs:
        jacobian = torch.autograd.functional.jacobian(lambda q, x=x: cell(x[None], q[None])[0], h)
        product = jacobian @ product
        h = cell(x[None], h[None])[0].detach()
    return torch.linalg.svdvals(product).log() / len(inputs)


@settings(max_examples=8)
@given(n=st.sampled_from([1, 3, 6, 13]), n_steps=st.integers(1, 9), seed=st.integers(0, 99))
def test_exponents_of_short_runs_are_singular_values(n, n_steps, seed):
    cell, state, inputs = gru(n, seed), normal(B, n, seed=seed), normal(n_steps, B, 3, seed=seed + 1)
    found = finite_time_exponents(cell, state, inputs, batch_first=False)  # with B = T it could be either
    expected = torch.stack([singular_exponents(cell, state[b], inputs[:, b]) for b in range(B)])
    torch.testing.assert_close(found.exponents, expected, rtol=0, atol=1e-8)


def test_a_random_frame_is_no_measure_of_a_short_run():
    cell, state, inputs = gru(64), torch.zeros(B, 64, dtype=torch.float64), normal(16, B, 3)
    exact = finite_time_exponents(cell, state, inputs, 1).exponents
    torch.testing.assert_close(exact[0], singular_exponents(cell, state[0], inputs[:, 0])[:1], rtol=0, atol=1e-10)
    frame = lyapunov_spectrum(cell, state, inputs, 1, transient=0).exponents
    assert bool((frame < exact - 0.03).all())  # growth along a random direction is never the largest
    with pytest.raises(ValueError, match=r"for short runs take finite_time_exponents.*or say transient=0"):
        lyapunov_spectrum(cell, state, inputs[:8])


def test_large_states_go_forward_and_back_until_the_exponents_stay(monkeypatch):
    cell, state, inputs = gru(40, size=2.0), normal(B, 40), normal(12, B, 3, seed=2)
    all_of_them = finite_time_exponents(cell, state, inputs).exponents
    monkeypatch.setattr(finite_time, "_EXPLICIT_BYTES", 0)
    found = finite_time_exponents(cell, state, inputs, 5)
    torch.testing.assert_close(found.exponents, all_of_them[:, :5], rtol=0, atol=1e-7)
    assert found.n_sweeps > 1
    assert found.change <= 1e-8
    with pytest.raises(ValueError, match="take more than 256 MB"):
        finite_time_exponents(cell, state, inputs, 5, method="backward")


def test_singular_values_of_any_range():
    factors = torch.tensor([2.0, 1.0, 1e-3, 1e-6], dtype=torch.float64)
    a, b = (torch.linalg.qr(normal(4, 4, seed=i)).Q for i in (1, 2))
    # V S U' U S V' ...: the products of the factors, down to 1e-48 of the largest
    matrices = torch.stack([a @ torch.diag(factors) @ b.T, b @ torch.diag(factors) @ a.T] * 4)
    found = finite_time_exponents(lambda h, x: h @ x, normal(1, 4) * 1e-9, matrices)
    torch.testing.assert_close(found.exponents[0], factors.log(), rtol=0, atol=1e-7)


def test_a_run_stops_once_its_errors_are_small():
    def henon(s, _):
        return torch.stack([1 - 1.4 * s[:, 0] ** 2 + s[:, 1], 0.3 * s[:, 0]], dim=1)

    start = normal(5, 2) / 10
    found = lyapunov_spectrum(henon, start, n_steps=20000, transient=100, until=0.02)
    assert bool((found.standard_error < 0.021).all())
    assert found.settings.n_steps < 5000
    assert int(found.block_lengths.sum()) == len(found.logs) == found.settings.n_steps - 100
    whole = lyapunov_spectrum(henon, start, n_steps=found.settings.n_steps, transient=100)
    torch.testing.assert_close(found.exponents, whole.exponents)
    never = lyapunov_spectrum(henon, start, n_steps=300, transient=100, until=1e-9)
    assert never.settings.n_steps == 300
    with pytest.raises(ValueError, match="until is not allowed with differentiable=True"):
        lyapunov_spectrum(henon, start, n_steps=300, until=0.1, differentiable=True)


@pytest.mark.parametrize("kind", ["GRUCell", "LSTMCell"])
def test_a_run_in_pieces_and_through_a_file_is_the_whole_run(kind, tmp_path):
    torch.manual_seed(3)
    cell = getattr(nn, kind)(2, 5).double()
    state = (normal(B, 5), normal(B, 5, seed=2)) if kind == "LSTMCell" else normal(B, 5)
    inputs = normal(60, B, 2, seed=3)
    whole = lyapunov_spectrum(cell, state, inputs, 3)
    first = lyapunov_spectrum(cell, state, inputs[:40], 3, transient=16)
    path = tmp_path / "spectrum.npz"
    first.save(path)
    read = LyapunovSpectrum.load(path)
    assert read.settings == first.settings
    later = lyapunov_spectrum(cell, read.final_state, inputs[40:], 3, transient=0, frame=read.final_frame)
    joined = read.joined(later)
    torch.testing.assert_close(joined.exponents, whole.exponents)
    torch.testing.assert_close(joined.logs, whole.logs)
    assert joined.settings.n_steps == 60
    torch.testing.assert_close(joined.standard_error, whole.standard_error)
    with pytest.raises(ValueError, match="later has n_exponents = 2"):
        read.joined(lyapunov_spectrum(cell, read.final_state, inputs[40:], 2, transient=0))
    with pytest.raises(ValueError, match="starts with transient=0"):
        read.joined(lyapunov_spectrum(cell, state, inputs, 3))


def test_files_hold_structures_and_types_and_nothing_is_unpickled(tmp_path):
    state = {"a": [normal(B, 3).bfloat16()], "b": (torch.complex(normal(B, 2), normal(B, 2)),)}
    path = tmp_path / "spectrum.npz"
    for part in ("a", "b"):
        one = {part: state[part]}
        step = lambda s, _: {key: type(v)([0.5 * v[0]]) for key, v in s.items()}  # noqa: E731
        found = lyapunov_spectrum(step, one, n_steps=30, transient=0)
        found.save(path)
        read = LyapunovSpectrum.load(path)
        assert torch.equal(read.final_state[part][0], found.final_state[part][0])
        assert type(read.final_state[part]) is type(state[part])
        assert torch.equal(read.logs, found.logs)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DamagedFileError, match="not a spectrum of pyflossing, or it is damaged"):
        LyapunovSpectrum.load(path)
    torch.save(found, path)
    with pytest.raises(DamagedFileError, match="not a spectrum"):
        LyapunovSpectrum.load(path)

    @dataclass
    class Own:
        h: torch.Tensor

    own = lyapunov_spectrum(lambda s, _: Own(0.5 * s.h), Own(normal(B, 2)), n_steps=20)
    with pytest.raises(ValueError, match=r"type Own is not allowed.*dataclasses\.replace"):
        own.save(path)


def test_local_exponents_average_to_the_exponents():
    found = lyapunov_spectrum(gru(4), normal(B, 4), normal(50, B, 3), qr_every=4, transient=15, time_step=0.5)
    local = found.local_exponents()
    assert local.shape == (9, B, 4)
    weights = found.block_lengths[:, None, None] / found.block_lengths.sum()
    torch.testing.assert_close((local * weights).sum(dim=0), found.exponents)


def test_a_spectrum_draws_itself():
    found = lyapunov_spectrum(gru(4), normal(B, 4), normal(50, B, 3))
    ax = found.plot(label="GRU")
    assert ax.get_ylabel() == "Lyapunov exponent (1/step)"
    heights = ax.containers[0].lines[0].get_ydata()
    torch.testing.assert_close(torch.from_numpy(heights), found.exponents.mean(dim=0))
    assert found.plot(ax) is ax
    mpl.pyplot.close("all")


def test_few_numbers_have_no_error_bar():
    found = lyapunov_spectrum(gru(4), normal(B, 4), normal(7, B, 3), transient=0)
    assert found.standard_error.isnan().all()


def test_fluctuations_that_come_back_add_no_error():
    time = torch.arange(3000, dtype=torch.float64)
    noise = normal(3001, 40, seed=4)
    flow = noise.diff(dim=0)  # what a step adds, the next one takes back
    series = 0.1 * normal(3000, 40, seed=5) + flow + 0.3 * torch.cos(0.37 * time + 1)[:, None]
    scatter = series.mean(dim=0).std()
    ratio = standard_error(series).mean() / (0.1 / math.sqrt(3000))
    assert 0.7 < ratio < 1.8
    assert 0.7 < scatter / (0.1 / math.sqrt(3000)) < 1.4
