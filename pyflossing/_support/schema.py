"""What a file must hold: names, types, shapes and ranges, declared once for each kind of file.

A declaration is made of the classes below. Each refuses what does not fit by its name, as settings are refused.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pyflossing._support.arguments import FieldError, is_integer, is_real
from pyflossing._support.words import shortened

LARGEST = sys.float_info.max


class Declaration(Protocol):
    """Of one value."""

    def check(self, name: str, value: Any) -> None:
        """Refuse a value that does not fit.

        Raises:
            ValueError: naming ``name``.
        """


@dataclass(frozen=True)
class Number:
    """A number within limits, which are allowed themselves.

    Args:
        kind: int or float.
        least, most: the limits.
    """

    kind: type
    least: float = -LARGEST
    most: float = LARGEST

    def check(self, name: str, value: Any) -> None:
        """See ``Declaration``."""
        fits = is_integer(value) if self.kind is int else is_real(value)
        if not (fits and self.least <= value <= self.most):
            what = "an integer" if self.kind is int else "a number"
            raise FieldError(name, value, f"it must be {what} from {self.least:g} to {self.most:g}")


@dataclass(frozen=True)
class Text:
    """A text of at most so many characters."""

    longest: int = 1000

    def check(self, name: str, value: Any) -> None:
        """See ``Declaration``."""
        if not isinstance(value, str) or len(value) > self.longest:
            raise FieldError(name, value, f"it must be a text of at most {self.longest} characters")


@dataclass(frozen=True)
class Choice:
    """One of the listed values."""

    of: tuple[Any, ...]

    def check(self, name: str, value: Any) -> None:
        """See ``Declaration``."""
        if not any(type(value) is type(one) and value == one for one in self.of):
            raise FieldError(name, value, f"it must be one of {', '.join(map(repr, self.of))}")


@dataclass(frozen=True)
class OrNull:
    """A value that may be missing."""

    of: Declaration

    def check(self, name: str, value: Any) -> None:
        """See ``Declaration``."""
        if value is not None:
            self.of.check(name, value)


@dataclass(frozen=True)
class Items:
    """A list.

    Args:
        of: each entry.
        length: how many; any number by default.
    """

    of: Declaration
    length: int | None = None

    def check(self, name: str, value: Any) -> None:
        """See ``Declaration``."""
        if not isinstance(value, list) or (self.length is not None and len(value) != self.length):
            count = "" if self.length is None else f" of {self.length} entries"
            raise FieldError(name, value, f"it must be a list{count}")
        for i, entry in enumerate(value):
            self.of.check(f"{name}[{i}]", entry)


@dataclass(frozen=True)
class Table:
    """Values by name, exactly these names; those of "the header" and the like are called by their own names alone."""

    of: Mapping[str, Declaration]

    def check(self, name: str, value: Any) -> None:
        """See ``Declaration``."""
        if not isinstance(value, Mapping):
            raise FieldError(name, value, "it must be a table")
        require_names(name, value.keys(), self.of.keys())
        for key, declared in self.of.items():
            declared.check(key if name.startswith("the ") else f"{name}.{key}", value[key])


@dataclass(frozen=True)
class Named:
    """Values of one kind under names of any kind.

    Args:
        of: each value.
        most: how many.
    """

    of: Declaration
    most: int

    def check(self, name: str, value: Any) -> None:
        """See ``Declaration``."""
        if not isinstance(value, Mapping) or len(value) > self.most:
            raise FieldError(name, value, f"it must be a table of at most {self.most} entries")
        for key, entry in value.items():
            Text(100).check(f"{name}, a name", key)
            self.of.check(f"{name}.{shortened(key)}", entry)


@dataclass(frozen=True)
class Read:
    """What a function can read that raises ValueErrors, such as the settings of a run."""

    by: Callable[[Any], object]

    def check(self, name: str, value: Any) -> None:
        """See ``Declaration``."""
        try:
            self.by(value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None


@dataclass(frozen=True)
class Array:
    """Numbers within limits, which are allowed themselves.

    Args:
        dtype: their type.
        shape: a length that is a text is the same wherever that text stands.
        least, most: the limits.
        any_number: whether there are no limits, and what is not a number is allowed too.
    """

    dtype: str
    shape: tuple[int | str, ...]
    least: float = -LARGEST
    most: float = LARGEST
    any_number: bool = False

    def check(self, name: str, value: Any) -> None:
        """See ``Declaration``."""
        if not isinstance(value, np.ndarray) or value.dtype != self.dtype:
            raise FieldError(name, value, f"it must be an array of {self.dtype}")
        if self.any_number:
            return
        low, high = (value.min().item(), value.max().item()) if value.size else (self.least, self.most)
        if not (self.least <= low and high <= self.most):  # so a NaN is refused
            raise FieldError(
                name, high if self.least <= low else low, f"its numbers must lie from {self.least:g} to {self.most:g}"
            )


def require_names(name: str, found: Any, wanted: Any) -> None:
    """Refuse a name too many or too few.

    Raises:
        ValueError: naming it.
    """
    unknown, missing = sorted(found - wanted), sorted(wanted - found)
    if unknown:
        raise ValueError(f"{name} has unknown entries: {shortened(', '.join(map(str, unknown)))}")
    if missing:
        raise ValueError(f"{name} lacks entries: {shortened(', '.join(missing))}")
