"""What a search for Julia yields."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Version = tuple[int, int, int]
Say = Callable[[str], None]

#: The oldest Julia that runs the code that is compared.
OLDEST: Version = (1, 5, 0)
#: The oldest Julia that the packages behind juliacall accept.
OLDEST_FOR_JULIACALL: Version = (1, 10, 3)


@dataclass(frozen=True)
class JuliaInstallation:
    """A Julia that has answered a version probe.

    ``environment`` holds the variables to set on top of the current ones, with their complete
    values: a search path in it already ends with what the variable held before.
    ``project`` is a Julia project that holds PythonCall; only the juliacall connection needs it.
    """

    executable: Path
    environment: Mapping[str, str]
    version: Version
    origin: str
    project: Path | None = None


@dataclass(frozen=True)
class Attempt:
    """One place that was looked at: what was seen and, when nothing was found, what to do.

    ``named`` says that the user has asked for this Julia by name; it is never replaced by another one.
    """

    origin: str
    found: JuliaInstallation | None
    detail: str
    remedy: str
    named: bool = False


def to_stderr(line: str) -> None:
    """Print a progress line where it does not mix with a report on standard output."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def expanded(path: str | os.PathLike[str]) -> Path:
    """Make a path that a person wrote absolute, with ``~`` replaced where there is a home folder."""
    # Unlike the method of Path, this function does not fail for users without a home.
    return Path(os.path.expanduser(path)).absolute()  # noqa: PTH111


def dotted(version: Version) -> str:
    """Write a version the usual way."""
    return ".".join(map(str, version))
