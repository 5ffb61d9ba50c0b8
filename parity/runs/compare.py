"""One run in both languages: what is compared, and the report of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from parity.bridge.connection import JuliaConnection
from parity.bridge.errors import JuliaError
from parity.checks.cases import PARAMETERS
from parity.checks.comparators import Verdict
from parity.checks.free_running import Series
from parity.checks.julia_run import JuliaEpoch
from parity.checks.model import Array, Check, Level, Provenance
from parity.connect import connect
from parity.own.session import with_reference
from parity.provenance import provenance as of_reference
from parity.report import Report
from parity.runner import Outcome, run_checks
from parity.runs.clock import Clock
from parity.runs.epochs import EpochJudge, Tallies
from parity.runs.flips import Flips
from parity.runs.free import free_check, schedule_check
from parity.runs.horizon import judged_run
from parity.runs.julia_ahead import epochs_ahead
from parity.runs.ours import Collected, OurRun
from parity.runs.settings import require_expressible
from parity.runs.start import start_checks
from pyflossing._support.arguments import FieldError
from pyflossing.config import TrainingConfig
from pyflossing.training.result import TrainingResult

MOST_SECONDS = 300.0
"""For the divergence horizon, which costs as much as some fifty runs up to it."""


@dataclass(frozen=True)
class RunReport(Report):
    """The report of a run.

    Attributes:
        config: of the run.
        ours, theirs: numbers of both free runs by name, one row per epoch: "loss", "accuracy", "spectra", ...
        judged: ours up to the divergence horizon, with bounds, by name.
        first_difference: the earliest place in the run where the two differ by more than rounding, or "".
    """

    config: TrainingConfig = field(default_factory=TrainingConfig)
    ours: Mapping[str, Array] = field(default_factory=dict)
    theirs: Mapping[str, Array] = field(default_factory=dict)
    judged: Mapping[str, Series] = field(default_factory=dict)
    first_difference: str = ""

    def summary(self) -> str:
        """As of every report; where something differs, with the first place of it."""
        found = self.first_difference
        return super().summary() + (f"\n  the first place where they differ: {found}" if found else "")


def compare_run(
    config: TrainingConfig,
    julia: JuliaConnection | None = None,
    *,
    result: TrainingResult | None = None,
    n_epochs: int | None = None,
    provenance: Mapping[str, str] | None = None,
    notices: tuple[str, ...] = (),
    horizon_seconds: float = MOST_SECONDS,
    say: Callable[[str], None] = lambda _: None,
) -> RunReport:
    """Compute a run in Python and in Julia, and compare everything that can be compared.

    Before the first epoch: weights, frame, initial state, schedule and orders of the trials. In every epoch: trials
    bit for bit; loss, accuracy, exponents and gradients from the parameters that Julia has before it; the update from
    Julia's gradients. Of both free runs: every number until the divergence horizon.

    Args:
        config: the settings.
        julia: what ``parity.julia`` has opened; None opens one for this comparison.
        result: numbers recorded when the run was made, which are then judged as the free run.
        n_epochs: compare the first so many training epochs, and the flossing before them; None for all.
        provenance: facts for the report.
        notices: for the report.
        horizon_seconds: that may be spent on measuring the divergence horizon.
        say: told how it goes, a line at a time.

    Raises:
        ValueError: settings that the reference cannot express, naming them; ``n_epochs`` out of range.
        NoJulia: none can be had.
        JuliaConnectionError: Julia has ended.
    """
    require_expressible(config)
    if julia is None:
        session = connect()
        with session.julia as opened:
            return compare_run(
                config,
                opened,
                result=result,
                n_epochs=n_epochs,
                provenance=of_reference(session.facts) | dict(provenance or {}),
                notices=(*session.notices, *notices),
                horizon_seconds=horizon_seconds,
                say=say,
            )
    with_reference(julia)
    recorded = config.n_epochs if result is None else len(result.loss)
    if n_epochs is not None and not 1 <= n_epochs <= config.n_epochs:
        raise FieldError("n_epochs", n_epochs, f"it must be in [1, {config.n_epochs}]")
    most = min(recorded, config.n_epochs if n_epochs is None else n_epochs)
    if most < 1:
        raise ValueError("the recorded run has no training epoch yet: there is nothing to compare")
    ours, theirs, judge, flips = OurRun(config), Collected(config), EpochJudge(config, julia), Flips(config)
    outcomes = run_checks(list(start_checks(config, ours, result)), julia)
    clock = Clock(config, most, say)
    clock.tell(julia)
    began, stopped, last = time.perf_counter(), "", None
    try:
        for of in epochs_ahead(julia, config, most):
            ours.advance()
            theirs.add_theirs(of)
            judge.judge(of, ours.order)
            flips.look(of, ours.last)
            clock.tick(of)
            last = of
    except JuliaError as error:
        stopped = f"Julia's run stopped: {error}"
        ours.advance()  # ours must stop there too
    outcomes += _of_epochs(judge, time.perf_counter() - began)
    numbers = theirs.rows()
    total = {"epochs": len(numbers["loss"]), "flossing epochs": len(numbers["spectra"])}
    judged, measured = _judged(config, ours, flips, total, horizon_seconds, say)
    final = _final(last) if total["epochs"] == config.n_epochs else {}
    checks = [schedule_check(config, ours, theirs, result), *free_check(judged, numbers, final, result)]
    outcomes += run_checks(checks, julia)
    if stopped or ours.stopped:
        outcomes.append(_end(ours.stopped, stopped))
    facts = dict(provenance or {}) | {
        "run": _described(config, total, result),
        "bounds": f"measured in {judge.measured} of {sum(total.values())} epochs, and for the free run over {measured}",
    }
    notes = (*notices, *(note for note in (stopped, ours.stopped) if note))
    return RunReport(outcomes, facts, notes, config, ours.rows, numbers, judged, judge.first or _first_of(outcomes))


def _judged(
    config: TrainingConfig,
    ours: OurRun,
    flips: Flips,
    total: Mapping[str, int],
    seconds: float,
    say: Callable[[str], None],
) -> tuple[dict[str, Any], int]:
    n_records = sum(total.values())
    if ours.stopped or n_records == 0:
        return {}, 0
    return judged_run(config, ours.rows, flips, n_records, total, seconds, say)


def _of_epochs(judge: EpochJudge, seconds: float) -> list[Outcome]:
    """The rows of what was compared epoch by epoch."""
    rows: tuple[tuple[str, str, Level, Tallies], ...] = (
        ("run/trials", "inputs and targets of every epoch", Level.EXACT, judge.trials),
        (
            "run/epochs",
            "loss, accuracy and gradients of every epoch, from Julia's parameters",
            Level.TRAJECTORY,
            judge.training,
        ),
        (
            "run/flossing",
            "exponents, loss and gradients of every flossing epoch, from Julia's parameters",
            Level.TRAJECTORY,
            judge.flossing,
        ),
        (
            "run/updates",
            "parameters and moments after clipping and Adam, from Julia's gradients",
            Level.STEP,
            judge.updates,
        ),
    )
    found = []
    for name, quantity, level, tallies in rows:
        if tallies:
            verdicts = {title: tally.verdict() for title, tally in tallies.items()}
            if tallies is judge.updates:
                verdicts["last bits"] = judge.last_bits()
            check = Check(name, quantity, Provenance.OUR_JULIA, dict, lambda _julia: {}, level=level)
            found.append(Outcome(check, verdicts, seconds=seconds / len(rows)))
    return found


def _end(ours: str, theirs: str) -> Outcome:
    """Both runs must stop in the same epoch; rounding decides in which step of it."""
    places = [re.findall(r"epoch \d+", told) for told in (ours, theirs)]
    told = " ".join(each or f"{side}'s run goes on." for side, each in (("Python", ours), ("Julia", theirs)))
    check = Check("run/end", "why the run stops", Provenance.OUR_JULIA, dict, lambda _julia: {})
    same = bool(ours and theirs) and places[0] == places[1]
    return Outcome(check, {"place": Verdict(same, told, np.inf if same else 0.0)})


def _final(last: JuliaEpoch | None) -> dict[str, Array]:
    return {} if last is None else {name: last.after[f"{name} x"] for name in PARAMETERS}


def _first_of(outcomes: list[Outcome]) -> str:
    """The first failure of the rows."""
    for outcome in outcomes:
        for name, verdict in outcome.failures.items():
            return f"{outcome.check.name}, {name}: {verdict.detail}"
    return ""


def _described(config: TrainingConfig, total: Mapping[str, int], result: TrainingResult | None) -> str:
    which = "computed here" if result is None else f"recorded by pyflossing {result.versions.get('pyflossing', '?')}"
    return (
        f"{config.network.kind} network of {config.n_units} units, {config.dtype}; {total['epochs']} of "
        f"{config.n_epochs} epochs and {total['flossing epochs']} flossing epochs; ours {which}"
    )
