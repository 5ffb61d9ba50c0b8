"""``Xoroshiro128Star`` of the Julia package RandomNumbers.jl 1.5.3, bit for bit.

D. Blackman and S. Vigna's xoroshiro128 engine (rotations 24 and 37, shift 16) with a multiplicative output
of the new high word.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from pyflossing._support.arguments import FieldError, require_integer, require_shape
from pyflossing._support.memory import require_array_memory
from pyflossing.julia_random._bits import bits_from_words

_M64 = (1 << 64) - 1
_MULTIPLIER = 2685821657736338717
_DROPPED_STEPS = 2


class Xoroshiro128Star:
    """The generator behind the task data, seeded by an integer that is used raw as the 128-bit state.

    Args:
        seed: any integer from -2^127 to 2^128 - 1 except 0 (two's complement for negative ones).

    Raises:
        ValueError: seed out of range, or zero (an all-zero state would never leave zero).
    """

    __slots__ = ("_x", "_y")

    def __init__(self, seed: int) -> None:
        self.seed(seed)

    def seed(self, k: int) -> None:
        """Start the stream of seed ``k`` afresh."""
        seed = require_integer("seed", k, minimum=-(1 << 127), maximum=(1 << 128) - 1)
        if seed == 0:
            raise FieldError("seed", 0, "Xoroshiro128Star takes the seed as its state, and any integer but 0 will do")
        self._x = seed & _M64
        self._y = (seed >> 64) & _M64
        self.uint64(_DROPPED_STEPS)

    @property
    def state(self) -> tuple[int, int]:
        """The two 64-bit words (x, y) of the state."""
        return self._x, self._y

    def uint64(self, n: int) -> npt.NDArray[np.uint64]:
        """The next ``n`` raw words, shape (n,)."""
        n_words = require_integer("n", n, minimum=0)
        require_array_memory("n", n, (n_words,), bytes_each=40)  # a list of integers first
        words = [0] * n_words
        x, y = self._x, self._y
        for i in range(n_words):
            y ^= x
            x = ((x << 24) & _M64 | x >> 40) ^ y ^ ((y << 16) & _M64)
            y = (y << 37) & _M64 | y >> 27
            words[i] = (y * _MULTIPLIER) & _M64
        self._x, self._y = x, y
        return np.array(words, dtype=np.uint64)

    def bitrand(self, shape: int | tuple[int, ...]) -> npt.NDArray[np.bool_]:
        """Random bits of the given shape, filled column-major from whole words, lowest bit first."""
        dimensions = require_shape("shape", shape)
        require_array_memory("shape", shape, dimensions, bytes_each=1)
        n_bits = math.prod(dimensions)
        return bits_from_words(self.uint64(-(-n_bits // 64)), dimensions)
