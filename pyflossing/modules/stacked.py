"""All Jacobians of a stretch of a trajectory by n plain backward passes, its times stacked as further examples."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pyflossing.modules.calling import Step, with_graph
from pyflossing.modules.compiled import DecomposedAlong, decomposed_along
from pyflossing.modules.state import StateLayout
from pyflossing.modules.tangent import Push
from pyflossing.modules.tree import map_tree
from pyflossing.modules.ways import REFUSALS


class StackedDerivative:
    """Jacobians of many times: the step is evaluated once, with all states as one batch.

    Only steps that treat examples alike, whatever their number, allow this: what they return is to be compared with
    the trajectory.
    """

    def __init__(self, step: Step, layout: StateLayout) -> None:
        self._step, self._layout = step, layout
        self._jacobians: Tensor | None = None
        self._transposed: Tensor | None = None

    def prepare(self, states: Tensor, inputs: Any) -> Tensor:
        """Get ready for pushes at the states (C, B, n) with their inputs; return the next states."""
        times, size, n = states.shape
        layout = self._layout.with_batch(times * size)
        following, jacobian = jacobians(self._step, layout, states.reshape(times * size, n), as_examples(inputs, size))
        self._jacobians, self._transposed = jacobian.reshape(times, size, n, n), None
        return following.reshape(times, size, n)

    def push(self, i: int, V: Tensor) -> Tensor:
        """D V (B, n, k) at the i-th of the prepared states."""
        assert self._jacobians is not None
        return self._jacobians[i] @ V

    def through(self, begin: int, end: int, V: Tensor) -> DecomposedAlong:
        """A frame (B, n, k) through some of them, with a decomposition after each."""
        if self._transposed is None:
            assert self._jacobians is not None
            self._transposed = self._jacobians.mT.contiguous()
        return decomposed_along(self._transposed[begin:end], V)


def as_examples(inputs: Any, size: int) -> Any:
    """Inputs (C, B, ...) of many times as those of C B examples; where they lack B = ``size`` they are repeated."""

    def stacked(series: Tensor) -> Tensor:
        if series.dim() > 1 and series.shape[1] == size:
            return series.flatten(0, 1)
        repeated = series.repeat_interleave(size, dim=0)  # the same for all examples
        return repeated[:, None] if repeated.dim() == 1 else repeated

    return map_tree(stacked, inputs)


def jacobians(step: Step, layout: StateLayout, flat: Tensor, x: Any) -> tuple[Tensor, Tensor]:
    """Next state (*batch, n) and Jacobians (*batch, n, n) of all examples, by n plain backward passes."""
    origin, following = with_graph(step, layout, flat, x)
    eye = torch.eye(layout.n_states, dtype=flat.dtype, device=flat.device)
    rows = pull(following, origin, eye.reshape(-1, *[1] * len(layout.batch), layout.n_states).expand(-1, *flat.shape))
    return following.detach(), rows.movedim(0, -2)


def pull(following: Tensor, origin: Tensor, W: Tensor) -> Tensor:
    """D' w of the k cotangents W (k, *batch, n), as one vectorised backward pass where that works, else one by one."""
    try:
        (found,) = torch.autograd.grad(following, origin, W, retain_graph=True, is_grads_batched=True)
    except REFUSALS:
        found = torch.stack([torch.autograd.grad(following, origin, w, retain_graph=True)[0] for w in W])
    return found


def plain_jacobian(step: Step, layout: StateLayout) -> Push:
    """Directions through one step by its whole Jacobian, from n plain backward passes."""

    def push(state: Tensor, x: Any, V: Tensor) -> tuple[Tensor, Tensor]:
        following, jacobian = jacobians(step, layout, state, x)
        return following, jacobian @ V

    return push
