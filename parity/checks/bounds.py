"""How far two correct Float32 computations of the same numbers may lie apart: measured, with a stated chance of error.

The rule. The inputs are copied ``N_COPIES`` times, every copy nudged by up to ``ULPS`` ulp, units in the given order.
On every copy the Float32 result is compared with the Float64 result of the same copy: the largest deviation in the
array, and the root mean square (RMS) of it over the copies. So for the algorithm of either side, ours and the general
one that the authors' program, our Julia and autograd have (``general``). Admitted is

    10 sqrt(rms_ours^2 + rms_theirs^2) + 8 eps x the largest entry,

the latter because the deviations of a single number may all happen to be small. The numbers that are judged are not
among the draws. Whole runs follow the same rule with runs from moved starts (``free_running``).

The chance of a false alarm. At a given order of units the rounding of a quantity is nearly one Gaussian mode, the least
stable one. A Gaussian number over the RMS of 16 others is t-distributed, and |t_16| exceeds 10 with probability
``FALSE_ALARM``. (In another order of units Householder QR sees other rows and is more or less stable: not the same
distribution, and a heavy tail.) Resampled, with pairs to judge and RMS from other copies (64 copies of every case, 753
quantities, 301 200 pairs), the difference exceeds 0.2, 0.3, 0.4 of its bound in 7e-3, 3e-4, 1e-5 of all pairs and never
0.5; t_16 gives 6e-2, 8e-3, 1e-3, 1e-4. Of runs (48 each way, 240 series, 71 100 pairs) 0.3, 0.4, 0.5, 0.6 are exceeded
in 3e-3, 4e-4, 8e-5, 1e-5. So ``FALSE_ALARM`` is an upper estimate, and a whole report's is below 1e-4.

What cannot widen a bound. ``general`` is written down from the specification apart from the port, so that no error in
the port reaches rms_theirs. A loss of precision in our own algorithm raises rms_ours: more than ``MOST_OURS`` times
what Float32 costs the general one is a failure by itself. (Of correct passes 16 times were seen, in a gradient of wr
that is one Float32 sum of 4800 terms, and 7 times elsewhere; TF32 costs some thousand times.)
"""

from __future__ import annotations

import math

import numpy as np

from parity.checks.comparators import Estimate
from parity.checks.model import Array

N_COPIES = 16
FACTOR = 10
ROUNDINGS = 8
MOST_OURS = 32
ULPS = 2
FALSE_ALARM = 2.7e-8
RULE = f"{FACTOR} x the RMS, over {N_COPIES} nudged copies, of what Float32 costs either side's algorithm"
CAUSE = f"{FACTOR} x the RMS of Float32 roundings"


def nudged(values: Array, rng: np.random.Generator, copies: int = N_COPIES) -> Array:
    """Copies of Float32 numbers, (copies, ...), each number moved by up to two ulp up or down; zeros stay."""
    values = np.ascontiguousarray(values, dtype=np.float32)
    moves = rng.integers(-ULPS, ULPS + 1, (copies, *values.shape), dtype=np.int32)
    # of a float's bits as an integer, the neighbours are those of the float
    moved: Array = (values.view(np.int32) + np.where(values == 0, 0, moves)).astype(np.int32).view(np.float32)
    return moved


def deviations(results: Array, exact: Array, *, by_step: bool = False) -> Array:
    """Largest deviation of every copy (copies,), or by time, the last dimension, up to every step (copies, T)."""
    distance = np.abs(results.astype(np.float64) - exact)
    if by_step:
        largest: Array = distance.max(axis=tuple(range(1, distance.ndim - 1)))
        return np.maximum.accumulate(largest, axis=1)
    flat: Array = distance.reshape(len(distance), -1)
    return np.asarray(flat.max(axis=1, initial=0.0))


def rms(deviation: Array) -> Array:
    """Over the copies, the first dimension."""
    return np.asarray(np.sqrt(np.mean(np.asarray(deviation) ** 2, axis=0)))


def admitted(ours: Array, theirs: Array, largest: Array | float, eps: float) -> Array:
    """The bound of the rule, from both RMS."""
    return np.asarray(FACTOR * np.hypot(ours, theirs) + ROUNDINGS * eps * largest)


def imprecise(ours: Array, theirs: Array, largest: Array | float, eps: float, most: float = MOST_OURS) -> str:
    """Says so where our algorithm rounds more than ``most`` times what Float32 costs the general one; else ""."""
    expected = most * np.hypot(theirs, eps * largest)
    if bool(np.all(ours <= expected)):
        return ""
    worst = int(np.argmax(np.ravel(ours / np.where(expected > 0, expected, 1))))
    return (
        f"ours is imprecise: its RMS is {np.ravel(ours)[worst]:.1e}, where Float32 explains "
        f"{np.ravel(np.broadcast_to(expected, np.shape(ours)))[worst]:.1e}"
    )


def estimate(
    values: Array, theirs: Array, ours: Array | None = None, *, more: float = 0.0, cause: str = CAUSE
) -> Estimate:
    """Float32 numbers of ours with their bound.

    Args:
        values: the numbers.
        theirs: RMS of the general algorithm, one or one per number.
        ours: that of our algorithm; None where it is the general one.
        more: admitted on top.
        cause: why so much.
    """
    eps, largest = float(np.finfo(np.float32).eps), float(np.abs(values).max(initial=0.0))
    both = (theirs if ours is None else ours, theirs)
    return Estimate(values, admitted(*both, largest, eps) + more, cause, *both, flaw=imprecise(*both, largest, eps))


def summation(eps: float, terms: int) -> float:
    """Relative error of a sum of ``terms`` positive numbers, one added after the other: 10 sqrt(n) eps / 2.

    The constant of the probabilistic bound (Higham and Mary, SIAM J. Sci. Comput. 41, 2019) at 10 is never met.
    """
    return 10 * math.sqrt(terms) * eps / 2 if terms > 1 else 0.0
