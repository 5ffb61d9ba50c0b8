"""Exponents of short runs, from the singular values of the product of their Jacobians.

A frame aligns with the directions that grow most only as a run goes on; over 4 to 16 steps QR decompositions from a
random frame measure growth along random directions instead. Singular values need no frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyflossing._support.arguments import require_integer
from pyflossing._support.threads import suitable_threads
from pyflossing.modules.adjoint import choose_pull
from pyflossing.modules.calling import eagerly, on_flat
from pyflossing.modules.hidden import tolerance
from pyflossing.modules.logs import LOST, decomposed, shares
from pyflossing.modules.problem import Problem, warn_of_rounding
from pyflossing.modules.state import State, input_at
from pyflossing.modules.ways import Method

_EXPLICIT_BYTES = 2**28
"""Up to this size all Jacobians are kept, and all n singular values computed."""
_ALWAYS_EXPLICIT = 128
"""n up to which all Jacobians are formed even if few exponents are wanted."""
_EXTRA = 8
_SAFE_RANGE = 12.0
"""Natural logarithm of the range of singular values of which a Float64 decomposition gets the smallest to 1e-10."""
_LOST_RANGE = 3.0
"""Nearer than this (natural logarithm) to the rounding error, singular values of a product may be lost."""


@dataclass(frozen=True, eq=False)
class FiniteTimeExponents:
    """Exponents of a run of T steps.

    Attributes:
        exponents: (B, k), log of the k largest singular values of D_T ... D_1, divided by T; decreasing; 1/step, or
            1/time with a time_step; Float64; NaN for those of which rounding leaves nothing.
        change: the largest change of an exponent in the last sweep, 0 where none was needed.
        n_sweeps: how often directions went forward and back.
        final_state: the state after the last step.
    """

    exponents: Tensor
    change: float
    n_sweeps: int
    final_state: State


def finite_time_exponents(
    step: Any,
    state: State,
    inputs: Any = None,
    k: int | None = None,
    *,
    n_steps: int | None = None,
    time_step: float = 1.0,
    dtype: torch.dtype | None = None,
    batched: bool = True,
    batch_dim: int | None = None,
    batch_first: bool | None = None,
    input_first: bool | None = None,
    method: Method = "auto",
    through_no_grad: bool | None = None,
    max_sweeps: int = 200,
    accuracy: float = 1e-8,
) -> FiniteTimeExponents:
    """The k largest finite-time Lyapunov exponents of a run, exact for its length: no transient, no starting frame.

    For n <= 128, or many exponents, all Jacobians are formed, if they fit into 256 MB, and their product is decomposed,
    if the singular values wanted differ by less than a factor of 1e5. Otherwise a block of k + 8 directions goes
    forward and back, by Jacobian products and, for larger states, plain backward passes, until the exponents stay.

    Source: block power iteration of the product and its transpose, e.g. Golub & Van Loan, Matrix Computations, 8.2.4.

    Args:
        step, state, inputs, k, n_steps, time_step, dtype, batched, batch_dim, batch_first, input_first, method,
            through_no_grad: as in :func:`pyflossing.lyapunov_spectrum`.
        max_sweeps: ways forward and back at most.
        accuracy: largest change of an exponent in the last sweep.

    Returns:
        the exponents; NaN, with a :class:`RoundingWarning`, for those of which rounding leaves nothing.

    Raises:
        ValueError: as for a spectrum; or large states of a step that has plain backward passes only.
    """
    require_integer("max_sweeps", max_sweeps, minimum=1)
    problem = Problem.of(
        step, state, inputs, k, n_steps=n_steps, transient=0, time_step=time_step, dtype=dtype, batched=batched,
        batch_dim=batch_dim, batch_first=batch_first, input_first=input_first, method=method,
        through_no_grad=through_no_grad,
    )  # fmt: skip
    s = problem.settings
    with torch.inference_mode(False), torch.no_grad(), eagerly(), suitable_threads(s.n_states):
        states, forward, back = _products(problem)
        logs = _of_product(forward.values, s.n_exponents, problem.first.eps) if isinstance(forward, _Stored) else None
        if logs is not None:
            change, sweeps = 0.0, 0
        else:
            logs, lost, change, sweeps = _sweep(problem, forward, back, max_sweeps, accuracy)
            logs = _without_lost(logs, lost, problem)
    exponents = logs[..., : s.n_exponents] / (s.n_steps * s.time_step)
    return FiniteTimeExponents(exponents, change, sweeps, problem.layout.unflatten(states[-1]))


class _Stored:
    """All Jacobians of a run, (T, *batch, n, n)."""

    def __init__(self, values: Tensor) -> None:
        self.values = values

    def __call__(self, t: int, V: Tensor) -> Tensor:
        return self.values[t] @ V


Product = Callable[[int, Tensor], Tensor]
"""(time, directions (*batch, n, k)) -> the same after that step, or before it."""


def _products(problem: Problem) -> tuple[list[Tensor], Product, Product]:
    """All states, and the Jacobian of each step applied to directions, forward and transposed; in Float64 if stored."""
    way, layout, T = problem.first.way, problem.layout, problem.settings.n_steps
    function = on_flat(way.step, layout)
    states = [problem.state]
    n = layout.n_states
    few = n > _ALWAYS_EXPLICIT and 8 * (problem.settings.n_exponents + _EXTRA) < n
    if T * problem.state.numel() * n * 8 <= _EXPLICIT_BYTES and (way.push is None or not few):
        eye = torch.eye(n, dtype=layout.dtype, device=problem.state.device).expand(*layout.batch, n, n)
        found = []
        for t in range(T):
            following, jacobian = problem.advance_one(t, states[-1], eye)
            states.append(following)
            found.append(jacobian.double())
        stored = _Stored(torch.stack(found))
        return states, stored, _Stored(stored.values.mT)
    push = way.push
    if push is None:
        raise ValueError(
            f"n_steps = {T} with n = {n} states is too large: their Jacobians take more than 256 MB, and this step has "
            "plain backward passes only, by which directions cannot go forward; take fewer steps or examples"
        )
    for t in range(T):
        states.append(function(states[-1], input_at(problem.inputs, t)))
    rows = problem.frame.movedim(-1, 0)
    pull = choose_pull(way.step, layout, states[0], input_at(problem.inputs, 0), rows, tolerance(problem.first.eps))

    def forward(t: int, V: Tensor) -> Tensor:
        return push(states[t], input_at(problem.inputs, t), V)[1]

    def back(t: int, V: Tensor) -> Tensor:
        return pull(states[t], input_at(problem.inputs, t), V.movedim(-1, 0)).movedim(0, -1)

    return states, forward, back


def _of_product(jacobians: Tensor, k: int, eps: float) -> Tensor | None:
    """Logarithms of the product's singular values (*batch, n); None where the first k are too far apart."""
    found = _of_factors(jacobians.unbind(0))
    apart = float((found[..., 0] - found[..., k - 1]).max())
    return found if apart < min(_SAFE_RANGE, -math.log(eps) - _LOST_RANGE) else None  # false for NaN, too


def _of_factors(factors: Sequence[Tensor]) -> Tensor:
    product, scale = factors[0].double(), torch.zeros_like(factors[0][..., :1, 0], dtype=torch.float64)
    for factor in factors[1:]:
        product = factor.double() @ product
        size = product.abs().amax(dim=(-2, -1), keepdim=True)
        size = torch.where(size > 0, size, 1.0)
        product, scale = product / size, scale + size[..., 0].log()
    found: Tensor = torch.linalg.svdvals(product).log() + scale
    return found


def _sweep(
    problem: Problem, forward: Product, back: Product, max_sweeps: int, accuracy: float
) -> tuple[Tensor, Tensor, float, int]:
    """Logarithms of the leading singular values, how many are lost, their last change per step, and the sweeps made."""
    T, layout, k = problem.settings.n_steps, problem.layout, problem.settings.n_exponents
    width = min(layout.n_states, k + _EXTRA)
    random = torch.Generator().manual_seed(1)
    dtype = torch.float64 if isinstance(forward, _Stored) else layout.dtype
    Q = torch.linalg.qr(torch.randn(layout.n_states, width, generator=random, dtype=torch.float64)).Q
    Q = Q.to(problem.state.device, dtype).expand(*layout.batch, layout.n_states, width)
    before: Tensor | None = None
    change = torch.inf
    for sweep in range(max_sweeps + 1):
        Q, Rs = _through(forward, range(T), Q)
        logs = _singular(Rs)
        if before is not None:
            change = float(((logs - before).nan_to_num(0.0, 0.0, 0.0) / T).abs()[..., :k].max())
        if change <= accuracy or sweep == max_sweeps:
            break
        before = logs
        Q, _ = _through(back, reversed(range(T)), Q)
    lost = (shares(*Rs) < LOST * problem.first.eps).any(dim=0).sum(dim=-1)
    return logs, lost, change, sweep


def _without_lost(logs: Tensor, lost: Tensor, problem: Problem) -> Tensor:
    """NaN for the last ``lost`` of the logarithms (*batch, width), with a warning where that matters."""
    index = torch.arange(logs.shape[-1], device=logs.device)
    gone = (index >= logs.shape[-1] - lost[..., None]) & (logs > -torch.inf)
    if bool(gone[..., : problem.settings.n_exponents].any()):
        warn_of_rounding(gone[..., : problem.settings.n_exponents], problem.layout.dtype, problem.first.eps)
    return torch.where(gone, torch.nan, logs)


def _through(product: Product, times: Any, Q: Tensor) -> tuple[Tensor, list[Tensor]]:
    Rs = []
    for t in times:
        Q, R = decomposed(product(t, Q))
        Rs.append(R)
    return Q, Rs


def _diagonal_logs(Rs: list[Tensor]) -> Tensor:
    return torch.stack([torch.diagonal(R, dim1=-2, dim2=-1).abs().double().log() for R in Rs]).sum(dim=0)


def _singular(Rs: list[Tensor]) -> Tensor:
    """Logarithms of the singular values of R_T ... R_1, decreasing.

    Where they range too far for one decomposition, there are several, of overlapping blocks on the diagonal: products
    of triangular matrices have products of the blocks on their diagonals. Sweeps make the columns of the product
    orthogonal, and first those that are far apart, so that what is outside of a block does not count in the end.
    """
    logs = _diagonal_logs(Rs).nan_to_num(neginf=-1e30)
    width = logs.shape[-1]
    found, known, start = torch.empty_like(logs), 0, 0
    while known < width:
        end = start + 1
        while end < width and _span(logs[..., start : end + 1]) < _SAFE_RANGE:
            end += 1
        if end <= known:  # the block does not reach what is to be found
            start = known
            continue
        inner = _of_factors([R[..., start:end, start:end] for R in Rs])
        upto = width if end == width else max(known + 1, start + 3 * (end - start) // 4)
        found[..., known:upto] = inner[..., known - start : upto - start]
        known, start = upto, min(upto, max(start + 1, (start + end) // 2))
    return found.sort(dim=-1, descending=True).values


def _span(logs: Tensor) -> float:
    return float((logs.amax(dim=-1) - logs.amin(dim=-1)).max())
