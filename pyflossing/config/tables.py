"""Dataclasses as nested tables of strings and numbers, and back.

Nothing here knows a setting: fields, their types and their defaults are all that it works from. A field whose type is
one dataclass is a table; one whose type is a union of dataclasses is a table with a key ``kind``, which is an attribute
of each of them. (A field whose type is wider says by ``Annotated[..., union]`` what a table can hold.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

from pyflossing._support.arguments import UNWRITTEN, FieldError
from pyflossing._support.words import shortened

_Section = TypeVar("_Section")


def to_table(section: Any, path: str = "") -> dict[str, Any]:
    """A dataclass as a table; what is None is left out, and what its field's metadata call ``UNWRITTEN``.

    Args:
        section: an instance.
        path: its dotted name, for the message.

    Raises:
        ValueError: a field of several kinds has something else in it.
    """
    cls: Any = type(section)
    table: dict[str, Any] = {}
    for entry in fields(section):
        value, classes = getattr(section, entry.name), _classes(cls)[entry.name]
        if value is None or value == entry.metadata.get(UNWRITTEN):
            continue
        place = _join(path, entry.name)
        if len(classes) > 1 and type(value) not in classes:
            raise FieldError(place, value, f"a {type(value).__name__} cannot be written to a file")
        kind = {"kind": value.kind} if len(classes) > 1 else {}
        table[entry.name] = kind | to_table(value, place) if classes else value
    return table


def from_table(table: Any, default: _Section, path: str = "") -> _Section:
    """``default`` with what the table gives in the place of its own.

    A table of another kind than the default's begins with that kind's own defaults.

    Args:
        table: nested mappings of strings and numbers.
        default: an instance; what the table leaves out is as it is here, the kind too.
        path: its dotted name, for messages.

    Raises:
        ValueError: an unknown key or kind, or a value out of range, naming it.
    """
    made: _Section = _made(type(default), _mapping(table, path), default, path)
    return made


def _made(cls: Any, given: dict[str, Any], default: Any, path: str) -> Any:
    by_name = {entry.name: entry for entry in fields(cls)}
    for name, value in given.items():
        place = _join(path, name)
        if name not in by_name:
            owner = f"{path} of kind {cls.kind}" if hasattr(cls, "kind") else path or "the top level"
            raise ValueError(f"{shortened(str(place))} is not a setting; {owner} has {', '.join(by_name) or 'none'}")
        if classes := _classes(cls)[name]:
            present = _default_of(by_name[name]) if default is None else getattr(default, name)
            given[name] = _section(classes, value, present, place)
    try:
        return cls(**given) if default is None else replace(default, **given)
    except TypeError as error:
        raise ValueError(f"{path or 'settings'}: {error}") from None
    except FieldError as error:
        # weights, tasks and networks name their fields without the section
        named = not path or error.field.startswith(f"{path.split('.', maxsplit=1)[0]}.")
        raise FieldError(error.field if named else _join(path, error.field), error.value, error.allowed) from None


def _section(classes: tuple[Any, ...], table: Any, present: Any, path: str) -> Any:
    """The dataclass of a field, from its table and what would be there without."""
    given = _mapping(table, path)
    cls = classes[0]
    if len(classes) > 1:
        kinds = {one.kind: one for one in classes}
        kind = given.pop("kind", getattr(present, "kind", None))
        if not isinstance(kind, str) or kind not in kinds:
            raise FieldError(f"{path}.kind", kind, f"it must be one of {', '.join(kinds)}")
        cls = kinds[kind]
    return _made(cls, given, present if type(present) is cls else None, path)


@cache
def _classes(owner: Any) -> dict[str, tuple[type, ...]]:
    """The dataclasses that each field of a dataclass can hold, none where it holds a string or a number."""
    found = {}
    for name, hint in get_type_hints(owner, include_extras=True).items():
        held = getattr(hint, "__metadata__", (hint,))[0]
        found[name] = tuple(one for one in (get_args(held) or (held,)) if isinstance(one, type) and is_dataclass(one))
    return found


def _default_of(entry: Field[Any]) -> Any:
    if entry.default_factory is not MISSING:
        return entry.default_factory()
    return None if entry.default is MISSING else entry.default


def _mapping(table: Any, path: str) -> dict[str, Any]:
    if not isinstance(table, Mapping):
        raise FieldError(path or "settings", table, "it must be a table")
    return dict(table)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
