"""A Julia that the user named, and the one on PATH."""

from __future__ import annotations

import shutil
from pathlib import Path

from parity.obtain.model import OLDEST, Attempt, JuliaInstallation, dotted, expanded
from parity.obtain.probe import probe

VARIABLE = "PYFLOSSING_JULIA"
EXPLICIT = "explicit path"
ON_PATH = "PATH"

_NEEDED = f"{OLDEST[0]}.{OLDEST[1]} or newer"


def explicit_path(wish: Path, named_by: str, *, timeout: float) -> Attempt:
    """Look at the path that the user named: an executable or a folder that holds bin/julia."""
    path = expanded(wish)
    remedy = f"correct {named_by}, or leave it out to let other places be searched"
    if path.is_dir():
        path = path / "bin" / "julia"
        if not path.exists():
            return Attempt(EXPLICIT, None, f"{named_by} names a folder without bin/julia: {wish}", remedy, named=True)
    elif not path.exists():
        return Attempt(EXPLICIT, None, f"{named_by} names something that does not exist: {wish}", remedy, named=True)
    return _judge(path, EXPLICIT, remedy, timeout, named=True)


def on_path(*, timeout: float) -> Attempt:
    """Look for julia on PATH."""
    name = shutil.which("julia")
    remedy = f"install Julia {_NEEDED} and put it on PATH, or set {VARIABLE}"
    if name is None:
        return Attempt(ON_PATH, None, "no julia on PATH", remedy)
    return _judge(Path(name).absolute(), ON_PATH, remedy, timeout)


def _judge(executable: Path, origin: str, remedy: str, timeout: float, *, named: bool = False) -> Attempt:
    seen = probe(executable, timeout=timeout)
    if seen.version is None or seen.problem:
        return Attempt(origin, None, seen.problem, remedy, named)
    found = JuliaInstallation(executable, {}, seen.version, origin)
    return Attempt(origin, found, f"Julia {dotted(seen.version)} at {executable}", "", named)
