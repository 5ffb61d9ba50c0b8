"""TOML: reading it, writing tables, and what can be kept in a file of it."""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pyflossing._support.files import write_atomically

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

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
        """Read a TOML file.

        Raises:
            OSError: there is no such file, or it cannot be read.
            ValueError: as in ``from_toml``, with the path.
        """
        try:
            return cls.from_toml(Path(path).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


def parsed(text: str) -> dict[str, Any]:
    """The tables of a text in TOML.

    Raises:
        ValueError: it is none.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
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
