"""Sweeps as TOML; the format is described in docs/sweeps.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pyflossing._support.arguments import FieldError
from pyflossing._support.toml import parsed, table_lines, toml_value
from pyflossing._support.words import shortened
from pyflossing.config.settings import TrainingConfig
from pyflossing.sweeps.axes import Axis, Condition
from pyflossing.sweeps.overrides import Value, flatten

_TABLES = ("base", "conditions", "axes")
_LINKED = ("settings", "values")


def to_toml(base: TrainingConfig, conditions: Sequence[Condition], axes: Sequence[Axis]) -> str:
    """See :meth:`Sweep.to_toml`."""
    lines = table_lines(base.to_dict(), "base")
    for condition in conditions:
        lines += ["", f"[conditions.{condition.name}]"]
        lines += [f"{json.dumps(name)} = {toml_value(value)}" for name, value in condition.settings.items()]
    if axes:
        lines += ["", "[axes]", *(_axis_line(axis) for axis in axes)]
    return "\n".join(lines[1:]) + "\n"


def from_toml(text: str) -> tuple[TrainingConfig, tuple[Condition, ...], tuple[Axis, ...]]:
    """Base, conditions and axes; see :meth:`Sweep.from_toml`."""
    tables = parsed(text)
    for name, value in tables.items():
        if name not in _TABLES:
            raise ValueError(f"{shortened(name)} is not a table of a sweep; it has {', '.join(_TABLES)}")
        _require_table(name, value)
    try:
        base = TrainingConfig.from_dict(tables.get("base", {}))
    except ValueError as error:
        raise ValueError(f"base: {error}") from error
    conditions = []
    for name, table in tables.get("conditions", {}).items():
        conditions.append(Condition(name, flatten(_require_table(f"conditions.{name}", table))))
    return base, tuple(conditions), tuple(_axes(tables.get("axes", {})))


def _axes(table: Mapping[str, Any], path: str = "") -> list[Axis]:
    found = []
    for name, value in table.items():
        place = f"{path}.{name}" if path else name
        if isinstance(value, list):
            found.append(Axis.of(place, _require_scalars(f"axes.{place}", value)))
        elif isinstance(value, Mapping) and any(key in value for key in _LINKED):
            found.append(_linked(place, value))
        elif isinstance(value, Mapping) and value:
            found += _axes(value, place)  # an unquoted dotted name
        else:
            raise FieldError(f"axes.{place}", value, "it must be a list of values, or a table of settings and values")
    return found


def _linked(name: str, table: Mapping[str, Any]) -> Axis:
    place = f"axes.{name}"
    for key in table:
        if key not in _LINKED:
            raise ValueError(f"{place}.{shortened(key)} is not a key of an axis; it has {', '.join(_LINKED)}")
    for key in _LINKED:
        if not isinstance(table.get(key), list):
            raise FieldError(f"{place}.{key}", table.get(key), "it must be a list")
    settings = tuple(table["settings"])
    rows = [value if isinstance(value, list) else [value] * len(settings) for value in table["values"]]
    return Axis(name, settings, tuple(tuple(row) for row in rows))


def _axis_line(axis: Axis) -> str:
    if axis == Axis.of(axis.settings[0], (row[0] for row in axis.values)):
        return f"{json.dumps(axis.settings[0])} = {_list(row[0] for row in axis.values)}"
    rows = (toml_value(row[0]) if _all_same(row) else _list(row) for row in axis.values)
    return f"{axis.name} = {{ settings = {_list(axis.settings)}, values = [{', '.join(rows)}] }}"


def _all_same(row: tuple[Value, ...]) -> bool:
    # 1 and 1.0 are equal, but not the same in a file
    return len({toml_value(value) for value in row}) == 1


def _list(values: Any) -> str:
    return f"[{', '.join(toml_value(value) for value in values)}]"


def _require_table(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise FieldError(name, value, "it must be a table")
    return value


def _require_scalars(name: str, values: list[Any]) -> list[Any]:
    for value in values:
        if isinstance(value, (list, Mapping)):
            raise FieldError(name, value, "values of one setting must be strings or numbers")
    return values
