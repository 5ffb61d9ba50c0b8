"""Exponents of short runs, from the singular values of the product of their Jacobians.

A frame aligns with the directions that grow most only as a run goes on; over 4 to 16 steps QR decompositions from a
random frame measure growth along random directions instead. Singular values need no frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyflossing._support.arguments import require_integer
from pyflossing._support.threads import suitable_threads
from pyflossing.modules.adjoint import choose_pull
from pyflossing.modules.hidden import tolerance
from pyflossing.modules.logs import decomposed
from pyflossing.modules.problem import Problem
from pyflossing.modules.state import State, input_at
from pyflossing.modules.tangent import on_flat
from pyflossing.modules.ways import Method

_EXPLICIT_BYTES = 2**28
"""Up to this size all Jacobians are kept, and all n singular values computed."""
_EXTRA = 8
_SAFE_RANGE = 12.0
"""Natural logarithm of the range of singular values of which a Float64 decomposition gets the smallest to 1e-10."""


@dataclass(frozen=True, eq=False)
class FiniteTimeExponents:
    """Exponents of a run of T steps.

    Attributes:
        exponents: (B, k), log of the k largest singular values of D_T ... D_1, divided by T; decreasing; 1/step, or
            1/time with a time_step; Float64.
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

    All n of them come from all Jacobians where these fit into 256 MB. Otherwise a block of k + 8 directions goes
    forward by Jacobian products, and back by plain backward passes, until the exponents stay.

    Args:
        step, state, inputs, k, n_steps, time_step, dtype, batched, batch_dim, batch_first, input_first, method,
            through_no_grad: as in :func:`pyflossing.lyapunov_spectrum`.
        max_sweeps: ways forward and back at most.
        accuracy: largest change of an exponent in the last sweep.

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
    with torch.inference_mode(False), torch.no_grad(), suitable_threads(s.n_states):
        states, forward, back = _products(problem)
        explicit = isinstance(forward, _Stored)
        width = s.n_states if explicit else min(s.n_states, s.n_exponents + _EXTRA)
        logs, change, sweeps = _sweep(problem, forward, back, width, max_sweeps, accuracy)
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
    if T * problem.state.numel() * n * 8 <= _EXPLICIT_BYTES:
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


def _sweep(
    problem: Problem, forward: Product, back: Product, width: int, max_sweeps: int, accuracy: float
) -> tuple[Tensor, float, int]:
    """Logarithms of the leading singular values (*batch, width), their last change per step, and the sweeps made."""
    T, layout = problem.settings.n_steps, problem.layout
    random = torch.Generator().manual_seed(1)
    dtype = torch.float64 if isinstance(forward, _Stored) else layout.dtype
    if width == layout.n_states:
        Q = torch.eye(width, dtype=dtype, device=problem.state.device)
    else:
        Q = torch.linalg.qr(torch.randn(layout.n_states, width, generator=random, dtype=torch.float64)).Q
    Q = Q.to(problem.state.device, dtype).expand(*layout.batch, layout.n_states, width)
    before: Tensor | None = None
    change = torch.inf
    for sweep in range(max_sweeps):
        Q, Rs = _through(forward, range(T), Q)
        logs = _singular(Rs)
        if before is not None:
            change = float(
                ((logs - before).nan_to_num(0.0, 0.0, 0.0) / T).abs()[..., : problem.settings.n_exponents].max()
            )
        if sweep == 0 and width == layout.n_states and _range(Rs) < _SAFE_RANGE:
            return logs, 0.0, 0
        if change <= accuracy:
            return logs, change, sweep
        before = logs
        Q, _ = _through(back, reversed(range(T)), Q)
    return logs, change, max_sweeps


def _through(product: Product, times: Any, Q: Tensor) -> tuple[Tensor, list[Tensor]]:
    Rs = []
    for t in times:
        Q, R = decomposed(product(t, Q))
        Rs.append(R)
    return Q, Rs


def _diagonal_logs(Rs: list[Tensor]) -> Tensor:
    return torch.stack([torch.diagonal(R, dim1=-2, dim2=-1).abs().double().log() for R in Rs]).sum(dim=0)


def _range(Rs: list[Tensor]) -> float:
    logs = _diagonal_logs(Rs)
    return float((logs.amax(dim=-1) - logs.amin(dim=-1)).max())


def _singular(Rs: list[Tensor]) -> Tensor:
    """Logarithms of the singular values of R_T ... R_1: by decomposition where the range allows, else its diagonal's.

    Sweeps make the product's columns orthogonal, so that its diagonal tells the singular values in the end.
    """
    logs = _diagonal_logs(Rs)
    if _range(Rs) >= _SAFE_RANGE:
        return logs.sort(dim=-1, descending=True).values
    product, scale = Rs[0].double(), torch.zeros_like(logs[..., :1])
    for R in Rs[1:]:
        product = R.double() @ product
        size = product.abs().amax(dim=(-2, -1), keepdim=True)
        product, scale = product / size, scale + size[..., 0].log()
    found: Tensor = torch.linalg.svdvals(product).log() + scale
    return found
