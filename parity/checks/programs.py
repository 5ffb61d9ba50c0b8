"""Programs of draws: sequences of calls of one generator, run by pyflossing and, encoded, by Julia."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pyflossing.julia_random import MersenneTwister

RAND_F64, RAND_F32, RAND_U64, RANDN_F64, RANDN_F32, BITRAND, RANDPERM, SHUFFLE = range(1, 9)
_DTYPES = {
    RAND_F64: np.float64,
    RAND_F32: np.float32,
    RAND_U64: np.uint64,
    RANDN_F64: np.float64,
    RANDN_F32: np.float32,
}
_NAMES = {
    RAND_F64: "rand f64",
    RAND_F32: "rand f32",
    RAND_U64: "rand u64",
    RANDN_F64: "randn f64",
    RANDN_F32: "randn f32",
    BITRAND: "bitrand",
    RANDPERM: "randperm",
    SHUFFLE: "shuffle",
}


class Draw(NamedTuple):
    """One call: its kind and the array's shape; the empty shape is a scalar draw."""

    kind: int
    shape: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{_NAMES[self.kind]} {'x'.join(map(str, self.shape)) or 'scalar'}"


def run(generator: MersenneTwister, draw: Draw) -> Any:
    """One draw by pyflossing."""
    kind, shape = draw
    if kind == SHUFFLE:
        return generator.shuffle(range(1, shape[0] + 1))
    if kind == RANDPERM:
        return generator.randperm(shape[0])
    if kind == BITRAND:
        return generator.bitrand(shape)
    method = generator.rand if kind <= RAND_U64 else generator.randn
    return method(shape or None, _DTYPES[kind])


def encode(program: tuple[Draw, ...]) -> npt.NDArray[np.int64]:
    """The integer matrix that the reference's ``twister_draws`` takes: kind, number of dimensions, dimensions."""
    rows = np.zeros((len(program), 5), dtype=np.int64)
    for row, (kind, shape) in zip(rows, program, strict=True):
        row[0], row[1] = kind, len(shape)
        row[2 : 2 + len(shape)] = shape
    return rows


def size(program: tuple[Draw, ...]) -> int:
    """How many numbers a program draws."""
    return sum(math.prod(draw.shape) for draw in program)


# The sequences of the golden file `streams.npz`.
GOLDEN_SEQUENCES: dict[str, tuple[Draw, ...]] = {
    "A": (Draw(RANDN_F32, (3,)), Draw(RAND_F32, (80,)), Draw(RANDN_F32, (4, 4))),
    "B": (
        Draw(RAND_U64, (3,)),
        Draw(RANDN_F64, (5,)),
        Draw(RAND_F64, (7,)),
        Draw(SHUFFLE, (16,)),
        Draw(RAND_F32, (3,)),
    ),
    "C": (
        Draw(RANDN_F32, (80, 1)),
        Draw(RANDN_F32, (1, 80)),
        Draw(RAND_F32, (80,)),
        Draw(RANDN_F32, (80, 80)),
        Draw(SHUFFLE, (16,)),
    ),
    "D": (
        Draw(RAND_F64),
        Draw(RANDN_F64),
        Draw(RANDN_F32),
        Draw(RANDN_F32, (2,)),
        Draw(RAND_F32),
        Draw(RAND_F64, (400,)),
        Draw(RAND_F32, (5,)),
        Draw(RAND_F64, (2,)),
    ),
    "E": (Draw(BITRAND, (10,)), Draw(RANDN_F32, (3,)), Draw(BITRAND, (130,)), Draw(RAND_F64, (3,))),
    "F": (
        Draw(SHUFFLE, (16,)),
        Draw(SHUFFLE, (16,)),
        Draw(RAND_F32, (2,)),
        Draw(RANDPERM, (5,)),
        Draw(RANDN_F32, (7,)),
    ),
    "G": (
        Draw(RAND_F32, (1,)),
        Draw(RAND_F32, (999,)),
        Draw(RANDN_F32, (1,)),
        Draw(RAND_F64, (1001,)),
        Draw(RANDN_F32, (2,)),
    ),
}

# Where the caches run over, in the middle of a draw and at its edges.
CACHE_EDGES: dict[str, tuple[Draw, ...]] = {
    "floats across a refill": (
        Draw(RAND_F64, (381,)),
        Draw(RAND_F64, (383,)),
        Draw(RAND_F64, (300,)),
        Draw(RANDN_F32, (5,)),
    ),
    "direct fill and its tail": (
        Draw(RAND_F64, (384,)),
        Draw(RAND_F64, (385,)),
        Draw(RAND_F64),
        Draw(RAND_F64, (1001,)),
        Draw(RAND_F64, (3,)),
    ),
    "empty arrays fill a cache": (
        Draw(RAND_F64, (0,)),
        Draw(RAND_F64, (600,)),
        Draw(RAND_F32, (0, 3)),
        Draw(RAND_U64, (0,)),
        Draw(BITRAND, (0,)),
        Draw(RAND_F64),
    ),
    "integers from array and cache": (
        Draw(RAND_U64, (1,)),
        Draw(RAND_U64, (11,)),
        Draw(RAND_U64),
        Draw(RAND_U64, (2003,)),
        Draw(RAND_F64, (2,)),
    ),
    "one float left": (
        Draw(RAND_F64, (383,)),
        Draw(RAND_F64, (383,)),
        Draw(RAND_F64, (235,)),
        Draw(RAND_U64, (9,)),
    ),
    "float32 tails": (
        Draw(RAND_F32, (7,)),
        Draw(RAND_F32, (1537,)),
        Draw(RAND_F32, (2,)),
        Draw(RAND_F32, (767,)),
    ),
    "bits": (Draw(BITRAND, (64,)), Draw(BITRAND, (65,)), Draw(BITRAND, (7, 9, 3)), Draw(RANDN_F64, (4,))),
    "normals in bulk and one by one": (
        Draw(RANDN_F64, (12,)),
        Draw(RANDN_F64, (13,)),
        Draw(RANDN_F64, (1500,)),
        Draw(RANDN_F32, (1500,)),
        Draw(RANDN_F64),
    ),
    "permutations": (
        Draw(RANDPERM, (1,)),
        Draw(SHUFFLE, (1,)),
        Draw(RANDPERM, (129,)),
        Draw(SHUFFLE, (128,)),
        Draw(SHUFFLE, (0,)),
        Draw(RANDPERM, (0,)),
        Draw(SHUFFLE, (33,)),
    ),
}
