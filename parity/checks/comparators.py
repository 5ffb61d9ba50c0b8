"""Judges of one pair of arrays. A comparator that is not exact states its bound and the cause of the bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Verdict:
    """The judgement on one pair.

    Attributes:
        passed: whether the pair agrees as it must.
        detail: what was seen; for a failure the first differing index and both values.
        digits: decimal digits that agree; infinity for equal bits.
    """

    passed: bool
    detail: str
    digits: float


Comparator = Callable[[Array, Array], Verdict]


def identical(ours: Array, theirs: Array) -> Verdict:
    """Same type, same shape, same bits (so NaN equals the same NaN, and -0.0 differs from 0.0)."""
    mismatch = _form_mismatch(ours, theirs)
    if mismatch:
        return mismatch
    differing = _bits(ours) != _bits(theirs)
    if not differing.any():
        return Verdict(True, "bit for bit", np.inf)
    return Verdict(False, _first_difference(ours, theirs, differing), _digits(ours, theirs))


def within(bound: Callable[[Array, Array], float], cause: str) -> Comparator:
    """A comparator that admits absolute differences up to ``bound(ours, theirs)``; ``cause`` says why so much."""

    def compare(ours: Array, theirs: Array) -> Verdict:
        mismatch = _form_mismatch(ours, theirs)
        if mismatch:
            return mismatch
        limit = bound(ours, theirs)
        distance = _distance(ours, theirs)
        differing = ~(distance <= limit)  # NaN differs from everything
        worst = float(distance.max(initial=0.0))
        stated = f"largest difference {worst:.1e}, bound {limit:.1e} ({cause})"
        if differing.any():
            return Verdict(False, f"{_first_difference(ours, theirs, differing)}; {stated}", _digits(ours, theirs))
        return Verdict(True, stated, _digits(ours, theirs))

    return compare


def _form_mismatch(ours: Array, theirs: Array) -> Verdict | None:
    if ours.dtype != theirs.dtype:
        return Verdict(False, f"types differ: ours {ours.dtype}, theirs {theirs.dtype}", 0.0)
    if ours.shape != theirs.shape:
        return Verdict(False, f"shapes differ: ours {ours.shape}, theirs {theirs.shape}", 0.0)
    return None


def _bits(array: Array) -> Array:
    return np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}").reshape(array.shape)


def _first_difference(ours: Array, theirs: Array, differing: Array) -> str:
    """The first differing element in column-major order, as Julia would count, with one-based Julia indices too."""
    flat = int(np.flatnonzero(differing.ravel(order="F"))[0])
    index = tuple(int(i) for i in np.unravel_index(flat, ours.shape, order="F")) if ours.ndim else ()
    count = int(np.count_nonzero(differing))
    place = f"[{', '.join(map(str, index))}]"
    julia = f"[{', '.join(str(i + 1) for i in index)}]"
    return (
        f"{count} of {differing.size} differ, first at {place} (Julia {julia}): "
        f"ours {_show(ours[index])}, theirs {_show(theirs[index])}"
    )


def _show(value: Any) -> str:
    scalar = value.item()
    if isinstance(scalar, float):
        return f"{value!s} ({scalar.hex()})"
    return str(scalar)


def _distance(ours: Array, theirs: Array) -> npt.NDArray[np.float64]:
    """Absolute differences; equal infinities are at no distance, NaN is at distance NaN from everything."""
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    with np.errstate(all="ignore"):
        return np.where(a == b, 0.0, np.abs(a - b))


def _digits(ours: Array, theirs: Array) -> float:
    """Decimal digits that agree, relative to the largest entry of theirs."""
    distance = float(_distance(ours, theirs).max(initial=0.0))
    scale = float(np.abs(theirs.astype(np.float64)).max(initial=0.0))
    if distance == 0.0:
        return float(np.inf)
    if not np.isfinite(distance) or not np.isfinite(scale) or scale == 0.0:
        return 0.0
    return max(0.0, float(np.log10(scale) - np.log10(distance)))
