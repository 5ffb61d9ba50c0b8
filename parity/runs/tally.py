"""One quantity over all epochs of a run: what came nearest to its bound, and where it first failed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from parity.checks.comparators import Verdict


@dataclass
class Tally:
    """Collects verdicts on one quantity.

    Attributes:
        unit: what there is one verdict for: "epochs", "flossing epochs".
        judged: how many were judged.
        left_out: how many were not, because rounding alone decides a spike or sign in them.
        failures: where it failed, in order, with the verdicts; only the first few are kept.
        n_failed: how often it failed.
    """

    unit: str
    judged: int = 0
    left_out: int = 0
    n_failed: int = 0
    failures: list[tuple[str, Verdict]] = field(default_factory=list)
    _worst: tuple[str, Verdict] | None = None
    _digits: float = np.inf

    def add(self, place: str, verdict: Verdict) -> None:
        """One more, from a place in the run such as "epoch 12"."""
        self.judged += 1
        self._digits = min(self._digits, verdict.digits)
        if not verdict.passed:
            self.n_failed += 1
            self.failures = [*self.failures, (place, verdict)][:3]
        if self._worst is None or _ratio(verdict) > _ratio(self._worst[1]):
            self._worst = place, verdict

    def leave_out(self) -> None:
        """One that cannot be judged."""
        self.left_out += 1

    def verdict(self) -> Verdict:
        """The judgement on all of them."""
        total = self.judged + self.left_out
        extent = f"all {total} {self.unit}"
        if self.left_out:
            extent = f"{self.judged} of {total} {self.unit} (in the others rounding alone decides a spike or sign)"
        if self.failures:
            place, first = self.failures[0]
            found = f"first in {place}: {first.detail}; in {self.n_failed} of {total} {self.unit}"
            return replace(first, detail=found, digits=self._digits, extent=extent)
        if self._worst is None:
            return Verdict(False, f"none of {total} {self.unit} could be judged", 0.0, extent)
        place, worst = self._worst
        detail = worst.detail if np.isinf(self._digits) else f"{worst.detail}, in {place}"
        # the rule for measured bounds counts comparisons; these are many in one
        measure = worst.measure and replace(worst.measure, rms_ours=None, rms_theirs=None)
        return Verdict(True, detail, self._digits, extent, measure)


def _ratio(verdict: Verdict) -> float:
    """How near to its bound; more than any where it failed, less than any where bits are equal."""
    if not verdict.passed:
        return np.inf
    return verdict.measure.ratio if verdict.measure is not None else -1.0
