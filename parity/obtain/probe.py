"""Asking an executable which Julia it is, and whether it works."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from parity.obtain import processes
from parity.obtain.environment import for_julia
from parity.obtain.model import OLDEST, Version, dotted

# A Julia with the wrong libunwind starts and prints, but crashes at the first thrown exception.
_SCRIPT = """
outcome = try
    error("thrown on purpose")
catch
    "caught"
end
println("pyflossing-probe ", VERSION, " ", outcome)
"""
_ANSWER = re.compile(r"^pyflossing-probe (\d+)\.(\d+)\.(\d+)\S* caught\s*$", re.MULTILINE)

DEFAULT_TIMEOUT = 60.0


@dataclass(frozen=True)
class Probe:
    """The version that an executable answered, and what is wrong with it ("" when nothing is)."""

    version: Version | None
    problem: str


def probe(
    executable: Path,
    *,
    environment: Mapping[str, str] | None = None,
    oldest: Version = OLDEST,
    timeout: float = DEFAULT_TIMEOUT,
) -> Probe:
    """Run a small script that throws and catches an exception, and check the version.

    ``environment`` is added to what a Julia sees of the current one.
    """
    command = [str(executable), "--startup-file=no", "--history-file=no", "-e", _SCRIPT]
    try:
        outcome = processes.run_guarded(command, timeout=timeout, environment=for_julia(environment))
    except OSError as error:
        return Probe(None, f"{executable} cannot be started: {error.strerror or error}")
    if outcome.status != 0:
        return Probe(None, f"{executable} {outcome.account}")
    answer = _ANSWER.search(outcome.output)
    if answer is None:
        shown = outcome.excerpt[:300] or "nothing"
        return Probe(None, f"{executable} does not answer as Julia does; it wrote:\n{shown}")
    version = (int(answer[1]), int(answer[2]), int(answer[3]))
    if version < oldest:
        return Probe(version, f"{executable} is Julia {dotted(version)}; {dotted(oldest)} or newer is needed")
    return Probe(version, "")
