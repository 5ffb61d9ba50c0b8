"""A declared grid of runs: conditions x values of settings, over a base configuration."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from pyflossing._support.arguments import FieldError
from pyflossing._support.memory import require_memory
from pyflossing._support.toml import TomlFile
from pyflossing._support.words import shortened, shown
from pyflossing.config.settings import TrainingConfig
from pyflossing.sweeps.axes import Axis, Condition, label
from pyflossing.sweeps.overrides import Overrides, Value
from pyflossing.sweeps.sweep_toml import from_toml, to_toml

_BYTES_PER_JOB = 2000


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
class Sweep(TomlFile):
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
        require_memory(f"{shown(self.n_jobs)} jobs", self._sizes, lambda *sizes: _BYTES_PER_JOB * math.prod(sizes))
        _ = self.jobs  # so that what cannot run is refused here

    @property
    def n_jobs(self) -> int:
        """How many runs there are."""
        return math.prod(self._sizes.values())

    @property
    def _sizes(self) -> dict[str, int]:
        """How many conditions there are, and values of each axis."""
        along_axes = {f"axes.{axis.name}": len(axis.values) for axis in self.axes}
        return {"conditions": max(1, len(self.conditions)), **along_axes}

    @cached_property
    def jobs(self) -> tuple[Job, ...]:
        """All runs, the conditions of one point after the other."""
        overrides = Overrides(self.base)
        found = [
            self._job(overrides, condition, rows)
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
            there = [row[0] for row in axis.values]
            wanted = points.get(axis.name, there)
            _check_among(axis.name, wanted, there)
            kept_values = set(wanted)
            axes.append(replace(axis, values=tuple(row for row in axis.values if row[0] in kept_values)))
        return replace(self, conditions=kept, axes=tuple(axes))

    def to_toml(self) -> str:
        """The sweep as TOML; see docs/sweeps.md."""
        return to_toml(self.base, self.conditions, self.axes)

    @classmethod
    def from_toml(cls, text: str) -> Sweep:
        """A sweep from TOML.

        Raises:
            ValueError: TOML that cannot be read, an unknown key, or what ``Sweep`` refuses.
        """
        return cls(*from_toml(text))

    def _job(self, overrides: Overrides, condition: Condition | None, rows: tuple[tuple[Value, ...], ...]) -> Job:
        settings: dict[str, Value] = dict(condition.settings) if condition else {}
        parts = [condition.name] if condition else []
        for axis, row in zip(self.axes, rows, strict=True):
            settings |= dict(zip(axis.settings, row, strict=True))
            parts.append(f"{axis.name}{label(row[0])}")
        name = "_".join(parts)
        try:
            config = overrides.config(settings)
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


def _check_unique(section: str, names: list[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if name.casefold() in seen:  # some file systems do not tell a from A
            raise FieldError(section, name, f"another one is called {seen[name.casefold()]}")
        seen[name.casefold()] = name


def _check_among(section: str, wanted: Collection[Any], there: list[Any]) -> None:
    known = set(there)
    for one in wanted:
        if not isinstance(one, str | int | float) or one not in known:
            some = shortened(", ".join(str(name) for name in there)) or "none"
            raise FieldError(section, one, f"it must be one of {some}")
