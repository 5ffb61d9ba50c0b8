"""How closely two computations of an orthogonal factor can agree."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

import numpy as np

from parity.checks.comparators import Comparator, within
from parity.checks.model import Array


def orthogonal_factor(factored: Callable[[], Iterable[Array]]) -> Comparator:
    """A comparator for Q factors of the given matrices.

    The Q of a Float32 QR moves by up to about eps times the condition number of the matrix (Higham, Accuracy and
    Stability of Numerical Algorithms, section 19.9); LAPACK in Julia works in Float32, ours in Float64.
    """

    @lru_cache(maxsize=1)
    def largest_condition() -> float:
        return max(float(np.linalg.cond(matrix.astype(np.float64))) for matrix in factored())

    def bound(ours: Array, theirs: Array) -> float:
        return float(np.finfo(np.float32).eps) * largest_condition() * float(np.abs(theirs).max())

    return within(bound, "eps of Float32 times the condition of the factored matrix")
