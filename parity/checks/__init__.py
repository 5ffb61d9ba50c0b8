"""The registry of checks: the rows of the parity report."""

from __future__ import annotations

from parity.checks import golden, golden_network, golden_training, live, step, training, trajectory
from parity.checks.model import Check


def all_checks() -> list[Check]:
    """Every check, golden ones first."""
    return [
        *golden.checks(),
        *golden_network.checks(),
        *golden_training.checks(),
        *live.checks(),
        *step.checks(),
        *trajectory.checks(),
        *training.checks(),
    ]
