"""Directions orthonormal again after each of many steps, by the compiled kernel (``spectrum.h`` there)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pyflossing._support.threads import UNITS_FOR_THREADS
from pyflossing.gradients.kernel.library import Term, address, library_for, line


class DecomposedAlong(NamedTuple):
    """What comes of a frame in some steps.

    Attributes:
        frame: after them, (*batch, n, k), orthonormal to the root of the rounding error.
        diagonals: |R_ii| of every step, (C, *batch, k), as exact as Householder's.
        lengths: of the columns of every step's R, (C, *batch, k).
    """

    frame: Tensor
    diagonals: Tensor
    lengths: Tensor


def pays(like: Tensor, n: int) -> bool:
    """Whether there is a kernel for arrays of this type, and torch would not take more threads than its one."""
    return (n < UNITS_FOR_THREADS or torch.get_num_threads() == 1) and library_for(like) is not None


class Columns(NamedTuple):
    """Columns of transposed Jacobians: those of a fixed matrix, scaled.

    Attributes:
        matrix: (n, m), rows of :func:`~pyflossing.gradients.kernel.library.line` numbers; None: the identity's columns.
        scales: (C, *batch, m), contiguous.
        at: where they stand.
        first: the identity's first column that they are.
    """

    matrix: Tensor | None
    scales: Tensor
    at: int
    first: int


def decomposed_along(transposed: Tensor, frame: Tensor) -> DecomposedAlong:
    """A frame through some steps.

    Args:
        transposed: D' of the steps, (C, *batch, n, n), contiguous.
        frame: (*batch, n, k).
    """
    return _decomposed(frame, len(transposed), transposed=transposed)


def decomposed_along_sums(terms: Sequence[Columns], frame: Tensor) -> DecomposedAlong:
    """A frame (*batch, n, k) through steps whose transposed Jacobians are sums of scaled columns."""
    return _decomposed(frame, len(terms[0].scales), terms=terms)


def decomposed(pushed: Tensor) -> DecomposedAlong:
    """A frame (*batch, n, k) that has been pushed through one step."""
    return _decomposed(pushed, 1)


def _decomposed(
    frame: Tensor, steps: int, *, transposed: Tensor | None = None, terms: Sequence[Columns] = ()
) -> DecomposedAlong:
    *batch, n, k = frame.shape
    rows = frame.mT.clone(memory_format=torch.contiguous_format)
    diagonals, lengths = rows.new_empty(2, steps, *batch, k)
    ld, ldk = line(n, frame), line(k, frame)
    room = rows.new_empty(2 * k * ld + k * ldk + max(ldk, k + 1) * ld + (0 if transposed is None else n * ld))
    given = (Term * len(terms))(
        *(Term(address(t.matrix), address(t.scales), t.at, t.scales.shape[-1], t.first) for t in terms)
    )
    library_for(frame).spectrum_forward(
        n, k, rows.numel() // (n * k), steps, address(transposed), len(terms), given,
        *map(address, (rows, diagonals, lengths, room)),
    )  # fmt: skip
    return DecomposedAlong(rows.mT, diagonals, lengths)
