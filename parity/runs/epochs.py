"""Single epochs of a run: ours, from the parameters that Julia's run has before it, against Julia's.

Bounds are measured as everywhere (``parity.checks.bounds``), which takes a hundred times as long as the epoch itself.
So they are measured in epochs 1, 2, 4, 8, ... of either kind, and in every epoch that differs by more than the bound
measured last, relative to the size of the numbers: no epoch fails, and none passes where it differs by more, without
a bound of its own.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from parity.bridge.connection import JuliaConnection
from parity.checks import resynchronised
from parity.checks.comparators import Estimate, Verdict, identical
from parity.checks.evaluate import FLOAT64_CAUSE, estimates
from parity.checks.julia_run import JuliaEpoch
from parity.checks.model import Array, SkipCheck
from parity.checks.updates import UPDATE_CAUSE, update_bound
from parity.runs.parting import Parting, copies_part, parting
from parity.runs.tally import Tally
from pyflossing._support.errors import NonFiniteError
from pyflossing.config import TrainingConfig
from pyflossing.training import epochs

Tallies = dict[str, Tally]
_QUOTIENT = 4 * float(np.finfo(np.float64).eps), "the last bits of a quotient"


class EpochJudge:
    """Compares one epoch of Julia's run after the other with ours.

    Attributes:
        trials: inputs and targets, bit for bit.
        training, flossing: numbers of epochs, by name.
        updates: parameters and moments after clipping and Adam.
        measured: epochs in which bounds were measured.
        first: the earliest place that failed, or "".
    """

    def __init__(self, config: TrainingConfig, julia: JuliaConnection) -> None:
        self.trials: Tallies = {}
        self.training: Tallies = {}
        self.flossing: Tallies = {}
        self.updates: Tallies = {}
        self.measured = 0
        self.first = ""
        self._config, self._julia = config, julia
        self._relative: dict[str, tuple[float, str]] = {"accuracy": _QUOTIENT}
        self._count = {"training": 0, "flossing": 0}
        self._moved, self._many_moved = _Moved(), ""

    def judge(self, of: JuliaEpoch, order: Array) -> None:
        """Compare one epoch; ``order`` is ours of its trials, from 1."""
        place = place_of(of)
        self._judge_trials(of, place, order)
        self._judge_numbers(of, place)
        self._judge_update(of, place)

    def _judge_trials(self, of: JuliaEpoch, place: str, order: Array) -> None:
        config, case = self._config, of.case
        if of.flossing_epoch:
            seed = config.input_seed(of.epoch + of.flossing_epoch)
            ours = {"flossing inputs": config.draw_trials(1, config.flossing.trial_steps, seed).inputs}
        else:
            inputs, targets = epochs.batch(config, of.epoch, order)
            ours = {"inputs": inputs.numpy(), "targets": targets.numpy()}
        theirs = {"flossing inputs": case.inputs, "inputs": case.inputs, "targets": case.targets}
        for name, values in ours.items():
            self._add(self.trials, name, of, place, identical(values, theirs[name].astype(values.dtype)))

    def _judge_numbers(self, of: JuliaEpoch, place: str) -> None:
        kind = "flossing" if of.flossing_epoch else "training"
        tallies = self.flossing if of.flossing_epoch else self.training
        try:
            ours = resynchronised.numbers(resynchronised.next_record(self._config, of), self._config.dtype)
        except NonFiniteError as error:
            self._add(tallies, "finite numbers", of, place, Verdict(False, f"Julia's are finite, ours: {error}", 0.0))
            return
        self._count[kind] += 1
        due = self._count[kind] & (self._count[kind] - 1) == 0
        verdicts = {} if due else self._by_last_bounds(ours, of)
        if due or not all(verdict.passed for verdict in verdicts.values()):
            own = self._by_own_bounds(ours, of, place)
            if own is None:
                for name in ours:
                    self._tally(tallies, name, of).leave_out()
                return
            verdicts = own
        for name, verdict in verdicts.items():
            self._add(tallies, name, of, place, verdict)

    def _by_last_bounds(self, ours: dict[str, Any], of: JuliaEpoch) -> dict[str, Verdict]:
        verdicts = {}
        for name, values in ours.items():
            relative, cause = self._relative.get(name, (0.0, "none measured yet"))
            verdicts[name] = Estimate(values, np.asarray(relative * _size(values)), cause).judge(
                np.asarray(of.answer[name])
            )
        return verdicts

    def _by_own_bounds(self, ours: dict[str, Any], of: JuliaEpoch, place: str) -> dict[str, Verdict] | None:
        """Verdicts by bounds measured in this epoch; None where rounding alone decides a spike or sign."""
        limits = self._measured(of)
        verdicts = {}
        for name, values in ours.items() if limits else ():
            own: Estimate = replace(limits[name], values=values)
            verdicts[name] = own.judge(np.asarray(of.answer[name]))
        if verdicts and all(verdict.passed for verdict in verdicts.values()):
            self._remember(ours, limits, place)
            return verdicts
        case = of.case
        steps = case.n_steps if of.flossing_epoch else len(case.inputs)
        parted = parting(self._julia, replace(case, inputs=case.inputs[:steps]), self._config.dtype)
        if parted is not None and parted.by_rounding:
            return None
        if parted is not None:
            return {"spikes or signs": Verdict(False, _parted(parted), 0.0)} | verdicts
        if not verdicts:  # nudged copies part, and the two languages do not
            last = self._by_last_bounds(ours, of)
            return last if all(verdict.passed for verdict in last.values()) else None
        return verdicts

    def _measured(self, of: JuliaEpoch) -> Any:
        """Bounds by name; none where nudged copies have different spikes or signs."""
        self.measured += 1
        inputs = of.case.inputs[: of.case.n_steps]
        if of.flossing_epoch and self._config.dtype == "float32" and copies_part(replace(of.case, inputs=inputs)):
            return {}
        try:
            return estimates.__wrapped__(of.case, self._config.dtype)  # thousands of them would fill the memory
        except SkipCheck:
            return {}

    def _remember(self, ours: dict[str, Any], limits: Any, place: str) -> None:
        for name, values in ours.items():
            bound, size, cause = float(np.max(limits[name].bound)), _size(values), limits[name].cause
            if name != "accuracy" and size > 0:
                self._relative[name] = bound / size, cause if cause == FLOAT64_CAUSE else f"{cause}, of {place}"

    def _judge_update(self, of: JuliaEpoch, place: str) -> None:
        moments = of.flossing if of.flossing_epoch else of.training
        for name, parts in resynchronised.update(self._config, of).items():
            before = dict(zip("xmv", (of.parameters[name], *moments[name]), strict=True))
            for part, values in parts.items():
                theirs = of.after[f"{name} {part}"]
                bound = update_bound(part, before[part], values)
                verdict = Estimate(values, bound, UPDATE_CAUSE).judge(theirs)
                self._add(self.updates, f"{name} {part}", of, place, verdict)
                self._moved.add(values, theirs, before[part], bound)
        moved = self._moved.verdict()
        if not (moved.passed or self._many_moved):
            self._many_moved = place
            self._note(place, "last bits of updates", moved)

    def last_bits(self) -> Verdict:
        """The judgement on how many updated numbers differ at all, in the whole run."""
        verdict = self._moved.verdict()
        where = f"; more than that since {self._many_moved}" if self._many_moved else ""
        return replace(verdict, passed=not self._many_moved, detail=verdict.detail + where)

    def _add(self, tallies: Tallies, name: str, of: JuliaEpoch, place: str, verdict: Verdict) -> None:
        self._tally(tallies, name, of).add(place, verdict)
        self._note(place, name, verdict)

    def _note(self, place: str, name: str, verdict: Verdict) -> None:
        if not verdict.passed and not self.first:
            self.first = f"{place}, {name}: {verdict.detail}"

    def _tally(self, tallies: Tallies, name: str, of: JuliaEpoch) -> Tally:
        unit = "flossing epochs" if of.flossing_epoch else "epochs"
        if tallies is self.updates:
            unit = "updates"
        return tallies.setdefault(name, Tally(unit))


class _Moved:
    """How many numbers of all updates so far differ at all.

    An update is computed in Float64 and rounded to the type of the array: of two correct ones a Float32 number
    differs only where a Float64 rounding turns the last bit of it. How often that can be follows from how far the two
    may lie apart in Float64. An error far below an ulp, as of a learning rate that is not rounded to Float32, turns
    many more.
    """

    def __init__(self) -> None:
        self.expected = 0.0
        self.differing = self.total = 0

    def add(self, ours: Array, theirs: Array, before: Array, bound: Array) -> None:
        if ours.dtype != np.float32 or ours.shape != theirs.shape:
            return
        ulp = np.spacing(np.abs(ours)).astype(np.float64)
        self.differing += int(np.count_nonzero(ours != theirs))
        self.expected += float(np.sum(np.minimum((bound - ulp) / ulp, 1.0)))
        self.total += ours.size

    def verdict(self) -> Verdict:
        most = _exceeded_once_in_a_billion(self.expected)
        stated = (
            f"{self.differing} of {self.total} updated numbers differ in the last bit, "
            f"and rounding explains up to {most}"
        )
        return Verdict(self.differing <= most, stated, np.inf if self.differing == 0 else 7.0)


def _exceeded_once_in_a_billion(expected: float) -> int:
    """The smallest number that independent rare events, so many of which are expected, exceed so rarely (Poisson)."""
    n, term, rest = 0, math.exp(-expected), -math.expm1(-expected)
    if expected > 500:
        return math.ceil(expected + 6 * math.sqrt(expected) + 6)
    while rest > 1e-9:
        n += 1
        term *= expected / n
        rest -= term
    return n


def place_of(of: JuliaEpoch) -> str:
    """Where an epoch is in the run, in words."""
    return f"flossing epoch {of.flossing_epoch} before epoch {of.epoch}" if of.flossing_epoch else f"epoch {of.epoch}"


def _size(values: Any) -> float:
    return float(np.abs(np.asarray(values)).max(initial=0.0))


def _parted(found: Parting) -> str:
    return f"part at step {found.step}, where a state lies {found.distance:.1e} from the threshold: more than rounding"
