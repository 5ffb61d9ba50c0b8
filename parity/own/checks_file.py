"""Checks that a user has written in a Python file."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from parity.checks.model import Check

_HELP = "a file of checks has a function `checks()` that gives them, or a list of that name"


def checks_of_file(file: str | os.PathLike[str]) -> list[Check]:
    """The checks of a file; what it imports from its own folder is found there.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be run, or has no checks.
    """
    path = Path(file).resolve()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of checks {file}")
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        found = getattr(module, "checks", None)
        made = found() if callable(found) else found
        checks = list(made) if isinstance(made, Iterable) else None
    except Exception as error:  # whatever a user's file runs into is the user's to know
        raise ValueError(f"{path} cannot be run: {_told(error, path)}") from error
    if not checks or not all(isinstance(check, Check) for check in checks):
        raise ValueError(f"{path} gives no checks: {_HELP}")
    names = [check.name for check in checks]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{path} has several checks of the name {twice[0]}")
    return checks


def _told(error: Exception, path: Path) -> str:
    """The error, and the line of the user's file that it came from."""
    lines, trace = [], error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    where = f" (line {lines[-1]})" if lines else ""
    return f"{type(error).__name__}: {error}{where}"
