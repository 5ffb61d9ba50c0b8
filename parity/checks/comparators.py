"""Judges of one pair of arrays. A comparator that is not exact states its bound and the cause of the bound."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Measure:
    """Difference and bound of the number that comes nearest to its bound, or exceeds it most.

    Attributes:
        difference: absolute.
        bound: admissible.
        rms_ours, rms_theirs: of the roundings in either algorithm, where the bound was measured.
    """

    difference: float
    bound: float
    rms_ours: float | None = None
    rms_theirs: float | None = None

    @property
    def ratio(self) -> float:
        """Difference over bound; 0 of no difference, infinity of one where none is admitted."""
        if self.difference == 0.0:
            return 0.0
        return self.difference / self.bound if self.bound else math.inf


@dataclass(frozen=True)
class Verdict:
    """The judgement on one pair.

    Attributes:
        passed: whether the pair agrees as it must.
        detail: what was seen; for a failure the first differing index and both values.
        digits: decimal digits that agree; infinity for equal bits.
        extent: how much was compared, where that is not everything or not obvious.
        measure: what was admitted and found; None where bits are compared.
    """

    passed: bool
    detail: str
    digits: float
    extent: str = ""
    measure: Measure | None = None

    def __bool__(self) -> bool:
        return self.passed


Comparator = Callable[[Array, Array], Verdict]


def identical(ours: npt.ArrayLike, theirs: npt.ArrayLike) -> Verdict:
    """Same type, same shape, same bits (so NaN equals the same NaN, and -0.0 differs from 0.0)."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    mismatch = _form_mismatch(ours, theirs)
    if mismatch is not None:
        return mismatch
    differing = _bits(ours) != _bits(theirs)
    if not differing.any():
        return Verdict(True, "bit for bit", np.inf)
    return Verdict(False, _first_difference(ours, theirs, differing), _digits(ours, theirs))


def within(bound: float | Callable[[Array, Array], float], cause: str) -> Comparator:
    """A comparator that admits absolute differences up to a bound, or to ``bound(ours, theirs)``.

    Args:
        bound: the number, or what gives it.
        cause: why so much.
    """

    def compare(ours: npt.ArrayLike, theirs: npt.ArrayLike) -> Verdict:
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        most = bound(ours, theirs) if callable(bound) else bound
        return Estimate(ours, np.asarray(most), cause).judge(theirs)

    return compare


@dataclass(frozen=True)
class Estimate:
    """Numbers of ours with how far another correct computation of them may lie from them.

    Attributes:
        values: the numbers.
        bound: admissible absolute difference, one or one per number (it broadcasts to them).
        cause: why so much.
        rms_ours, rms_theirs: what the bound was measured from (see ``bounds``), as many as there are bounds; or None.
        flaw: what is wrong with ours whatever theirs is, or "".
    """

    values: Array
    bound: Array
    cause: str
    rms_ours: Array | None = None
    rms_theirs: Array | None = None
    flaw: str = ""

    def first(self, rows: int) -> Estimate:
        """The first of its rows."""
        ours, theirs = (None if each is None else each[:rows] for each in (self.rms_ours, self.rms_theirs))
        return replace(self, values=self.values[:rows], bound=self.bound[:rows], rms_ours=ours, rms_theirs=theirs)

    def only_row(self) -> Estimate:
        """The first of its rows alone."""
        ours, theirs = (None if rows is None else rows[0] for rows in (self.rms_ours, self.rms_theirs))
        return replace(self, values=self.values[0], bound=self.bound[0], rms_ours=ours, rms_theirs=theirs)

    def judge(self, theirs: Array) -> Verdict:
        """Compare with the numbers of another computation, of the same type and shape."""
        ours = np.asarray(self.values)
        mismatch = _form_mismatch(ours, theirs)
        if mismatch is not None:
            return mismatch
        distance, limit = _distance(ours, theirs), np.broadcast_to(np.asarray(self.bound, dtype=np.float64), ours.shape)
        differing = ~(distance <= limit)  # NaN differs from everything
        measure = self._measure(distance, limit)
        stated = f"largest difference {measure.difference:.1e}, bound {measure.bound:.1e} ({self.cause})"
        if self.flaw:
            stated = f"{self.flaw}; {stated}"
        if differing.any():
            stated = f"{_first_difference(ours, theirs, differing)}; {stated}"
        passed = not (differing.any() or self.flaw)
        return Verdict(passed, stated, _digits(ours, theirs), measure=measure)

    def _measure(self, distance: Array, limit: Array) -> Measure:
        if not distance.size:
            return Measure(0.0, 0.0)
        with np.errstate(all="ignore"):
            ratio = np.where(distance == 0, 0.0, distance / limit)
        place = np.unravel_index(int(np.argmax(ratio)), ratio.shape)  # NaN counts as the largest

        def there(values: Array | None) -> float | None:
            return None if values is None else float(np.broadcast_to(values, ratio.shape)[place])

        return Measure(float(distance[place]), float(limit[place]), there(self.rms_ours), there(self.rms_theirs))


@dataclass(frozen=True)
class Raster:
    """Spikes or signs of ours, and how near to the threshold the states were that decided them.

    Two rasters must be identical. Rounding alone can make them part where a state lies within rounding of the
    threshold; what follows the first step with such a state is not judged.

    Attributes:
        values: (N, B, T).
        margin: distance of the states from the threshold, in the shape of ``values``.
        bound: what rounding can do to a state in each step, (T,).
    """

    values: Array
    margin: Array
    bound: Array

    def judge(self, theirs: Array) -> Verdict:
        """Compare with the raster of another computation."""
        ours = np.asarray(self.values)
        verdict = identical(ours, theirs)
        if verdict.passed or ours.shape != theirs.shape or ours.dtype != theirs.dtype:
            return verdict
        differing = ours != theirs
        step = int(np.flatnonzero(differing.any(axis=(0, 1)))[0])
        distance = float(self.margin[:, :, step][differing[:, :, step]].max())
        stated = (
            f"parts at step {step + 1} of {ours.shape[2]}, where a state lies {distance:.1e} from the threshold; "
            f"rounding there is up to {float(self.bound[step]):.1e}"
        )
        return Verdict(distance <= self.bound[step], stated, verdict.digits)


@runtime_checkable
class Judged(Protocol):
    """Numbers of ours that judge those of another computation themselves."""

    def judge(self, theirs: Array) -> Verdict:
        """Compare with theirs."""


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
    if not ours.ndim:
        return f"ours {_show(ours)}, theirs {_show(theirs)}"
    flat = int(np.flatnonzero(differing.ravel(order="F"))[0])
    index = tuple(int(i) for i in np.unravel_index(flat, ours.shape, order="F"))
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
