"""Claims about spectra by the compiled kernel: Cholesky's triangle, where it is taken, is as exact as Householder's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from kernel_paths import KINDS, needs_kernel, using, using_kind
from module_cases import normal
from torch import nn

from pyflossing import lyapunov_spectrum
from pyflossing._support.errors import NonFiniteError
from pyflossing.modules.compiled import decomposed_along
from pyflossing.modules.logs import RoundingWarning

pytestmark = needs_kernel
kinds = pytest.mark.parametrize("kind", KINDS)
types = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def exactly(J, F):
    """R of J F by Gram-Schmidt, twice, in numpy's longest type, and what rounding errors of J F can be, (k,)."""
    J, F = (x.numpy().astype(np.longdouble) for x in (J, F))
    A = J @ F
    Q, R = A.copy(), np.eye(A.shape[1], dtype=np.longdouble)
    for _ in range(2):
        again = np.zeros_like(R)
        for j in range(Q.shape[1]):
            for i in range(j):
                again[i, j] = Q[:, i] @ Q[:, j]
                Q[:, j] -= again[i, j] * Q[:, i]
            again[j, j] = np.sqrt((Q[:, j] ** 2).sum())
            Q[:, j] /= again[j, j]
        R = again @ R
    return R, np.sqrt(((np.abs(J) @ np.abs(F)) ** 2).sum(axis=0))


def relative_bounds(R, size, n, eps):
    """Of |R_ii|: to first order log R_ii moves by q_i' dA R^-1 e_i, and a column of dA has at most some roundings of
    J F's: n of the product, n of the squares of lengths, k^1.5 of k columns' sums of k terms in a triangular solve."""
    k = len(R)
    inverse = np.zeros_like(R)
    for j in range(k):  # column by column, in the same type
        inverse[j, j] = 1 / R[j, j]
        for i in range(j - 1, -1, -1):
            inverse[i, j] = -(R[i, i + 1 : j + 1] @ inverse[i + 1 : j + 1, j]) / R[i, i]
    return (2 * n + k**1.5 + 8) * eps * (size[:, None] * np.abs(inverse)).sum(axis=0)


def jacobian(n, condition, seed, dtype):
    """With singular values from 1 down to 1 / condition."""
    U, V = (torch.linalg.qr(normal(n, n, seed=seed + i)).Q for i in range(2))
    return (U * torch.logspace(0, -np.log10(condition), n, dtype=torch.float64) @ V).to(dtype)


@kinds
@types
@given(
    n=st.sampled_from([1, 2, 3, 5, 8, 13, 21, 37, 64, 67]),
    share=st.floats(0, 1),
    condition=st.integers(0, 14),
    scale=st.sampled_from([0, 0, 0, -20, -30, 30]),
    seed=st.integers(0, 2**20),
)
def test_every_step_is_as_exact_as_rounding_allows(kind, dtype, n, share, condition, scale, seed):
    k, eps = max(1, round(share * n)), torch.finfo(dtype).eps
    scale *= 8 if dtype == torch.float64 else 1  # squares lose digits, or leave the range of numbers
    F = torch.linalg.qr(normal(n, k, seed=seed + 7)).Q.to(dtype)
    for t in range(4):
        J = jacobian(n, 10.0**condition, seed + 10 * t, dtype) * 10.0 ** (scale if t % 2 else 0)
        with using_kind(kind):
            found = decomposed_along(J.mT[None].contiguous(), F)
        R, size = exactly(J, F)
        bounds = relative_bounds(R, size, n, eps)
        told = bounds < 0.1  # of the others only rounding is left
        assert (np.abs(found.diagonals[0].numpy() / np.diag(R) - 1) <= bounds)[told].all()
        assert (found.diagonals[0].numpy() <= np.diag(R) * (1 + 10 * bounds)).all()
        lengths = np.sqrt((R**2).sum(axis=0))
        assert (np.abs(found.lengths[0].numpy() - lengths) <= 4 * n * eps * size).all()
        F, previous = found.frame, F
        assert float((F.mT @ F - torch.eye(k, dtype=dtype)).abs().max()) <= 10 * eps**0.5
        below = (F.mT @ (J @ previous)).tril(-1)[:, : int(told.cumprod().sum())]
        assert float(below.abs().max() if below.numel() else 0) <= 10 * eps**0.5 * size.max()


@kinds
@types
def test_columns_of_very_different_lengths_need_no_reflections(kind, dtype):
    """Scaling columns changes neither condition that counts nor errors; exponents of -20 per step are as usual."""
    n = 12
    Q = torch.linalg.qr(normal(n, n)).Q.to(dtype)
    lengths = torch.logspace(0, -9, n, dtype=dtype)
    with using_kind(kind):
        found = decomposed_along((Q * lengths)[None].mT.contiguous(), torch.eye(n, dtype=dtype))
    torch.testing.assert_close(found.diagonals[0], lengths, rtol=8 * n * torch.finfo(dtype).eps, atol=0.0)


def _spectra(*arguments, **keywords):
    found = []
    for path in ("torch", "compiled"):
        with using(path):
            found.append(lyapunov_spectrum(*arguments, **keywords))
    return found


def _largest_change(cell, state, inputs, **keywords):
    """Of the torch path's logarithms, when all parameters move by a rounding."""
    with using("torch"):
        first = lyapunov_spectrum(cell, state, inputs, **keywords).logs
        changes = []
        for seed in range(4):
            kept = [p.detach().clone() for p in cell.parameters()]
            for i, p in enumerate(cell.parameters()):
                signs = normal(*p.shape, seed=10 * seed + i, dtype=p.dtype).sign()
                p.data.mul_(1 + torch.finfo(p.dtype).eps * signs)
            changes.append((lyapunov_spectrum(cell, state, inputs, **keywords).logs - first).abs().max())
            for p, old in zip(cell.parameters(), kept, strict=True):
                p.data.copy_(old)
    return float(max(changes))


@types
@pytest.mark.parametrize(
    ("kind", "n", "k", "batch"),
    [("RNNCell", 9, 9, 3), ("RNNCell", 37, 20, 1), ("GRUCell", 13, 13, 2), ("GRU", 5, 10, 3), ("RNNCell", 66, 66, 1)],
)
def test_spectra_are_those_of_torch(kind, n, k, batch, dtype):
    torch.manual_seed(n)
    layers = {"num_layers": 2} if kind == "GRU" else {}
    cell = getattr(nn, kind)(2, n, **layers).to(dtype).requires_grad_(False)
    state, inputs = normal(*[2] * len(layers), batch, n, dtype=dtype), normal(150, batch, 2, seed=2, dtype=dtype)
    theirs, ours = _spectra(cell, state, inputs, k, transient=7)
    assert ours.logs.shape == theirs.logs.shape == (143, batch, k)
    bound = 10 * _largest_change(cell, state, inputs, k=k, transient=7)
    assert float((ours.logs - theirs.logs).abs().max()) <= bound
    torch.testing.assert_close(ours.final_state, theirs.final_state, rtol=0, atol=0)
    eye = torch.eye(k, dtype=dtype)
    assert float((ours.final_frame.mT @ ours.final_frame - eye).abs().max()) <= 100 * torch.finfo(dtype).eps
    assert float((ours.final_frame - theirs.final_frame).abs().max()) <= max(
        bound, 1e-3 if dtype == torch.float32 else 1e-9
    )
    if batch > 1:
        alone = lyapunov_spectrum(cell, state[..., -1:, :], inputs[:, -1:], k, transient=7)
        assert float((alone.logs[:, 0] - ours.logs[:, -1]).abs().max()) <= bound


class _Collapsing(nn.Module):
    """A linear step that loses rank in step 30, of the first example only."""

    def __init__(self, n, lost):
        super().__init__()
        full = torch.linalg.qr(normal(n, n)).Q
        deficient = full.clone()
        deficient[:, -lost:] = full[:, :1] if lost else full[:, n:]
        self.matrices = torch.stack([full, deficient])

    def forward(self, state, x):
        return (
            state
            + (state @ (self.matrices[0].T - torch.eye(state.shape[-1], dtype=state.dtype))) * (1 - x[:, :1])
            + (state @ (self.matrices[1].T - torch.eye(state.shape[-1], dtype=state.dtype))) * x[:, :1]
        )


def test_a_step_that_loses_rank_tells_so_as_before():
    n, lost, inputs = 7, 1, torch.zeros(60, 2, 1, dtype=torch.float64)
    inputs[30, 0] = 1
    found = []
    for path in ("torch", "compiled"):
        with (
            using(path),
            pytest.warns(RoundingWarning, match=f"{lost} exponents, the first of them number {n - lost + 1}"),
        ):
            found.append(lyapunov_spectrum(_Collapsing(n, lost), normal(2, n), inputs, transient=5))
    theirs, ours = found
    assert bool(ours.exponents[0, n - lost :].isnan().all()) and not bool(ours.exponents[1].isnan().any())
    torch.testing.assert_close(ours.exponents, theirs.exponents, equal_nan=True)


def test_a_derivative_of_zero_is_exact_and_one_that_is_not_finite_names_its_step():
    inputs = torch.ones(40, 1, 1, dtype=torch.float64)
    inputs[20] = 0
    for path in ("torch", "compiled"):
        with using(path):
            found = lyapunov_spectrum(lambda h, x: h * x, normal(1, 3), inputs, transient=0)
            assert bool((found.exponents == -torch.inf).all())
            with pytest.raises(NonFiniteError, match="tangent is not finite") as error:
                lyapunov_spectrum(lambda h, x: (h * h * x).abs().sqrt(), normal(1, 3), inputs, transient=0)
            assert error.value.step == 21


def test_a_run_that_stops_and_goes_on_has_the_logarithms_of_one_run():
    cell = nn.RNNCell(2, 11).double().requires_grad_(False)
    state, inputs = normal(2, 11), normal(300, 2, 2, seed=3)
    with using("compiled"):
        whole = lyapunov_spectrum(cell, state, inputs, transient=0)
        first = lyapunov_spectrum(cell, state, inputs[:130], transient=0)
        rest = lyapunov_spectrum(cell, first.final_state, inputs[130:], transient=0, frame=first.final_frame)
    torch.testing.assert_close(torch.cat([first.logs, rest.logs]), whole.logs, rtol=0, atol=1e-12)
