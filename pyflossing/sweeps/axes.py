"""Conditions and axes: what a grid of runs is made of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pyflossing._support.arguments import FieldError
from pyflossing.sweeps.overrides import Settings, Value, check_setting, check_value

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_LABEL = re.compile(r"[A-Za-z0-9_.+-]+")


@dataclass(frozen=True)
class Condition:
    """One way to run every point of the grid.

    Args:
        name: of letters, digits, "_" and "-"; job names start with it.
        settings: by dotted name; none is the base itself.

    Raises:
        ValueError: a name or a value that is not allowed.
    """

    name: str
    settings: Settings = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_name("conditions", self.name)
        place = f"conditions.{self.name}"
        for setting, value in self.settings.items():
            check_value(f"{place}.{check_setting(place, setting)}", value)


@dataclass(frozen=True)
class Axis:
    """One direction of the grid.

    Args:
        name: of letters, digits, "_" and "-"; it stands in job names before the value.
        settings: dotted names of what changes along it: one, or several at once.
        values: for each point one value for each of the settings; the first is the point's name, so it must be another
            at every point.

    Raises:
        ValueError: no settings or values, rows of another length, a value that is not allowed or there twice.
    """

    name: str
    settings: tuple[str, ...]
    values: tuple[tuple[Value, ...], ...]

    def __post_init__(self) -> None:
        _check_name("axes", self.name)
        place = f"axes.{self.name}"
        for setting in self.settings:
            check_setting(f"{place}.settings", setting)
        if not self.settings or len(set(self.settings)) < len(self.settings):
            raise FieldError(f"{place}.settings", list(self.settings), "it must name settings, each once")
        if not self.values:
            raise FieldError(f"{place}.values", [], "it must have at least one value")
        for row in self.values:
            if len(row) != len(self.settings):
                raise FieldError(
                    f"{place}.values", list(row), f"a row must have {len(self.settings)} values, one for each setting"
                )
            for value in row:
                check_value(f"{place}.values", value)
            if not _LABEL.fullmatch(label(row[0])):
                raise FieldError(f"{place}.values", row[0], "a job's name is made of it: letters, digits, _ . + and -")
        seen: set[str] = set()
        for row in self.values:
            if label(row[0]) in seen:
                raise FieldError(f"{place}.values", row[0], "the first setting's values must differ, they are in names")
            seen.add(label(row[0]))

    @classmethod
    def of(cls, setting: str, values: Iterable[Value], name: str | None = None) -> Axis:
        """One setting's values; the axis is called by the setting's last part unless a name is given."""
        return cls(name or setting.rsplit(".", maxsplit=1)[-1], (setting,), tuple((value,) for value in values))

    @classmethod
    def together(cls, name: str, settings: Iterable[str], values: Iterable[Value]) -> Axis:
        """Several settings that all get the same value, such as the seeds of a realization."""
        listed = tuple(settings)
        return cls(name, listed, tuple((value,) * len(listed) for value in values))


def label(value: Value) -> str:
    """A value as it stands in a job's name."""
    return value if isinstance(value, str) else repr(value)


def _check_name(section: str, name: Any) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise FieldError(section, name, "a name must be of letters, digits, _ and -")
