"""Arrays and numbers for hypothesis, of every kind that Python and Julia can both take. Needs hypothesis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy
from hypothesis.strategies import DrawFn, SearchStrategy

from parity.bridge.wire import DTYPES
from parity.checks.model import Array

TYPES = tuple(dtype.name for dtype in DTYPES)
"""Names of the types: "bool", "uint8", "int32", "int64", "uint64", "float32", "float64"."""
FLOATS = ("float32", "float64")
ORDERS = ("C", "F", "strided")
"""How an array lies in memory; Julia sees the same numbers at the same indices in each case."""


def elements(dtype: str, *, nan: bool = True, infinite: bool = True, most: float | None = None) -> SearchStrategy[Any]:
    """Numbers of a type.

    Args:
        dtype: one of ``TYPES``.
        nan, infinite: whether floats may be NaN or infinite; they are finite with ``most``.
        most: the largest magnitude of floats.
    """
    if dtype not in FLOATS:
        return of_numpy.from_dtype(np.dtype(dtype))
    width: Literal[32, 64] = 32 if dtype == "float32" else 64
    if most is not None:
        edge = float(np.dtype(dtype).type(most))
        return st.floats(-edge, edge, width=width)
    return st.floats(width=width, allow_nan=nan, allow_infinity=infinite)


@st.composite
def arrays(
    draw: DrawFn,
    types: Sequence[str] = TYPES,
    shape: tuple[int, ...] | SearchStrategy[tuple[int, ...]] | None = None,
    *,
    orders: Sequence[str] = ORDERS,
    nan: bool = True,
    infinite: bool = True,
    most: float | None = None,
) -> Array:
    """Arrays: any type, up to three dimensions of 0 to 5, in any order in memory.

    Args:
        types: of ``TYPES``.
        shape: one shape, or a strategy of shapes; None for any, empty ones among them.
        orders: of ``ORDERS``.
        nan, infinite, most: of floats, as in ``elements``.
    """
    dtype = draw(st.sampled_from(list(types)))
    shapes = of_numpy.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5) if shape is None else shape
    array = draw(of_numpy.arrays(dtype, shapes, elements=elements(dtype, nan=nan, infinite=infinite, most=most)))
    return _laid_out(array, draw(st.sampled_from(list(orders))))


def scalars(types: Sequence[str] = TYPES, *, nan: bool = True, infinite: bool = True) -> SearchStrategy[Any]:
    """Numpy scalars of the types."""
    each = [elements(name, nan=nan, infinite=infinite).map(np.dtype(name).type) for name in types]
    return st.one_of(*each)


def _laid_out(array: Array, order: str) -> Array:
    if order == "F":
        return np.asfortranarray(array)
    if order == "strided":
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    return np.ascontiguousarray(array)
