"""The registry of checks: the rows of the parity report."""

from __future__ import annotations

from parity.checks import golden, live
from parity.checks.model import Check


def all_checks() -> list[Check]:
    """Every check, golden ones first."""
    return [*golden.checks(), *live.checks()]
