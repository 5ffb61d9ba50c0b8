"""Settings as plain dictionaries and as TOML."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from pyflossing.config.schedule import AdaptiveSchedule, FlossingSchedule
from pyflossing.config.settings import Adam, Flossing, Seeds, TrainingConfig, Trials
from pyflossing.model.networks import BinaryNetwork, SpikingNetwork, TanhNetwork
from pyflossing.model.surrogates import Surrogate
from pyflossing.model.tasks import DelayedCopy, DelayedXOR
from pyflossing.model.weights import WeightDistribution

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Sections of one class, and sections whose class is told by their key "kind".
_SECTIONS: dict[str, type] = {
    "": TrainingConfig,
    "weights": WeightDistribution,
    "trials": Trials,
    "flossing": Flossing,
    "optimiser": Adam,
    "seeds": Seeds,
    "network.surrogate": Surrogate,
    "network.backward_surrogate": Surrogate,
    "network.jacobian_surrogate": Surrogate,
    "network.spike_surrogate": Surrogate,
}
_KINDS: dict[str, dict[str, type]] = {
    "network": {"tanh": TanhNetwork, "binary": BinaryNetwork, "spiking": SpikingNetwork},
    "task": {"delayed_xor": DelayedXOR, "delayed_copy": DelayedCopy},
    "flossing.schedule": {"periodic": FlossingSchedule, "adaptive": AdaptiveSchedule},
}


def to_dict(config: TrainingConfig) -> dict[str, Any]:
    """All settings as nested dictionaries of strings and numbers."""
    return _to_dict(config, "")


def from_dict(settings: Mapping[str, Any]) -> TrainingConfig:
    """The configuration; what is left out has its default.

    Raises:
        ValueError: an unknown key or kind, or a value out of range, naming it.
    """
    config = _from_dict(settings, "")
    assert isinstance(config, TrainingConfig)
    return config


def to_toml(config: TrainingConfig) -> str:
    """See :meth:`TrainingConfig.to_toml`."""
    lines: list[str] = []
    write_table(to_dict(config), "", lines)
    return "\n".join(lines) + "\n"


def section_to_toml(section: Any, path: str) -> list[str]:
    """The lines of one section, such as a network, and of those within it; ``path`` is its name."""
    lines: list[str] = []
    write_table(_to_dict(section, path), path, lines)
    return lines[1:]


def from_toml(text: str) -> TrainingConfig:
    """See :meth:`TrainingConfig.from_toml`."""
    try:
        settings = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"this is not TOML: {error}") from error
    return from_dict(settings)


def _to_dict(section: Any, path: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for kind, cls in _KINDS.get(path, {}).items():
        if type(section) is cls:
            result["kind"] = kind
    if path in _KINDS and not result:
        raise ValueError(f"{path} = {section!r} is not allowed: a {type(section).__name__} cannot be written to a file")
    for entry in fields(section):
        value = getattr(section, entry.name)
        if value is None:  # left out, which is its default
            continue
        result[entry.name] = _to_dict(value, _join(path, entry.name)) if is_dataclass(value) else value
    return result


def _from_dict(settings: Any, path: str) -> Any:
    if not isinstance(settings, Mapping):
        raise ValueError(f"{path} = {settings!r} is not allowed: it must be a table")
    given = dict(settings)
    cls = _SECTIONS.get(path) or _class_of_kind(given, path)
    names = [entry.name for entry in fields(cls)]
    for name, value in given.items():
        place = _join(path, name)
        if name not in names:
            raise ValueError(f"{place} is not a setting; {path or 'the top level'} has {', '.join(names) or 'none'}")
        if place in _SECTIONS or place in _KINDS:
            given[name] = _from_dict(value, place)
    try:
        return cls(**given)
    except TypeError as error:
        raise ValueError(f"{path or 'settings'}: {error}") from None
    except ValueError as error:
        # weights, tasks and networks name their fields without the section
        message = str(error)
        bare = path and not message.startswith(f"{path.split('.', maxsplit=1)[0]}.")
        raise ValueError(f"{path}.{message}" if bare else message) from None


def _class_of_kind(given: dict[str, Any], path: str) -> type:
    kinds = _KINDS[path]
    kind = given.pop("kind", None)
    if not isinstance(kind, str) or kind not in kinds:
        raise ValueError(f"{path}.kind = {kind!r} is not allowed: it must be one of {', '.join(kinds)}")
    return kinds[kind]


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def write_table(table: Mapping[str, Any], path: str, lines: list[str]) -> None:
    """Append a table of strings, numbers and tables, under its dotted name, to the lines of a TOML file."""
    if path:
        lines += ["", f"[{path}]"]
    lines += [f"{name} = {toml_value(value)}" for name, value in table.items() if not isinstance(value, Mapping)]
    for name, value in table.items():
        if isinstance(value, Mapping):
            write_table(value, _join(path, name), lines)


def toml_value(value: str | float) -> str:
    """One value as TOML."""
    # JSON's strings are TOML's, and Python's shortest float is exact and legal in TOML ("inf" included)
    return json.dumps(value) if isinstance(value, str) else repr(value)
