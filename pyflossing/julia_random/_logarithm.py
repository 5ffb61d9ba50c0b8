"""Julia's natural logarithm of a float64, to the last bit.

P. T. P. Tang, "Table-driven implementation of the logarithm function in IEEE floating-point arithmetic",
ACM Trans. Math. Softw. 16 (1990) 378-400: the algorithm that Julia 1.x uses. The C library's log differs in
the last bit now and then, and the normals in the ziggurat's tail would show it. No fused multiply-add is
used, as in a Julia built for generic x86-64.
"""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from functools import lru_cache

_LN2_HIGH = 0.6931471805601177
_LN2_LOW = -1.7239444525614835e-13
_TABLE_BITS = 39


@lru_cache(maxsize=1)
def _table() -> tuple[tuple[float, float], ...]:
    """log(1 + j/128) for j = 0..128 as a 39-bit head and a float64 tail."""
    scale = 2**_TABLE_BITS
    entries = []
    with localcontext() as context:
        context.prec = 50
        for j in range(129):
            exact = (1 + Decimal(j) / 128).ln()
            head = float((exact * scale).to_integral_value()) / scale
            entries.append((head, float(exact - Decimal(head))))
    return tuple(entries)


def _truncate(x: float) -> float:
    """Keep the upper 26 bits of the significand (Veltkamp-like, by masking as Julia does)."""
    mantissa, exponent = math.frexp(x)
    return math.ldexp(float(math.trunc(mantissa * 2.0**26)), exponent - 26)


def _near_one(f: float) -> float:
    """log(1 + f) for small f, Tang's procedure 2."""
    g = 1.0 / (2.0 + f)
    u = 2.0 * f * g
    v = u * u
    q = 0.0022321399879194482 + v * 0.0004348877777076146
    q = u * v * (0.08333333333333179 + v * (0.012500000003771751 + v * q))
    u1 = _truncate(u)
    f1 = _truncate(f)
    f2 = f - f1
    u2 = ((2.0 * (f - u1) - u1 * f1) - u1 * f2) * g
    return u1 + (u2 + q)


def log(x: float) -> float:
    """log(x) for a normal, positive, finite float64 (all that the ziggurat asks for), or -inf for zero."""
    if x == 0.0:
        return -math.inf
    if 0.9394130628134757 < x < 1.0644944589178595:
        return _near_one(x - 1.0)
    half, exponent = math.frexp(x)
    y = 2.0 * half
    grid = (y + 3.5184372088832e13) - 3.5184372088832e13  # y rounded to 1/128
    head, tail = _table()[int(128.0 * grid) - 128]
    power = float(exponent - 1)
    f = y - grid
    u = (2.0 * f) / (y + grid)
    v = u * u
    q = u * v * (0.08333333333303913 + v * 0.012500053168098584)
    return (power * _LN2_HIGH + head) + (u + (q + (power * _LN2_LOW + tail)))
