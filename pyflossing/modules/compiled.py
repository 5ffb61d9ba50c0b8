"""Directions through many steps, orthonormal again after each, by the compiled kernel (``spectrum.h`` there)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pyflossing._support.threads import UNITS_FOR_THREADS
from pyflossing.gradients.kernel.library import address, library_for, line


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


def decomposed_along(transposed: Tensor, frame: Tensor) -> DecomposedAlong:
    """A frame through some steps.

    Args:
        transposed: D' of the steps, (C, *batch, n, n), contiguous.
        frame: (*batch, n, k).
    """
    steps, *batch, n, _ = transposed.shape
    k = frame.shape[-1]
    rows = frame.mT.clone(memory_format=torch.contiguous_format)
    diagonals, lengths = transposed.new_empty(2, steps, *batch, k)
    ld, ldk = line(n, frame), line(k, frame)
    room = rows.new_empty((n + 2 * k) * ld + k * ldk + max(ld * ldk, (k + 1) * ld))
    pointers = map(address, (transposed, rows, diagonals, lengths, room))
    library_for(transposed, frame).spectrum_forward(n, k, rows.numel() // (n * k), steps, *pointers)
    return DecomposedAlong(rows.mT, diagonals, lengths)
