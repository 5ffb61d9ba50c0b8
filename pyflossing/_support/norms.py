"""Euclidean norms, and scaling to them, of numbers whose squares leave the range of their type.

Squares of Float32 numbers overflow from 1.8e19 on, those of Float64 ones from 1.3e154 on, and lose digits at the other
end. Only there are norms taken of Float64 quotients by the largest entry, so that the bits of all others are torch's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def euclidean_norm(*arrays: Tensor) -> float:
    """Of all entries of all arrays together; infinite only if one is, or if the norm is too large for Float64."""
    if len(arrays) > 1:
        return euclidean_norm(torch.tensor([euclidean_norm(x) for x in arrays], dtype=torch.float64))
    (x,) = arrays
    plain = float(torch.linalg.vector_norm(x))
    limits = torch.finfo(x.dtype)
    if math.sqrt(limits.tiny / limits.eps) <= plain < math.inf:
        return plain
    largest = _largest(arrays)
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
