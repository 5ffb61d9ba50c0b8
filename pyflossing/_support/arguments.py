"""Checks of arguments: every refusal is a ValueError that names parameter, value and what is allowed."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Any

_LARGEST_FLOAT32 = float.fromhex("0x1.fffffep127")


class FieldError(ValueError):
    """A refused setting.

    Attributes:
        field: its name, with dots for a setting within a section.
        value: what was given.
        allowed: what would be, as a clause.
    """

    def __init__(self, field: str, value: Any, allowed: str) -> None:
        self.field, self.value, self.allowed = field, value, allowed
        super().__init__(f"{field} = {value!r} is not allowed: {allowed}")


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


def require_positive_or_infinite(name: str, value: Any) -> float:
    """A number above zero that is finite in Float32, or infinity, as a Python float."""
    if value == math.inf:
        return math.inf
    number = require_float32(name, value)
    if number <= 0:
        raise FieldError(name, value, "it must be > 0, or infinity")
    return number


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool) or type(value).__name__ == "bool_"


def require_integer(name: str, value: Any, minimum: int | None = None, maximum: int | None = None) -> int:
    """An integer (Python's or numpy's, no boolean) within the limits, as a Python int."""
    allowed = "an integer" + _range(minimum, maximum)
    try:
        if _is_boolean(value):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise FieldError(name, value, f"it must be {allowed}") from None
    if (minimum is not None and number < minimum) or (maximum is not None and number > maximum):
        raise FieldError(name, number, f"it must be {allowed}")
    return number


def require_finite(name: str, value: Any) -> float:
    """A finite real number, as a Python float."""
    try:
        if _is_boolean(value) or isinstance(value, (str, bytes)):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise FieldError(name, value, "it must be a finite real number") from None
    if not math.isfinite(number):
        raise FieldError(name, value, "it must be a finite real number")
    return number


def require_float32(name: str, value: Any) -> float:
    """A real number that is finite in Float32, as a Python float."""
    number = require_finite(name, value)
    if abs(number) > _LARGEST_FLOAT32:
        raise FieldError(name, value, "it must be a real number that is finite in Float32")
    return number


def require_choice(name: str, value: Any, choices: tuple[Any, ...]) -> Any:
    """One of the listed values."""
    if value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise FieldError(name, value, f"it must be one of {listed}")
    return value


def require_shape(name: str, value: Any) -> tuple[int, ...]:
    """An array shape given as an integer or a tuple of integers >= 0."""
    entries = value if isinstance(value, (tuple, list)) else (value,)
    return tuple(require_integer(name, entry, minimum=0) for entry in entries)


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
