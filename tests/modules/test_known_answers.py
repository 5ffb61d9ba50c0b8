"""Spectra that are known from elsewhere come out within their reported error bars, per example in one batched call."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from pyflossing import lyapunov_spectrum

METHODS = ("double_backward", "forward")


def normal(*shape, seed=1, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def assert_within_error_bars(found, expected, largest_error):
    """Within 4 standard errors (of 10 numbers one in 1600 runs lies outside), which must be small enough to tell."""
    error = found.standard_error
    assert bool((error < largest_error).all()), error
    distance = (found.exponents - torch.tensor(expected, dtype=torch.float64)).abs()
    assert bool((distance < 4 * error).all()), (found.exponents, error)


def henon(state, _):
    x, y = state[:, 0], state[:, 1]
    return torch.stack([1 - 1.4 * x**2 + y, 0.3 * x], dim=1)


def lorenz(step):
    def slope(x, y, z):
        return 10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z

    def advance(state, _):
        def moved(by, size):
            return tuple(s + size * d for s, d in zip(state, by, strict=True))

        a = slope(*state)
        b = slope(*moved(a, step / 2))
        c = slope(*moved(b, step / 2))
        d = slope(*moved(c, step))
        return moved([(p + 2 * q + 2 * r + s) / 6 for p, q, r, s in zip(a, b, c, d, strict=True)], step)

    return advance


@pytest.mark.parametrize("method", METHODS)
def test_a_linear_map_has_the_logarithms_of_its_eigenvalues(method):
    sizes = torch.tensor([1.5, 0.9, 0.4, 0.05], dtype=torch.float64)
    basis = normal(4, 4)
    matrix = basis @ torch.diag(sizes) @ torch.linalg.inv(basis)
    found = lyapunov_spectrum(
        lambda x, _: x @ matrix.T, normal(3, 4, seed=2) / 1e6, n_steps=300, transient=150, method=method
    )
    torch.testing.assert_close(found.exponents, sizes.log().expand(3, 4), rtol=0, atol=1e-10)
    assert bool((found.standard_error < 1e-10).all())


def test_complex_eigenvalues_count_with_their_modulus():
    angle = torch.tensor(0.7)
    turn = torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]], dtype=torch.float64)
    shear = torch.tensor([[1.0, 0.5], [0.0, 2.0]], dtype=torch.float64)
    matrix = 0.8 * torch.linalg.inv(shear) @ turn @ shear
    found = lyapunov_spectrum(lambda x, _: x @ matrix.T, normal(2, 2), n_steps=1000)
    # the logarithms oscillate with the angle, so the mean is off by their size over the number of steps
    torch.testing.assert_close(found.exponents, torch.full((2, 2), math.log(0.8)).double(), rtol=0, atol=4e-3)


def test_henon_map():
    start = normal(40, 2) / 10
    found = lyapunov_spectrum(henon, start, n_steps=1500, transient=100)
    assert_within_error_bars(found, [0.4192, -1.6231], 0.02)
    # the examples are independent, so their mean is as good as one trajectory of 56000 steps
    mean, error = found.exponents.mean(dim=0), found.exponents.std(dim=0) / 40**0.5
    assert bool(((mean - torch.tensor([0.4192, -1.6231])).abs() < 4 * error).all())
    assert bool((error < 0.002).all())
    torch.testing.assert_close(found.exponents.sum(dim=1), torch.full((40,), math.log(0.3)).double())
    # reported errors are as large as the scatter that they stand for
    ratio = found.standard_error[:, 0].mean() / found.exponents[:, 0].std()
    assert 0.6 < ratio < 1.6
    dimension = found.kaplan_yorke_dimension()
    assert bool(((dimension - 1.2583).abs() < 0.02).all())
    torch.testing.assert_close(found.entropy_rate(), found.exponents[:, 0])


def test_lorenz_flow_with_the_state_as_a_tuple():
    step = lorenz(0.02)
    state = tuple(10 * part for part in normal(3, 64))
    for _ in range(2000):  # trajectories linger near the unstable fixed points before they reach the attractor
        state = step(state, None)
    found = lyapunov_spectrum(step, state, n_steps=2000, transient=250, qr_every=5, time_step=0.02)
    expected = torch.tensor([0.906, 0, -14.57], dtype=torch.float64)
    # Over 35 time units the oscillation makes the error bars wide, and another machine's rounding draws other
    # trajectories: so the share of the examples that lie within two standard errors is what must hold (95 % if normal).
    assert bool((found.standard_error.median(dim=0).values < 0.3).all())
    covered = ((found.exponents - expected).abs() < 2 * found.standard_error).double().mean(dim=0)
    assert bool((covered > 0.8).all()), covered
    # and all together, to which the step of 0.02 adds less than 0.005
    mean, error = found.exponents.mean(dim=0), found.exponents.std(dim=0) / 64**0.5
    assert bool(((mean - expected).abs() < 4 * error + 0.005).all()), (mean, error)
    assert bool((error < 0.02).all())
    assert abs(found.kaplan_yorke_dimension().mean() - 2.062) < 0.01


def test_orthogonal_recurrences_have_zeros():
    turn = torch.linalg.qr(normal(6, 6)).Q
    found = lyapunov_spectrum(lambda h, x: h @ turn.T + x, normal(5, 6), normal(200, 5, 6), qr_every=7)
    torch.testing.assert_close(found.exponents, torch.zeros(5, 6, dtype=torch.float64), rtol=0, atol=1e-13)


def test_a_gru_agrees_with_two_trajectories():
    torch.manual_seed(3)
    cell = nn.GRUCell(2, 12).double()
    with torch.no_grad():
        for p in cell.parameters():
            p.mul_(4)
    n_steps, transient, size = 400, 100, 1e-8
    inputs, start = normal(n_steps, 3, 2), normal(3, 12, seed=4)
    found = lyapunov_spectrum(cell, start, inputs, 1, transient=transient)
    one, direction = start, nn.functional.normalize(normal(3, 12, seed=5), dim=1)
    logs = []
    with torch.no_grad():
        for x in inputs:
            other = cell(x, one + size * direction)
            one = cell(x, one)
            growth = (other - one).norm(dim=1, keepdim=True)
            direction, growth = (other - one) / growth, growth / size
            logs.append(growth[:, 0].log())
    expected = torch.stack(logs)[transient:].mean(dim=0)
    # the pair's distance of 1e-8 is good to 8 digits, and curvature adds as much
    torch.testing.assert_close(found.exponents[:, 0], expected, rtol=0, atol=1e-5)
    assert found.exponents.std() > 1e-3  # three examples, three inputs, three exponents
