"""For how many epochs a run of ours is to be compared with Julia's free-running one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from parity.checks import bounds
from parity.checks.free_running import Series, horizons, judged_until_horizon, simulate
from parity.checks.model import Array
from parity.checks.moved_runs import MovedRuns, starts
from parity.runs.flips import Flips
from pyflossing.config import TrainingConfig

_GROWTH = 1.3
_SECONDS = 10.0


def judged_run(
    config: TrainingConfig,
    rows: Mapping[str, Array],
    flips: Flips,
    n_records: int,
    total: Mapping[str, int],
    seconds: float,
    say: Callable[[str], None],
) -> tuple[dict[str, Any], int]:
    """Our numbers of the free run, each as far as it must agree, and how many epochs of either kind were measured.

    Runs from moved starts are computed until every quantity has met its horizon, the run ends, or the time is over.

    Args:
        config: of the run.
        rows: our run's numbers, one row per epoch.
        flips: where spikes or signs of the two runs part.
        n_records: how many epochs, flossing or training, there are in them.
        total: rows of Julia's side: "epochs", "flossing epochs".
        seconds: that may be spent; at least a few epochs are measured.
        say: told the progress.
    """
    began, moved = time.monotonic(), starts(config, bounds.N_COPIES)
    passes, general = MovedRuns(config, moved, "passes"), MovedRuns(config, moved, "general")
    next_look, told = 4, began
    while passes.n_records < n_records:
        if not (passes.advance() and general.advance()):
            break
        done, now = passes.n_records, time.monotonic()
        late = now - began > seconds
        if now - told > _SECONDS:
            told = now
            say(f"measuring the divergence horizon: epoch {done} of runs from moved starts")
        if done >= next_look or late:
            next_look = int(_GROWTH * done) + 1
            if late or _all_met(config, rows, passes, general):
                break
    ours = simulate(config, passes.n_records)
    judged = judged_until_horizon(config, ours, passes.moved(), general.moved(), total, turned=flips.possible)
    return _before_flips(judged, flips), passes.n_records


def _before_flips(judged: dict[str, Any], flips: Flips) -> dict[str, Any]:
    """The rows before spikes or signs of the two runs part; no final parameters where they do."""
    found: dict[str, Any] = {}
    for name, values in judged.items():
        if not isinstance(values, Series):
            if not flips.found:
                found[name] = values
            continue
        rows = flips.rows(values.unit, len(values.estimate.values))
        if rows:
            found[name] = replace(values, estimate=values.estimate.first(rows))
    return found


def _all_met(config: TrainingConfig, rows: Mapping[str, Array], passes: MovedRuns, general: MovedRuns) -> bool:
    """Whether every quantity that has appeared so far has a horizon."""
    moved = passes.moved()
    found = horizons(config, rows, moved, general.moved())
    return all(len(estimate.values) < moved.rows[name].shape[1] for name, estimate in found.items())
