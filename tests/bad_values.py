"""Values that no parameter allows, drawn at random, and what is asked of their refusals."""

from __future__ import annotations

import datetime
import math
import random
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from pyflossing._support.words import LONGEST


class Rude:
    """An object whose repr fails."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


class Loud:
    """An object whose repr has lines, colours and no end."""

    def __repr__(self) -> str:
        return "\x1b[31mline\nline" * 10_000


class OneLike:
    """An object that turns into numbers when it is asked to."""

    def __index__(self) -> int:
        return 1

    def __float__(self) -> float:
        return 1.0


NO_NUMBERS: tuple[Any, ...] = (
    None, True, False, np.True_, np.array(True), np.array(3), np.array(1.5), np.array([3]), np.array([1.5]),
    np.zeros(0), np.zeros((3, 3)), torch.tensor(3), torch.tensor(1.5), torch.tensor([1.5]), torch.tensor(True),
    1 + 0j, 1j, np.complex64(1), b"1", bytearray(b"1"), memoryview(b"1"), "1", "", "one", np.str_("1"),
    np.bytes_(b"1"), np.array("1"), np.array(b"1"), Fraction(1, 2), Fraction(1), Decimal(1), Decimal("NaN"), [1], (1,),
    {1}, {1: 1}, [], {}, range(1), object(), int, float, print, ..., NotImplemented, datetime.date(2020, 1, 1),
    np.datetime64("2020-01-01"), np.timedelta64(1, "s"), np.dtype("float32"), Path("1"), "x" * 100_000,
    b"x" * 100_000, [1] * 100_000, "\x1b[31m\n", "\ud800", Rude(), Loud(), OneLike(), np.array([1], dtype=object),
    np.ma.masked, float("nan"), np.float32("nan"), [[[[[[[[[[[[1]]]]]]]]]]]],
)  # fmt: skip
"""No integers, and no real numbers."""
NO_INTEGERS = (1.0, 1.5, -1.5, np.float64(1), np.float32(1.5), math.inf, -math.inf, 1e300, np.longdouble(1))
INFINITE = (math.inf, -math.inf, np.float32("inf"), np.float16("-inf"), np.longdouble("-inf"))
NO_FLOAT32 = (*INFINITE, 1e39, -1e39, 10**39, 10**400, -(10**5000), np.float64(1e300), np.longdouble("1e400"))


class Kind(NamedTuple):
    """What a parameter takes.

    Attributes:
        kind: int, float, or another class for what is neither.
        least, most: of a number, None for no limit.
        wrong: what else it does not take.
        right: what it takes in spite of the above.
    """

    kind: type
    least: float | None = None
    most: float | None = None
    wrong: tuple[Any, ...] = ()
    right: tuple[type, ...] = ()


def bad_values(kind: Kind, chance: random.Random) -> Iterator[Any]:
    """Values without end that it does not take, each drawn anew."""
    fixed = [*NO_NUMBERS, *kind.wrong]
    if kind.kind is int:
        fixed += NO_INTEGERS
    elif kind.kind is float:
        fixed += NO_FLOAT32
    fixed = [value for value in fixed if not isinstance(value, kind.right)]
    makers: list[Callable[[], Any]] = [lambda: chance.choice(fixed)] * 3
    makers.append(lambda: "".join(chr(chance.randrange(0x3000)) for _ in range(chance.randrange(1, 50))))
    makers.append(lambda: [chance.random() for _ in range(chance.randrange(5))])
    makers.append(lambda: bytes(chance.randrange(256) for _ in range(chance.randrange(50))))
    below, above = kind.least, kind.most
    if kind.kind in (int, float) and below is not None:
        makers.append(lambda: below - 1 - chance.choice((0, chance.randrange(10**6), 10**20)))
    if kind.kind in (int, float) and above is not None:
        makers.append(lambda: above + 1 + chance.choice((0, chance.randrange(10**6), 10**5000)))
    while True:
        value = chance.choice(makers)()
        if not isinstance(value, kind.right):
            yield value


def assert_refused(name: str, call: Callable[[], object]) -> None:
    """A ValueError that begins with the name, and shows a printable line with little of the value."""
    with pytest.raises(ValueError, match=f"^{re.escape(name)} = ") as caught:
        call()
    said = str(caught.value)
    assert said.isprintable()
    value = said.removeprefix(f"{name} = ").partition(" is not allowed: ")[0]
    assert 0 < len(value) <= LONGEST
