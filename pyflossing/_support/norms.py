"""Euclidean norms, and scaling to them, of numbers whose squares leave the range of their type.

Squares of Float32 numbers overflow from 1.8e19 on, those of Float64 ones from 1.3e154 on, and lose digits at the other
end. Only there are norms taken of Float64 quotients by the largest entry, so that the bits of all others are torch's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pyflossing._support.devices import numbers_of


def euclidean_norm(*arrays: Tensor) -> float:
    """Of all entries of all arrays together; infinite only if one is, or if the norm is too large for Float64."""
    norms = euclidean_norms(arrays)
    return norms[0] if len(norms) == 1 else euclidean_norm(torch.tensor(norms, dtype=torch.float64))


def euclidean_norms(arrays: Sequence[Tensor]) -> list[float]:
    """Of each array by itself; those of arrays on a GPU in one transfer."""
    plain = numbers_of(*(torch.linalg.vector_norm(x) for x in arrays))
    return [_within_range(x, norm) for x, norm in zip(arrays, plain, strict=True)]


def _within_range(x: Tensor, plain: float) -> float:
    """The norm, where torch's, ``plain``, may have left the range of the array's type."""
    limits = torch.finfo(x.dtype)
    if math.sqrt(limits.tiny / limits.eps) <= plain < math.inf:
        return plain
    largest = _largest((x,))
    if largest == 0 or not math.isfinite(largest):
        return plain
    return largest * float(torch.linalg.vector_norm(x.double() / largest))


def scaled(arrays: Sequence[Tensor], norm: float, length: float) -> list[Tensor]:
    """The arrays scaled from their joint norm ``length``, as :func:`euclidean_norm` tells it, to ``norm``."""
    factor = norm / length
    if factor >= max(torch.finfo(x.dtype).tiny for x in arrays):
        return [x * factor for x in arrays]
    largest = _largest(arrays)
    quotients = [x.double() / largest for x in arrays]
    factor = norm / euclidean_norm(*quotients)
    return [(quotient * factor).to(x.dtype) for quotient, x in zip(quotients, arrays, strict=True)]


def _largest(arrays: Sequence[Tensor]) -> float:
    return max((float(x.abs().max()) for x in arrays if x.numel()), default=0.0)
