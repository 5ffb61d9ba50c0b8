"""Running checks: every pair of arrays is judged, and nothing that goes wrong is lost."""

from __future__ import annotations

import fnmatch
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from parity.bridge.connection import JuliaConnection, Revivable
from parity.bridge.errors import NotRecorded
from parity.checks.comparators import Judged, Verdict
from parity.checks.model import Arrays, Check, SkipCheck

_MOST_UNITS = 80
"""Of the networks that are compared; with more threads than pay for so few, the report can take many times as long."""

_MOST_LINES = 6


@dataclass(frozen=True)
class Outcome:
    """What became of one check.

    Attributes:
        check: the check.
        verdicts: one per comparison, by name.
        skipped: the reason, or "" if it ran.
        error: what prevented a judgement, or "".
        seconds: time for both sides.
    """

    check: Check
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    skipped: str = ""
    error: str = ""
    seconds: float = 0.0

    @property
    def failures(self) -> dict[str, Verdict]:
        """The comparisons that did not agree."""
        return {name: verdict for name, verdict in self.verdicts.items() if not verdict.passed}

    @property
    def short_error(self) -> str:
        """The error, of a long one (the trace of a crash) the beginning and the last line."""
        lines = self.error.splitlines()
        if len(lines) <= _MOST_LINES:
            return self.error
        kept = [*lines[: _MOST_LINES - 2], f"... ({len(lines) - _MOST_LINES + 1} lines more in report.json)", lines[-1]]
        return "\n".join(kept)

    @property
    def status(self) -> str:
        """ "passed", "failed" or "skipped"; a check that could not be judged has failed."""
        if self.skipped:
            return "skipped"
        return "failed" if self.error or self.failures else "passed"


def select(checks: Sequence[Check], patterns: Iterable[str]) -> list[Check]:
    """The checks whose name matches one of the patterns (shell wildcards, or a plain part of the name).

    Raises:
        ValueError: a pattern that matches nothing.
    """
    wanted = list(patterns)
    if not wanted:
        return list(checks)
    chosen: set[str] = set()
    for pattern in wanted:
        names = [check.name for check in checks if fnmatch.fnmatch(check.name, pattern) or pattern in check.name]
        if not names:
            raise ValueError(f"--only {pattern!r} matches no check; --list shows their names")
        chosen.update(names)
    return [check for check in checks if check.name in chosen]


def run_checks(
    checks: Sequence[Check],
    julia: JuliaConnection | None,
    no_julia: str = "there is no Julia",
) -> list[Outcome]:
    """Run the checks in order; ``no_julia`` is the reason given for those that need a Julia where there is none."""
    outcomes = []
    with _few_threads():
        for check in checks:
            start = time.perf_counter()
            if check.needs_julia and julia is None:
                outcome = Outcome(check, skipped=no_julia)
            else:
                outcome = _run(check, julia)
            outcomes.append(
                Outcome(outcome.check, outcome.verdicts, outcome.skipped, outcome.error, time.perf_counter() - start)
            )
    return outcomes


def _few_threads() -> AbstractContextManager[None]:
    if "torch" not in sys.modules:  # one's own checks may do without it
        return nullcontext()
    from pyflossing._support.threads import suitable_threads  # noqa: PLC0415

    return suitable_threads(_MOST_UNITS)


def _run(check: Check, julia: JuliaConnection | None) -> Outcome:
    try:
        if isinstance(julia, Revivable):  # a check may have ended the one before
            julia.revive()
        # None only where the check needs no Julia
        theirs = check.theirs(cast(JuliaConnection, julia))
    except SkipCheck as reason:
        return Outcome(check, skipped=str(reason))
    except NotRecorded as reason:
        return Outcome(check, skipped=f"not in the recorded transcripts: {reason}")
    except Exception as error:  # a report must survive whatever a check runs into, and show it
        return Outcome(check, error=f"their side failed: {type(error).__name__}: {error}")
    try:
        ours = check.ours(julia) if check.follows_julia else check.ours()
    except Exception as error:
        return Outcome(check, error=f"our side failed: {type(error).__name__}: {error}")
    return _judge(check, ours, theirs)


def _judge(check: Check, ours: Arrays, theirs: Arrays) -> Outcome:
    missing = sorted(set(ours) ^ set(theirs))
    if missing:
        return Outcome(check, error=f"only one side has {', '.join(missing)}")
    if not ours:
        return Outcome(check, error="there was nothing to compare")
    verdicts = {
        name: values.judge(np.asarray(theirs[name]))
        if isinstance(values, Judged)
        else check.compare(np.asarray(values), np.asarray(theirs[name]))
        for name, values in ours.items()
    }
    return Outcome(check, verdicts)
