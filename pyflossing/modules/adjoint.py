"""The adjoint cocycle: k directions pulled back along a trajectory by plain vector-Jacobian products.

The transposed product of a trajectory's Jacobians has the same singular values, and so the same exponents in the limit,
as the product itself. A step needs no more than one backward pass for this, as it has in training.

Source: QR of the adjoint product, e.g. Kuptsov & Parlitz, J. Nonlinear Sci. 22, 727 (2012), section 2.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from pyflossing.modules.calling import Step, on_flat, with_graph
from pyflossing.modules.logs import Logs, decomposed
from pyflossing.modules.problem import Problem
from pyflossing.modules.result import LyapunovSpectrum
from pyflossing.modules.stacked import pull
from pyflossing.modules.state import StateLayout, input_at
from pyflossing.modules.tree import map_tree
from pyflossing.modules.ways import REFUSALS

Pull = Callable[[Tensor, Any, Tensor], Tensor]
"""(state, input, cotangents (k, *batch, n)) -> the same, pulled back through one step."""


def pulls(step: Step, layout: StateLayout) -> Pull:
    """One evaluation of the step, and its backward pass for all cotangents."""

    def plain(state: Tensor, x: Any, W: Tensor) -> Tensor:
        origin, following = with_graph(step, layout, state, x)
        return pull(following, origin, W)

    return plain


def repeated_pulls(step: Step, layout: StateLayout) -> Pull:
    """The same with the examples repeated k times, for backward passes that cannot be vectorised."""

    def repeated(state: Tensor, x: Any, W: Tensor) -> Tensor:
        k, size, n = W.shape
        wide = layout.with_batch(k * size)

        def tiled(series: Tensor) -> Tensor:
            return series.repeat(k, *[1] * (series.dim() - 1)) if series.dim() and series.shape[0] == size else series

        origin, following = with_graph(step, wide, state.repeat(k, 1), map_tree(tiled, x))
        (found,) = torch.autograd.grad(following, origin, W.reshape(k * size, n))
        return found.reshape(k, size, n)

    return repeated


def choose_pull(step: Step, layout: StateLayout, state: Tensor, x: Any, W: Tensor, tolerance: float) -> Pull:
    """The faster way that works: one vectorised backward pass, or one with repeated examples, or one per cotangent."""
    plain = pulls(step, layout)
    if not layout.batch or W.shape[0] == 1:
        return plain
    origin, following = with_graph(step, layout, state, x)
    try:
        torch.autograd.grad(following, origin, W, retain_graph=True, is_grads_batched=True)
    except REFUSALS:
        pass
    else:
        return plain
    repeated = repeated_pulls(step, layout)
    try:
        found, expected = repeated(state, x, W), plain(state, x, W)
    except Exception:  # whatever somebody's step says of another number of examples
        return plain
    return repeated if bool((found - expected).abs().max() <= tolerance * expected.abs().max()) else plain


def adjoint_spectrum(problem: Problem, tolerance: float) -> LyapunovSpectrum:
    """The spectrum by the adjoint cocycle; all states of the trajectory are kept, (n_steps + 1, *batch, n).

    The transient is left out at both ends: the trajectory needs it at its start, the directions at its end.
    """
    s, layout, step = problem.settings, problem.layout, problem.first.way.step
    function = on_flat(step, layout)
    states = [problem.state]
    with torch.no_grad():
        for t in range(s.n_steps):
            states.append(function(states[-1], input_at(problem.inputs, t)))
    rows = problem.frame.movedim(-1, 0)
    with torch.no_grad():
        backwards = choose_pull(step, layout, states[0], input_at(problem.inputs, 0), rows, tolerance)
    logs = Logs(problem.first.eps, problem.report)
    last = s.n_steps - s.transient
    ends = [0, *problem.block_ends()]
    for first, end in reversed(list(pairwise(ends))):
        for t in reversed(range(first, end)):
            rows = backwards(states[t], input_at(problem.inputs, t), rows)
        frame, R = decomposed(rows.movedim(0, -1))
        rows = frame.movedim(-1, 0)
        logs.add(R, states[end], end, counts=s.transient <= first and end <= last)
    logs.flush()
    return problem.result(
        torch.stack(logs.logs[::-1]), logs.lost, states[-1], rows.movedim(0, -1), s.n_steps, last=last
    )
