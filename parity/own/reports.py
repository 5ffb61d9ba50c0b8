"""A report of checks, from Python."""

from __future__ import annotations

from collections.abc import Iterable

from parity import runner
from parity.bridge.connection import JuliaConnection
from parity.checks.model import Check
from parity.own.session import Julia
from parity.provenance import of_python
from parity.report import Report


def run_checks(checks: Iterable[Check], julia: JuliaConnection | None = None) -> Report:
    """Run checks in order and report what agrees; nothing that goes wrong in one ends the others.

    Args:
        checks: such as ``check_call`` makes.
        julia: what answers; checks that need a Julia are skipped without one.

    Returns:
        the report: ``print(report)`` shows the table, ``report.write(folder)`` keeps it, ``report.exit_code`` is 0
        where all agree.
    """
    facts = {} if julia is None else julia.provenance()
    notices = julia.notices if isinstance(julia, Julia) else ()
    return Report(runner.run_checks(list(checks), julia), of_python() | facts, notices)
