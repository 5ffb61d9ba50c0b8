"""Normal variates from 52 random bits: the ziggurat of ``randn`` in Julia 1.5.

G. Marsaglia and W. W. Tsang, "The ziggurat method for generating random variables", J. Stat. Softw. 5 (2000),
with 256 strips and the tables of randmtzig, computed here in 50-digit arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pyflossing.julia_random._dsfmt import U64, Words
from pyflossing.julia_random._logarithm import log

TAIL_START = 3.6541528853610087963519472518
INVERSE_TAIL_START = 1.0 / TAIL_START
_EXACT_TAIL_START = "3.65415288536100879635194725185604664812733315920964488827246"
_STRIP_AREA = "0.00492867323397465493159091343090397414518845398"
_N_MANTISSA = 2**51
_MANTISSA_MASK = 0x000FFFFFFFFFFFFF


class Tables(NamedTuple):
    """Limits (256 integers), widths and heights (256 float64) of the strips, numbered as in Julia minus one."""

    limits: npt.NDArray[np.int64]
    widths: npt.NDArray[np.float64]
    heights: npt.NDArray[np.float64]


@lru_cache(maxsize=1)
def tables() -> Tables:
    """The ziggurat's tables, built once per process (about 20 ms)."""
    limits = np.zeros(256, dtype=np.int64)
    widths = np.zeros(256)
    heights = np.zeros(256)
    with localcontext() as context:
        context.prec = 50
        x = Decimal(_EXACT_TAIL_START)
        area = Decimal(_STRIP_AREA)
        height = (-x * x / 2).exp()
        widths[255] = float(x / _N_MANTISSA)
        heights[255] = float(height)
        limits[0] = int(x * height / area * _N_MANTISSA)
        widths[0] = float(area / height / _N_MANTISSA)
        heights[0] = 1.0
        for i in range(254, 0, -1):
            x_outer = x
            x = (-2 * (area / x_outer + height).ln()).sqrt()
            height = (-x * x / 2).exp()
            limits[i + 1] = int(x / x_outer * _N_MANTISSA)
            widths[i] = float(x / _N_MANTISSA)
            heights[i] = float(height)
    return Tables(limits, widths, heights)


@lru_cache(maxsize=1)
def _table_lists() -> tuple[list[int], list[float], list[float]]:
    limits, widths, heights = tables()
    return limits.tolist(), widths.tolist(), heights.tolist()


def normals(words: Words) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """First try for many words: the variates, and where the strip's rectangle rejects (0.7 % of them)."""
    limits, widths, _ = tables()
    magnitude = ((words & U64(_MANTISSA_MASK)) >> U64(1)).astype(np.int64)
    strip = magnitude & 0xFF
    x = magnitude * widths[strip]
    # The sign is the lowest bit of the word: move it to the sign bit of the float64. Julia negates the
    # integer, which has no negative zero: adding 0.0 removes ours.
    x.view(U64)[...] ^= words << U64(63)
    x += 0.0
    return x, magnitude >= limits[strip]


def normal(word: int, next_word: Callable[[], int]) -> float:
    """One variate from ``word``, drawing more words where the first try is rejected."""
    limits, widths, heights = _table_lists()
    while True:
        magnitude = (word & _MANTISSA_MASK) >> 1
        strip = magnitude & 0xFF
        x = (-magnitude if word & 1 else magnitude) * widths[strip]
        if magnitude < limits[strip]:
            return x
        if strip == 0:
            return _tail(magnitude, next_word)
        height = heights[strip]
        if (heights[strip - 1] - height) * uniform(next_word()) + height < math.exp(-0.5 * x * x):
            return x
        word = next_word()


def uniform(word: int) -> float:
    """The float64 in [0, 1) of a word in [1, 2)."""
    return ((word & _MANTISSA_MASK) | 0x0010000000000000) * 2.0**-52 - 1.0


def _tail(magnitude: int, next_word: Callable[[], int]) -> float:
    while True:
        x = -INVERSE_TAIL_START * log(uniform(next_word()))
        y = -log(uniform(next_word()))
        if y + y > x * x:
            return -TAIL_START - x if (magnitude >> 8) & 1 else TAIL_START + x
