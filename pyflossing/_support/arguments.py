"""Checks of arguments: every refusal is a ValueError that names parameter, value and what is allowed."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pyflossing._support.words import shown

_One = TypeVar("_One")
_Call = TypeVar("_Call", bound=Callable[..., Any])
_LARGEST_FLOAT32 = float.fromhex("0x1.fffffep127")
_MOST_DIMENSIONS = 32  # numpy's own limit, of its older versions

UNWRITTEN = "unwritten"
"""In a field's metadata: a default that is not written to files, of a setting that files of before do not have."""


class FieldError(ValueError):
    """A refused setting.

    Attributes:
        field: its name, with dots for a setting within a section.
        value: what was given.
        allowed: what would be, as a clause.
    """

    def __init__(self, field: str, value: Any, allowed: str) -> None:
        self.field, self.value, self.allowed = field, value, allowed
        super().__init__(f"{field} = {shown(value)} is not allowed: {allowed}")


@dataclass(frozen=True)
class Limit:
    """The range of a number.

    Args:
        kind: int or float; floats must be finite in Float32, to which the original rounds them.
        minimum, maximum: inclusive, None for no limit.
        open_end: whether ``maximum`` itself is excluded.
    """

    kind: type
    minimum: int | None = None
    maximum: int | None = None
    open_end: bool = False

    @property
    def words(self) -> str:
        """What is allowed, as a noun."""
        if self.kind is int:
            return "an integer" + _range(self.minimum, self.maximum)
        if self.minimum is None or self.maximum is None:
            return "a number that is finite in Float32"
        return f"a number in [{self.minimum}, {self.maximum}{')' if self.open_end else ']'}"

    def check(self, name: str, value: Any) -> Any:
        """The value as a Python number; a ValueError that calls it ``name`` if it is out of range."""
        if self.kind is int:
            return require_integer(name, value, self.minimum, self.maximum)
        number = require_float32(name, value)
        if self.minimum is not None and self.maximum is not None:
            below = number < self.maximum if self.open_end else number <= self.maximum
            if not (self.minimum <= number and below):
                end = ")" if self.open_end else "]"
                raise FieldError(name, value, f"it must lie in [{self.minimum}, {self.maximum}{end}")
        return number


def is_integer(value: Any) -> bool:
    """Whether it is an integer of Python or numpy; a truth value is none."""
    # numpy counts time differences among its integers
    return isinstance(value, int | np.integer) and not isinstance(value, bool | np.timedelta64)


def is_real(value: Any) -> bool:
    """Whether it is a real number of Python or numpy; a truth value, a text or an array of one entry is none."""
    return is_integer(value) or isinstance(value, float | np.floating)


def require_positive_or_infinite(name: str, value: Any) -> float:
    """A number above zero that is finite in Float32, or infinity, as a Python float."""
    if is_real(value) and value == math.inf:
        return math.inf
    number = require_float32(name, value)
    if number <= 0:
        raise FieldError(name, value, "it must be > 0, or infinity")
    return number


def require_integer(name: str, value: Any, minimum: int | None = None, maximum: int | None = None) -> int:
    """An integer (Python's or numpy's, no truth value) within the limits, as a Python int."""
    allowed = f"it must be an integer{_range(minimum, maximum)}"
    if not is_integer(value):
        raise FieldError(name, value, allowed)
    number = operator.index(value)
    if (minimum is not None and number < minimum) or (maximum is not None and number > maximum):
        raise FieldError(name, number, allowed)
    return number


def require_finite(name: str, value: Any) -> float:
    """A finite real number (Python's or numpy's, no truth value), as a Python float."""
    try:
        number = float(value) if is_real(value) else math.nan
    except OverflowError:
        number = math.nan
    if not math.isfinite(number):
        raise FieldError(name, value, "it must be a finite real number")
    return number


def require_float32(name: str, value: Any) -> float:
    """A real number that is finite in Float32, as a Python float."""
    number = require_finite(name, value)
    if abs(number) > _LARGEST_FLOAT32:
        raise FieldError(name, value, "it must be a real number that is finite in Float32")
    return number


def require_seconds(name: str, value: Any) -> float:
    """A time in seconds, 0 or more."""
    if not (is_real(value) and 0 <= value <= _LARGEST_FLOAT32):
        raise FieldError(name, value, "it must be a number of seconds from 0")
    return float(value)


def require_choice(name: str, value: Any, choices: tuple[_One, ...]) -> _One:
    """One of the listed texts or numbers, in their own type."""
    for choice in choices:
        if isinstance(value, type(choice)) and isinstance(value, bool) == isinstance(choice, bool) and value == choice:
            return choice
    listed = ", ".join(repr(choice) for choice in choices)
    raise FieldError(name, value, f"it must be one of {listed}")


def require_instance(name: str, value: Any, kinds: tuple[type, ...]) -> Any:
    """An object of one of the classes."""
    if not isinstance(value, kinds):
        raise FieldError(name, value, f"it must be a {' or a '.join(kind.__name__ for kind in kinds)}")
    return value


def require_callable(name: str, value: Any) -> None:
    """Refuse what cannot be called."""
    if not callable(value):
        raise FieldError(name, value, "it must be a function")


def require_callables(name: str, value: Iterable[_Call]) -> tuple[_Call, ...]:
    """Functions."""
    found = tuple(value) if isinstance(value, Iterable) else None
    if found is None or not all(map(callable, found)):
        raise FieldError(name, value, "it must be a list of functions")
    return found


def require_path(name: str, value: Any) -> Path:
    """A path that is not empty: an empty text would mean the current folder."""
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(text, str) or not text or "\0" in text:
        raise FieldError(name, value, "it must be the path of a file or folder")
    return Path(text)


def require_shape(name: str, value: Any) -> tuple[int, ...]:
    """An array shape given as an integer or a tuple of integers >= 0."""
    entries = value if isinstance(value, tuple | list) else (value,)
    if not all(is_integer(entry) and 0 <= entry < 2**63 for entry in entries) or len(entries) > _MOST_DIMENSIONS:
        raise FieldError(name, value, f"it must be an integer >= 0, or a tuple of at most {_MOST_DIMENSIONS} of them")
    return tuple(operator.index(entry) for entry in entries)


def _range(minimum: int | None, maximum: int | None) -> str:
    if minimum is not None and maximum is not None:
        return f" from {_power(minimum)} to {_power(maximum)}"
    if minimum is not None:
        return f" >= {_power(minimum)}"
    return "" if maximum is None else f" <= {_power(maximum)}"


def _power(number: int) -> str:
    """Large limits as powers of two: 2^63 - 1 reads better than its digits."""
    magnitude = abs(number)
    if magnitude > 2**40:
        sign = "-" if number < 0 else ""
        if magnitude & (magnitude - 1) == 0:
            return f"{sign}2^{magnitude.bit_length() - 1}"
        if magnitude & (magnitude + 1) == 0 and not sign:
            return f"2^{magnitude.bit_length()} - 1"
    return str(number)
