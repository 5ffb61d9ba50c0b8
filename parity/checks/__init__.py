"""The registry of checks: the rows of the parity report."""

from __future__ import annotations

from parity.checks.model import Check


def all_checks() -> list[Check]:
    """Every check, golden ones first."""
    # here, because comparators and bounds of one's own checks do without torch and its seconds of start-up
    from parity.checks import golden, golden_network, golden_training, live, step, training, trajectory  # noqa: PLC0415

    return [
        *golden.checks(),
        *golden_network.checks(),
        *golden_training.checks(),
        *live.checks(),
        *step.checks(),
        *trajectory.checks(),
        *training.checks(),
    ]
