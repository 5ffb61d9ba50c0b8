"""A small wrong change of the port: an edit of its source, and the checks of the report that must find it.

An edit names the text that it replaces; if that text is no longer there, once, the test says so and the edit needs a
new place.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from parity.bridge.transcript import digest_of
from parity.checks import cases, golden_files, golden_network, trajectory, yardstick

SMALL = next(size for size in cases.SIZES if size.units < 10)
_KEPT = (
    trajectory.cached_case,
    golden_network.training_case,
    golden_network.flossing_case,
    golden_files.archive,
    yardstick.yardstick,
)
"""Caches of what the checks compute with, and of what Float32 costs another algorithm: none of it is the port's."""


def forget_results() -> None:
    """Clear the caches of what the checks have computed with the port."""
    for module in [module for name, module in sys.modules.items() if name.startswith("parity.checks")]:
        for value in [value for value in vars(module).values() if not any(value is kept for kept in _KEPT)]:
            getattr(value, "cache_clear", lambda: None)()


class RememberingJulia:
    """Passes each call on once: Julia's answers do not depend on what is wrong in Python."""

    def __init__(self, julia: Any) -> None:
        self._julia, self._answers = julia, {}

    def call(self, name: str, *args: Any, timeout: float | None = None) -> Any:
        key = digest_of(name, args)
        if key not in self._answers:
            self._answers[key] = self._julia.call(name, *args, timeout=timeout)
        return self._answers[key]


@dataclass(frozen=True)
class Mutation:
    """Replace ``old`` by ``new`` in a function or method; a check with one of ``found_by`` in its name must fail."""

    owner: Any
    name: str
    old: str
    new: str
    found_by: tuple[str, ...]

    def apply(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put the changed function in the place of the true one, wherever it was imported to."""
        true = inspect.getattr_static(self.owner, self.name)
        function = inspect.unwrap(true.fget if isinstance(true, property) else getattr(true, "__func__", true))
        source = textwrap.dedent(inspect.getsource(function))
        head, body = "", source
        if '"""' in source:  # the docstring stays as it is
            before, text, body = source.split('"""')
            head = f'{before}"""{text}"""'
        assert body.count(self.old) == 1, f"{self.old!r} is {body.count(self.old)} times in {self.name}"
        scope: dict[str, Any] = {}
        exec(compile(head + body.replace(self.old, self.new), self.name, "exec"), function.__globals__, scope)
        monkeypatch.setattr(self.owner, self.name, scope[self.name])
        if isinstance(self.owner, ModuleType):
            _replace_everywhere(monkeypatch, true, scope[self.name])


def _replace_everywhere(monkeypatch: pytest.MonkeyPatch, true: Any, changed: Any) -> None:
    for module in [m for name, m in sys.modules.items() if name.split(".")[0] in ("pyflossing", "parity")]:
        for name, value in list(vars(module).items()):
            if value is true:
                monkeypatch.setattr(module, name, changed)
            elif isinstance(value, dict) and name.isupper():
                for key in [key for key, entry in value.items() if entry is true]:
                    monkeypatch.setitem(value, key, changed)


def live(network: str, *rows: str) -> tuple[str, ...]:
    """Names of checks that compare trajectories of a network with our Julia."""
    return tuple(f"trajectory/live/{network}_float64/{row}" for row in rows)


def mutations_of(owner: Any, name: str, found_by: tuple[str, ...], **edits: tuple[str, str]) -> dict[str, Mutation]:
    """Several edits of one function, by title: the old text and the new."""
    place = name if isinstance(owner, ModuleType) else f"{owner.__name__}.{name}"
    return {
        f"{place}: {title.replace('_', ' ')}": Mutation(owner, name, old, new, found_by)
        for title, (old, new) in edits.items()
    }
