"""A declared grid of runs: conditions x values of settings, over a base configuration."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pyflossing._support.arguments import FieldError
from pyflossing.config.settings import TrainingConfig
from pyflossing.sweeps.overrides import Settings, Value, check_setting, check_value, override

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
            if not _LABEL.fullmatch(_label(row[0])):
                raise FieldError(f"{place}.values", row[0], "a job's name is made of it: letters, digits, _ . + and -")
        for row, others in ((row, self.values[:i]) for i, row in enumerate(self.values)):
            if any(_label(row[0]) == _label(other[0]) for other in others):
                raise FieldError(f"{place}.values", row[0], "the first setting's values must differ, they are in names")

    @classmethod
    def of(cls, setting: str, values: Iterable[Value], name: str | None = None) -> Axis:
        """One setting's values; the axis is called by the setting's last part unless a name is given."""
        return cls(name or setting.rsplit(".", maxsplit=1)[-1], (setting,), tuple((value,) for value in values))

    @classmethod
    def together(cls, name: str, settings: Iterable[str], values: Iterable[Value]) -> Axis:
        """Several settings that all get the same value, such as the seeds of a realization."""
        listed = tuple(settings)
        return cls(name, listed, tuple((value,) * len(listed) for value in values))


@dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Attributes:
        name: its own, and that of its folder, such as "flossing_seed1_delay5".
        condition: name of the condition, None in a sweep without.
        at: its place, by axis: the first setting's value.
        config: all settings.
    """

    name: str
    condition: str | None
    at: Mapping[str, Value]
    config: TrainingConfig


@dataclass(frozen=True)
class Sweep:
    """A grid of runs: every condition at every point of the axes.

    Args:
        base: what is not changed by conditions and axes.
        conditions: in the order in which they run at each point; none is allowed if there are axes.
        axes: the first changes slowest: with the seeds first, a sweep that was cut short has whole realizations.

    Raises:
        ValueError: an unknown setting or a value out of range, naming the job; names or settings that are there twice;
            a setting that both a condition and an axis give, or two axes; two jobs with the same settings; no jobs.
    """

    base: TrainingConfig = field(default_factory=TrainingConfig)
    conditions: tuple[Condition, ...] = ()
    axes: tuple[Axis, ...] = ()

    def __post_init__(self) -> None:
        if not self.conditions and not self.axes:
            raise ValueError("a sweep needs at least one condition or one axis")
        _check_unique("conditions", [condition.name for condition in self.conditions])
        _check_unique("axes", [axis.name for axis in self.axes])
        self._check_givers()
        _ = self.jobs  # so that what cannot run is refused here

    @cached_property
    def jobs(self) -> tuple[Job, ...]:
        """All runs, the conditions of one point after the other."""
        found = [
            self._job(condition, rows)
            for rows in itertools.product(*(axis.values for axis in self.axes))
            for condition in (self.conditions or (None,))
        ]
        _check_unique("jobs", [job.name for job in found])
        seen: dict[TrainingConfig, str] = {}
        for job in found:
            if job.config in seen:
                raise ValueError(f"the jobs {seen[job.config]} and {job.name} have the same settings")
            seen[job.config] = job.name
        return tuple(found)

    def select(self, conditions: Collection[str] | None = None, **points: Collection[Value]) -> Sweep:
        """A part of the sweep, in its order.

        Args:
            conditions: names of those to keep; all by default.
            points: by axis the first settings' values to keep.

        Raises:
            ValueError: an unknown condition, axis or value, naming what there is.
        """
        kept = self.conditions
        if conditions is not None:
            _check_among("conditions", conditions, [condition.name for condition in self.conditions])
            kept = tuple(condition for condition in self.conditions if condition.name in conditions)
            if not kept:
                raise FieldError("conditions", [], "at least one must be named")
        _check_among("axes", points, [axis.name for axis in self.axes])
        axes = []
        for axis in self.axes:
            wanted = points.get(axis.name, [row[0] for row in axis.values])
            _check_among(axis.name, wanted, [row[0] for row in axis.values])
            axes.append(replace(axis, values=tuple(row for row in axis.values if row[0] in wanted)))
        return replace(self, conditions=kept, axes=tuple(axes))

    def to_toml(self) -> str:
        """The sweep as TOML; see docs/sweeps.md."""
        from pyflossing.sweeps.sweep_toml import to_toml  # noqa: PLC0415 - it needs this class

        return to_toml(self)

    @classmethod
    def from_toml(cls, text: str) -> Sweep:
        """A sweep from TOML.

        Raises:
            ValueError: TOML that cannot be read, an unknown key, or what ``Sweep`` refuses.
        """
        from pyflossing.sweeps.sweep_toml import from_toml  # noqa: PLC0415

        return from_toml(text)

    def save(self, path: str | Path) -> None:
        """Write the sweep to a TOML file, atomically."""
        from pyflossing._support.files import write_atomically  # noqa: PLC0415

        write_atomically(Path(path), self.to_toml().encode())

    @classmethod
    def load(cls, path: str | Path) -> Sweep:
        """Read a sweep from a TOML file.

        Raises:
            OSError: there is no such file, or it cannot be read.
            ValueError: as in ``from_toml``, with the path.
        """
        try:
            return cls.from_toml(Path(path).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    def _job(self, condition: Condition | None, rows: tuple[tuple[Value, ...], ...]) -> Job:
        settings: dict[str, Value] = dict(condition.settings) if condition else {}
        parts = [condition.name] if condition else []
        for axis, row in zip(self.axes, rows, strict=True):
            settings |= dict(zip(axis.settings, row, strict=True))
            parts.append(f"{axis.name}{_label(row[0])}")
        name = "_".join(parts)
        try:
            config = override(self.base, settings)
        except ValueError as error:
            raise ValueError(f"job {name}: {error}") from error
        at = {axis.name: row[0] for axis, row in zip(self.axes, rows, strict=True)}
        return Job(name, condition.name if condition else None, at, config)

    def _check_givers(self) -> None:
        by_setting: dict[str, str] = {}
        for axis in self.axes:
            for setting in axis.settings:
                if setting in by_setting:
                    raise FieldError(f"axes.{axis.name}", setting, f"the axis {by_setting[setting]} gives it already")
                by_setting[setting] = axis.name
        for condition in self.conditions:
            for setting in condition.settings:
                if setting in by_setting:
                    raise FieldError(
                        f"conditions.{condition.name}", setting, f"the axis {by_setting[setting]} gives it already"
                    )


def _label(value: Value) -> str:
    return value if isinstance(value, str) else repr(value)


def _check_name(section: str, name: Any) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise FieldError(section, name, "a name must be of letters, digits, _ and -")


def _check_unique(section: str, names: list[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if name.casefold() in seen:  # some file systems do not tell a from A
            raise FieldError(section, name, f"another one is called {seen[name.casefold()]}")
        seen[name.casefold()] = name


def _check_among(section: str, wanted: Collection[Any], there: list[Any]) -> None:
    for one in wanted:
        if one not in there:
            raise FieldError(section, one, f"it must be one of {', '.join(str(name) for name in there) or 'none'}")
