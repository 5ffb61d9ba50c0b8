"""TOML: reading it, writing tables, and what can be kept in a file of it."""

from __future__ import annotations

import json
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pyflossing._support.files import read_text, write_atomically
from pyflossing._support.words import plain

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_MOST_BYTES = 2**20
_MOST_PARTS = 32
# a string or a comment, so that what it holds is not taken for a key
_OTHER = re.compile(
    r'"""(?:[^\\]|\\.)*?(?:"""|\Z)|' + r"'''.*?(?:'''|\Z)|" + r'"(?:[^"\\\n]|\\.)*"?|' + r"'[^'\n]*'?|#[^\n]*",
    re.DOTALL,
)
_DOTTED = re.compile(r"[\w. \t-]+")

_Kept = TypeVar("_Kept", bound="TomlFile")


class TomlFile(ABC):
    """What has a form in TOML, and can be kept in a file."""

    @abstractmethod
    def to_toml(self) -> str:
        """As TOML."""

    @classmethod
    @abstractmethod
    def from_toml(cls: type[_Kept], text: str) -> _Kept:
        """From TOML."""

    def save(self, path: str | Path) -> None:
        """Write a TOML file, atomically."""
        write_atomically(Path(path), self.to_toml().encode())

    @classmethod
    def load(cls: type[_Kept], path: str | Path) -> _Kept:
        """Read a TOML file, in UTF-8 or in UTF-16 with a byte-order mark.

        Raises:
            OSError: there is no such file, or it cannot be read.
            ValueError: as in ``from_toml``, with the path; or it is no text, or no regular file.
        """
        text = read_text(path, _MOST_BYTES)
        try:
            return cls.from_toml(text)
        except ValueError as error:
            raise ValueError(f"{plain(str(path))}: {error}") from error


def parsed(text: str) -> dict[str, Any]:
    """The tables of a text in TOML.

    Raises:
        ValueError: it is none, or nested too deep.
    """
    # the time that the parser takes for a key grows with the square of its parts
    for found in _DOTTED.finditer(_OTHER.sub("s", text)):
        if found.group().count(".") > _MOST_PARTS:
            raise ValueError(f"a key has more than {_MOST_PARTS} parts")
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except RecursionError:
        raise ValueError("this TOML is nested too deeply") from None
    except ValueError as error:  # besides its own kind, numbers with too many digits and days that no month has
        raise ValueError(f"this is not TOML: {error}") from error


def table_lines(table: Mapping[str, Any], path: str = "") -> list[str]:
    """A table of strings, numbers and tables as lines of TOML, under its dotted name; nothing but tables first."""
    lines = ["", f"[{path}]"] if path else []
    lines += [f"{name} = {toml_value(value)}" for name, value in table.items() if not isinstance(value, Mapping)]
    for name, value in table.items():
        if isinstance(value, Mapping):
            lines += table_lines(value, f"{path}.{name}" if path else name)
    return lines


def toml_value(value: str | float) -> str:
    """One value as TOML."""
    # JSON's strings are TOML's, and Python's shortest float is exact and legal in TOML ("inf" included)
    return json.dumps(value) if isinstance(value, str) else repr(value)
