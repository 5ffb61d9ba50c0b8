"""A report that appears line by line while its checks run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

from parity.bridge.connection import JuliaConnection
from parity.checks.model import Check
from parity.report import Report, Table
from parity.runner import Outcome, run_checks


def shown(
    checks: Sequence[Check], julia: JuliaConnection | None, provenance: Mapping[str, str], notices: Sequence[str]
) -> Report:
    """Run the checks and print each line as soon as it is known."""
    table = Table(checks)
    print(table.opening(provenance, notices), flush=True)
    outcomes = run_beside(checks, julia, lambda outcome: print(table.row(outcome), flush=True))
    report = Report(outcomes, provenance, notices)
    print(table.closing(report))
    return report


def run_beside(
    checks: Sequence[Check], julia: JuliaConnection | None, finished: Callable[[Outcome], None] = lambda _: None
) -> list[Outcome]:
    """Run the checks, and tell on a terminal which one is running."""
    shows = sys.stderr.isatty()

    def beside_the_table(text: str) -> None:
        if shows:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    outcomes = []
    for place, check in enumerate(checks, 1):
        beside_the_table(f"[{place}/{len(checks)}] {check.name}")
        outcomes += run_checks([check], julia)
        beside_the_table("")
        finished(outcomes[-1])
    return outcomes


def listed(checks: Sequence[Check]) -> None:
    """Print names and quantities."""
    for check in checks:
        print(f"{check.name:45} {check.level.value:10} {check.against.value:16} {check.quantity}")
