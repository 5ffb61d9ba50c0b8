"""How Julia's ``BitArray`` lies in memory: whole 64-bit words, lowest bit first, column-major."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt


def bits_from_words(words: npt.NDArray[np.uint64], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """The first bits of ``words`` as a boolean array of the given shape, filled column-major."""
    octets = words.astype("<u8").view(np.uint8)
    bits = np.unpackbits(octets, count=math.prod(shape), bitorder="little")
    return bits.view(np.bool_).reshape(shape, order="F")
