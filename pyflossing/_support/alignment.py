"""Arrays where a product rounds the same way each time.

MKL's products and triangular solves can take other kernels, which sum in another order, where an array begins at an
address that 16 does not divide; and which operand counts as transposed is read from the strides. Both depend on an
array's past: an update leaves views into one long row, a file is loaded into arrays of numpy's. So what enters a pass
goes through :func:`aligned` first, and what comes out depends on the numbers that went in alone
(tests/test_alignment.py). Elementwise functions, sums, QR decompositions and numpy's products gave the same bits at all
addresses that we tried. A caller's own step or module computes with its parameters where they lie.
"""

from __future__ import annotations

import torch
from torch import Tensor

BYTES = 64
"""What torch's allocator divides addresses by, and the longest vector of any CPU that torch has kernels for."""


def aligned(x: Tensor) -> Tensor:
    """``x`` itself if it is contiguous, with the strides of a new array, at a multiple of ``BYTES``; else such a copy.

    Differentiable; where it is a copy, changing it in place leaves ``x`` alone.
    """
    try:
        address = x.data_ptr()
    except RuntimeError:
        return x  # within torch.func, where tensors have no memory of their own
    if address % BYTES == 0 and x.stride() == _strides(x.shape):
        return x
    return x.clone(memory_format=torch.contiguous_format)


def _strides(shape: torch.Size) -> tuple[int, ...]:
    """Those of a new array; ``is_contiguous`` admits any where a dimension has one entry."""
    strides, below = [], 1
    for length in reversed(shape):
        strides.append(below)
        below *= max(1, length)
    return tuple(reversed(strides))
