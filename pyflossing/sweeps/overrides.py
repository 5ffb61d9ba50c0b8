"""Dotted settings ("task.delay") over a configuration: what conditions and axes are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyflossing._support.arguments import FieldError
from pyflossing.config.settings import TrainingConfig
from pyflossing.config.tables import from_table

Value = str | int | float
Settings = Mapping[str, Value]
"""Values by dotted name."""


def flatten(table: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Nested tables as dotted names; {"task": {"delay": 5}} and {"task.delay": 5} are the same.

    Raises:
        ValueError: a setting that is given twice, naming it.
    """
    found: dict[str, Any] = {}
    for name, value in table.items():
        place = f"{path}.{name}" if path else name
        for inner, one in (flatten(value, place) if isinstance(value, Mapping) else {place: value}).items():
            if inner in found:
                raise FieldError(inner, one, "it must be given once")
            found[inner] = one
    return found


def check_value(name: str, value: Any) -> Value:
    """The value, if it can stand in a TOML file and in a job's name: a string or a number that is not NaN."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or value != value:  # noqa: PLR0124 - NaN
        raise FieldError(name, value, "it must be a string or a number")
    return value


def check_setting(name: str, setting: Any) -> str:
    """The dotted name of a setting, if it is one."""
    if not isinstance(setting, str) or not all(setting.split(".")):
        raise FieldError(name, setting, "it must be the dotted name of a setting, such as 'task.delay'")
    return setting


class Overrides:
    """Configurations with some settings changed.

    Args:
        base: what is changed.
    """

    def __init__(self, base: TrainingConfig) -> None:
        self._base, self._table = base, base.to_dict()

    def config(self, settings: Settings) -> TrainingConfig:
        """The base with the settings.

        A setting ``kind`` ("network.kind") exchanges its whole section: what the settings do not name has the new
        kind's defaults, and nothing of the base's section is left.

        Raises:
            ValueError: an unknown setting, or a value out of range, naming it.
        """
        changes = _nested(settings)
        if any(name.rpartition(".")[2] == "kind" for name in settings):
            return TrainingConfig.from_dict(_merged(self._table, changes))
        return from_table(changes, self._base)  # the same, and only what changes is made anew


def _nested(settings: Settings) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in settings.items():
        node, parts = tree, name.split(".")
        for part in parts[:-1]:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise FieldError(name, value, "the same settings give a value to the section that holds it")
        if isinstance(node.get(parts[-1]), dict):
            raise FieldError(name, value, "the same settings give values to settings within it")
        node[parts[-1]] = value
    return tree


def _merged(base: Any, changes: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(base, Mapping) or "kind" in changes:
        return dict(changes)
    inner = {
        name: _merged(base.get(name), value) if isinstance(value, dict) else value for name, value in changes.items()
    }
    return {**base, **inner}
