"""Logarithms of growth from QR decompositions, with a mark on those that are rounding errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

_AT_ONCE = 128
_AT_ONCE_BYTES = 2**21
LOST = 4.0
"""In units of rounding: a smaller share is an error of the push."""
_DOUBTFUL = 1e3
"""In the same units: a block of several steps that came to this is taken again, with further QR decompositions."""


class RoundingWarning(UserWarning):
    """Exponents that rounding errors have eaten are NaN."""


def decomposed(frame: Tensor) -> tuple[Tensor, Tensor]:
    """Q and R of a frame (*batch, n, k)."""
    found: Any = torch.linalg.qr(frame)
    return found.Q, found.R


def shares(*Rs: Tensor) -> Tensor:
    """|R_ii| divided by the length of the longest column, (len(Rs), ..., k): what is left of a direction.

    A push has errors of the derivative's size times the rounding error, whatever becomes of a direction. A column of
    zeros counts as exact: infinite here.
    """
    diagonal = torch.stack([torch.diagonal(R, dim1=-2, dim2=-1) for R in Rs]).abs()
    # not of a copy: torch's norm is ten times as fast along the columns that a decomposition leaves contiguous
    longest = torch.stack([torch.linalg.vector_norm(R, dim=-2) for R in Rs]).amax(dim=-1, keepdim=True)
    limits = torch.finfo(longest.dtype)
    if not (float(longest.amin()) > math.sqrt(limits.tiny / limits.eps) and float(longest.amax()) < math.inf):
        sizes = [R.abs().amax(dim=(-2, -1), keepdim=True) for R in Rs]  # squares leave the range of the type
        scaled = [R / torch.where(size > 0, size, 1.0) for R, size in zip(Rs, sizes, strict=True)]
        diagonal = torch.stack([torch.diagonal(R, dim1=-2, dim2=-1) for R in scaled]).abs()
        longest = torch.stack([torch.linalg.vector_norm(R, dim=-2) for R in scaled]).amax(dim=-1, keepdim=True)
    found = diagonal / longest
    if bool((diagonal == 0).any()):
        found = torch.where(torch.stack([(R == 0).all(dim=-2) for R in Rs]), torch.inf, found)
    return found


def doubtful(R: Tensor, eps: float) -> bool:
    """Whether rounding has begun to show in any direction."""
    return bool((shares(R.detach()) < _DOUBTFUL * eps).any())


@dataclass
class Logs:
    """Logarithms of growth, block by block.

    Args:
        eps: relative rounding error of the derivative.
        report: raises the error for a block that is not finite, from state, diagonal and the block's last step.
    """

    eps: float
    report: Callable[[Tensor, Tensor, int], None]
    logs: list[Tensor] = field(default_factory=list)
    lost: Tensor | None = None
    _waiting: list[tuple[Tensor, Tensor, int, bool]] = field(default_factory=list)

    def add(self, R: Tensor, state: Tensor, end: int, *, counts: bool) -> None:
        """A block's R, the state after it and its last step (from 1); without ``counts`` it is only looked at."""
        self._waiting.append((R, state, end, counts))
        if len(self._waiting) >= _AT_ONCE or len(self._waiting) * R.numel() * R.element_size() >= _AT_ONCE_BYTES:
            self.flush()

    def add_sum(self, Rs: list[Tensor], state: Tensor, end: int, *, counts: bool) -> None:
        """A block that was taken with several decompositions."""
        if len(Rs) == 1:
            self.add(Rs[0], state, end, counts=counts)
            return
        self.flush()
        for R in Rs:
            self.add(R, state, end, counts=counts)
        self.flush()
        if counts:
            logs = self.logs[-len(Rs) :]
            self.logs[-len(Rs) :] = [torch.stack(logs).sum(dim=0)]

    def flush(self) -> None:
        """Take the logarithms of all blocks that wait.

        Raises:
            NonFiniteError: by ``report``.
        """
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        diagonal = torch.stack([torch.diagonal(entry[0], dim1=-2, dim2=-1) for entry in waiting]).abs().double()
        self._require_finite(diagonal.detach(), [entry[1] for entry in waiting], [entry[2] for entry in waiting])
        counted = [i for i, entry in enumerate(waiting) if entry[3]]
        if not counted:
            return
        logs = torch.log(diagonal)
        if len(counted) == len(waiting):
            self.logs += logs.unbind(0)
        else:
            self.logs += [logs[i] for i in counted]
        self._count_lost(shares(*[waiting[i][0].detach() for i in counted]))

    def add_many(self, diagonals: Tensor, lengths: Tensor, states: list[Tensor], first: int, uncounted: int) -> None:
        """Blocks of one step, from step ``first`` on (from 0), of which some at the beginning are only looked at.

        Args:
            diagonals: |R_ii|, (C, *batch, k).
            lengths: of the columns of R, (C, *batch, k).
            states: after the steps.

        Raises:
            NonFiniteError: by ``report``.
        """
        self.flush()
        diagonals = diagonals.double()
        self._require_finite(diagonals, states, range(first + 1, first + 1 + len(states)))
        diagonals, lengths = diagonals[uncounted:], lengths[uncounted:]
        if len(diagonals):
            self.logs += torch.log(diagonals).unbind(0)
            self._count_lost(torch.where(lengths == 0, math.inf, diagonals / lengths.amax(dim=-1, keepdim=True)))

    def _require_finite(self, diagonals: Tensor, states: Sequence[Tensor], ends: Sequence[int]) -> None:
        if not bool((diagonals < math.inf).all()):  # false for NaN, too
            for values, state, end in zip(diagonals, states, ends, strict=True):
                if not bool((values < math.inf).all()):
                    self.report(state, values, end)

    def _count_lost(self, left: Tensor) -> None:
        self.lost = added(self.lost, (left < LOST * self.eps).sum(dim=0))


def added(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """Their sum, with None for nothing."""
    if a is None or b is None:
        return b if a is None else a
    return a + b
