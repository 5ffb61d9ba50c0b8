"""A Julia that is in this process already, through juliacall."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from parity.bridge import wire
from parity.bridge.connection import Closing
from parity.bridge.juliacall_worker import answer
from parity.obtain.model import to_stderr
from parity.sources import reference_folder


class InProcessConnection(Closing):
    """Calls functions of `module_name` in `module_file` through `main`, which is `juliacall.Main`.

    A call cannot be timed out, a crash of Julia is the crash of this process, and an interrupt may end either.
    """

    def __init__(self, main: Any, module_file: Path, module_name: str) -> None:
        for warning in _warnings():
            to_stderr(f"parity: {warning}")
        main.include(str(reference_folder() / "bridge" / "Bridge.jl"))
        main.include(str(module_file))
        self._bridge, self._target = main.Bridge, getattr(main, module_name)
        facts = answer(self._bridge, self._target, "bridge_provenance", []).result()
        assert isinstance(facts, dict)
        self._facts = {"connection": "juliacall, in this process"} | {name: str(v) for name, v in facts.items()}

    def call(self, name: str, *args: wire.Argument, timeout: float | None = None) -> wire.Result:
        """Call a function; `timeout` has no effect. See `JuliaConnection.call`."""
        values = [wire.plain(argument, f"argument {i} of {name}") for i, argument in enumerate(args, 1)]
        reply: wire.Reply = answer(self._bridge, self._target, name, list(values))
        return reply.result()

    def provenance(self) -> dict[str, str]:
        """What answers; see `JuliaConnection.provenance`."""
        return dict(self._facts)

    def close(self) -> None:
        """The Julia belongs to whoever opened it, and goes on."""


def _warnings() -> list[str]:
    found = []
    if os.environ.get("PYTHON_JULIACALL_HANDLE_SIGNALS") != "yes":
        found.append(
            "without PYTHON_JULIACALL_HANDLE_SIGNALS=yes before juliacall is imported, a signal that Julia expects, "
            "as of its garbage collection with threads, ends this process"
        )
    modules = list(sys.modules)
    if "torch" in modules and "juliacall" in modules and modules.index("torch") < modules.index("juliacall"):
        found.append(
            "torch was imported before juliacall, so that Julia may have got libraries of another version: import "
            "juliacall first"
        )
    return found
