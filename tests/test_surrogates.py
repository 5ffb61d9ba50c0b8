"""Claims about the surrogate derivatives and the step functions that use them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from network_cases import surrogates
from torch.autograd import forward_ad

from pyflossing.model.surrogates import SURROGATE_NAMES, Surrogate, sign, spike

FORMULAS = {
    "fast_sigmoid": lambda z: (1 + np.abs(z)) ** -2.0,
    "sech2": lambda z: 4 / (np.exp(z) + np.exp(-z)) ** 2,
    "gaussian": lambda z: np.exp(-0.5 * z * z),
    "triangular": lambda z: np.where(np.abs(z) < 1, 1 - np.abs(z), 0),
    "sigmoid": lambda z: 4 * np.exp(-z) / (1 + np.exp(-z)) ** 2,
    "arctan": lambda z: 1 / (1 + z * z),
}


def test_every_surrogate_has_its_formula():
    v = torch.linspace(-3, 3, 121, dtype=torch.float64)
    assert set(FORMULAS) == set(SURROGATE_NAMES)
    for name, formula in FORMULAS.items():
        derivative = Surrogate(name, 1.7).derivative(v).numpy()
        np.testing.assert_allclose(derivative, formula(1.7 * v.numpy()), rtol=1e-13, atol=1e-15)


@given(surrogate=surrogates, v=st.floats(-1e30, 1e30))
def test_surrogates_are_even_between_zero_and_their_peak_of_one(surrogate, v):
    at = torch.tensor([v, -v, 0.0], dtype=torch.float64)
    left, right, peak = surrogate.derivative(at).tolist()
    assert left == right
    assert 0 <= left <= peak == 1


@given(surrogate=surrogates)
def test_steps_are_hard_forward_and_have_the_surrogates_derivative(surrogate):
    v = torch.tensor([-2.0, -0.3, 0.0, 0.4, 5.0], dtype=torch.float64, requires_grad=True)
    for step, low in ((spike, 0.0), (sign, -1.0)):
        result = step(v, surrogate)
        assert result.tolist() == [low, low, low, 1.0, 1.0]
        (backward,) = torch.autograd.grad(result.sum(), v)
        assert torch.equal(backward, surrogate.derivative(v.detach()))
        _, forward = torch.func.jvp(lambda x, step=step: step(x, surrogate), (v.detach(),), (torch.ones(5).double(),))
        assert torch.equal(forward, backward)


def _jvp(f, v):
    return torch.func.jvp(f, (v,), (torch.ones_like(v),))[1]


def _dual(f, v):
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(f(forward_ad.make_dual(v, torch.ones_like(v)))).tangent


WAYS = {
    "grad": lambda f, v: torch.func.grad(lambda x: f(x).sum())(v),
    "jacrev": lambda f, v: torch.func.jacrev(f)(v).diagonal(),
    "jacfwd": lambda f, v: torch.func.jacfwd(f)(v).diagonal(),
    "jvp without gradients": lambda f, v: _jvp(torch.no_grad()(f), v),
    "jvp in inference mode": torch.inference_mode()(_jvp),
    "vmap of grad": lambda f, v: torch.func.vmap(torch.func.grad(f))(v),
    "vmap of jvp": lambda f, v: torch.func.vmap(lambda x: _jvp(f, x))(v),
    "grad of vmap": lambda f, v: torch.func.grad(lambda x: torch.func.vmap(f)(x).sum())(v),
    "jvp of vmap": lambda f, v: _jvp(torch.func.vmap(f), v),
    "jvp of vmap without gradients": lambda f, v: _jvp(torch.func.vmap(torch.no_grad()(f)), v),
    "jvp of vmap in inference mode": lambda f, v: torch.inference_mode()(_jvp)(torch.func.vmap(f), v),
    "dual numbers": _dual,
    "dual numbers without gradients": lambda f, v: _dual(torch.no_grad()(f), v),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("step", [spike, sign])
def test_however_a_step_is_differentiated_its_derivative_is_the_surrogates(way, step):
    surrogate = Surrogate("arctan", 1.3)
    v = torch.tensor([-2.0, -0.3, 0.0, 0.4, 5.0], dtype=torch.float64)
    assert torch.equal(WAYS[way](lambda x: step(x, surrogate), v), surrogate.derivative(v))


@pytest.mark.parametrize("step", [spike, sign])
def test_steps_are_the_same_where_nothing_is_differentiated(step):
    v, surrogate = torch.randn(50), Surrogate("sech2", 1.0)
    recorded = step(v.clone().requires_grad_(), surrogate)
    with torch.no_grad():
        unrecorded = step(v.clone().requires_grad_(), surrogate)
    assert recorded.requires_grad
    assert not unrecorded.requires_grad
    for found in (step(v, surrogate), unrecorded, torch.func.vmap(lambda x: step(x, surrogate))(v)):
        assert torch.equal(found, recorded)


@pytest.mark.parametrize("step", [spike, sign])
def test_steps_hide_no_nan(step):
    assert step(torch.tensor([float("nan")]), Surrogate("sech2", 1.0)).isnan().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_steps_and_surrogates_keep_the_type(dtype):
    v = torch.zeros(3, dtype=dtype)
    for name in SURROGATE_NAMES:
        surrogate = Surrogate(name, 2.0)
        assert surrogate.derivative(v).dtype == spike(v, surrogate).dtype == sign(v, surrogate).dtype == dtype


@pytest.mark.parametrize(
    ("name", "sharpness"), [("relu", 1.0), ("sech2", 0.0), ("sech2", -1.0), ("sech2", float("nan"))]
)
def test_bad_surrogates_are_refused(name, sharpness):
    with pytest.raises(ValueError, match="is not allowed"):
        Surrogate(name, sharpness)
