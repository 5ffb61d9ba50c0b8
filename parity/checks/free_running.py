"""Whole runs of ours, and for how long another correct computation of the same run must stay with them.

Training is chaotic: two correct programs part exponentially. How fast is measured with runs from starts that are moved
by one rounding (``moved_runs``), by our algorithm and by the general one: the root mean square, over the runs of
either, of their largest deviation so far from their mean. From it follows the bound as everywhere (``bounds``), and a
number is compared until that exceeds a thousandth of it: the divergence horizon, which the report states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from parity.checks import bounds
from parity.checks.comparators import Estimate, Verdict
from parity.checks.evaluate import undecided_share
from parity.checks.model import Array
from parity.checks.moved_runs import Moved, moved_runs, starts
from pyflossing._support.threads import suitable_threads
from pyflossing.config import TrainingConfig
from pyflossing.model import loss
from pyflossing.training import loop, records
from pyflossing.training.state import initial_state

HORIZON = 1e-3
MOST_UNDECIDED = 0.01
"""An accuracy says little where more than this share of its decisions could fall either way."""
_CAUSE = f"{bounds.FACTOR} x the RMS of runs moved by one rounding at the start"


@dataclass(frozen=True)
class Series:
    """Numbers of a run, one row per epoch, that are compared up to a horizon.

    Attributes:
        estimate: the rows up to the horizon.
        total: rows of the whole series.
        unit: "epochs" or "flossing epochs".
        computed: rows that were computed at all.
    """

    estimate: Estimate
    total: int
    unit: str
    computed: int

    def judge(self, theirs: Array) -> Verdict:
        """Compare the rows up to the horizon with those of another computation."""
        rows = len(self.estimate.values)
        if theirs.ndim == 0 or len(theirs) != self.total:
            return Verdict(False, f"ours has {self.total} {self.unit}, theirs the shape {theirs.shape}", 0.0)
        verdict = self.estimate.judge(theirs[:rows])
        return replace(verdict, extent=self._extent(rows))

    def _extent(self, rows: int) -> str:
        if rows == self.total:
            return f"all {rows} {self.unit}"
        if rows == self.computed:
            return f"the first {rows} of {self.total} {self.unit}"
        return f"{rows} of {self.total} {self.unit} (divergence horizon)"


@dataclass(frozen=True)
class Run:
    """What one run gave.

    Attributes:
        rows: per training epoch "loss", "accuracy", "norm NAME"; per flossing epoch "flossing loss", "spectra".
        readouts: of the scored steps, one (T, 1, B) per training epoch.
        flossing_epochs: (n, 2), from 1.
        trial_order: (E, B), from 1.
        initial, final: parameters by name.
    """

    rows: dict[str, Array]
    readouts: Array
    flossing_epochs: Array
    trial_order: Array
    initial: dict[str, Array]
    final: dict[str, Array]


def simulate(config: TrainingConfig, max_records: int | None = None) -> Run:
    """One run of ours, or its first ``max_records`` flossing and training epochs."""
    with suitable_threads(config.n_units):
        state = initial_state(config)
        initial = state.parameters
        epochs: list[records.EpochRecord] = []
        flossing: list[records.FlossingRecord] = []
        readouts = []
        for record in loop.run(config, state):
            if isinstance(record, records.EpochRecord):
                epochs.append(record)
                readouts.append(_readout(config, record))
            else:
                flossing.append(record)
            if max_records is not None and len(epochs) + len(flossing) == max_records:
                break
        rows: dict[str, Array] = {
            "loss": np.array([e.loss for e in epochs]),
            "accuracy": np.array([e.accuracy for e in epochs]),
            "flossing loss": np.array([f.loss for f in flossing]),
            "spectra": np.array([f.exponents for f in flossing]).reshape(len(flossing), config.flossing.n_exponents),
        }
        rows |= {f"norm {name}": np.array([e.gradient_norms[name] for e in epochs]) for name in initial._fields}
        return Run(
            rows,
            np.array(readouts),
            np.array([(f.epoch, f.flossing_epoch) for f in flossing], dtype=np.int64).reshape(-1, 2),
            np.array([e.trial_order for e in epochs], dtype=np.int64),
            {name: values.numpy() for name, values in initial._asdict().items()},
            {name: values.numpy() for name, values in state.parameters._asdict().items()},
        )


def _readout(config: TrainingConfig, record: records.EpochRecord) -> Array:
    """Readouts of the scored steps in an epoch: how near each decision was."""
    p, trials = record.parameters, config.trials
    seed = config.input_seed(record.epoch)
    inputs, _ = config.draw_trials(trials.batch_size, trials.n_steps, seed)
    ordered = torch.from_numpy(np.ascontiguousarray(inputs[:, :, record.trial_order - 1])).to(p.J)
    states = loss.trajectory(config.network, p.J, p.x0, loss.drive(p.ws, p.b, ordered))
    scored = states[max(config.task.first_scored_step - 1, 0) :]
    values: Array = loss.readout(config.network, p.wr, p.offset, scored).numpy()
    return values


def totals(config: TrainingConfig) -> dict[str, int]:
    """Training and flossing epochs of the whole run."""
    return {"epochs": config.n_epochs, "flossing epochs": n_flossing_epochs(config, config.n_epochs)}


def n_flossing_epochs(config: TrainingConfig, n_epochs: int) -> int:
    """How many flossing epochs the schedule has before the first ``n_epochs`` training epochs and among them."""
    schedule, episodes, found = config.flossing.schedule, 0, 0
    for epoch in range(1, n_epochs + 1):
        length = schedule.episode_length(epoch, episodes, None, None)
        found += length
        episodes += bool(length and epoch > 1)
    return found


@lru_cache(maxsize=64)
def simulation(config: TrainingConfig, max_records: int | None = None) -> tuple[Run, dict[str, Any]]:
    """Our run, and its numbers as they are to be judged: "loss", ..., "spectra" and, if it got there, "final NAME"."""
    ours = simulate(config, max_records)
    moved = starts(config, bounds.N_COPIES)
    passes, theirs = (moved_runs(config, moved, algorithm, max_records) for algorithm in ("passes", "general"))
    return ours, judged_until_horizon(config, ours, passes, theirs, totals(config))


def judged_until_horizon(
    config: TrainingConfig, ours: Run, passes: Moved, theirs: Moved, total: Mapping[str, int], *, turned: bool = False
) -> dict[str, Any]:
    """The numbers of a run as they are to be judged, by name; ``total`` has the rows of the other side.

    Args:
        config: of the run.
        ours: the run, or its beginning.
        passes, theirs: as much of moved runs, by our algorithm and by the general one.
        total: "epochs" and "flossing epochs".
        turned: a single moved run may have another spike or sign, see ``horizons``.
    """
    found = horizons(config, ours.rows, passes, theirs, turned=turned)
    if "loss" in found:
        found["accuracy"] = _accuracy(ours, theirs, _terms(config), len(found["loss"].values))
    at_once = [name for name, estimate in found.items() if not len(estimate.values)]
    cause = _CAUSE + (f"; not compared, because that exceeds 1e-3 at once: {', '.join(at_once)}" if at_once else "")
    judged: dict[str, Any] = {}
    for name, estimate in found.items():
        if name not in at_once:
            unit = "flossing epochs" if name in ("spectra", "flossing loss") else "epochs"
            judged[name] = Series(replace(estimate, cause=cause), total[unit], unit, len(ours.rows[name]))
    if len(ours.rows["loss"]) == config.n_epochs:
        eps = float(np.finfo(config.dtype).eps)
        for name, values in ours.final.items():
            last = until_horizon(values[None], passes.final[name][:, None], theirs.final[name][:, None], eps)
            if len(last.values):
                judged[f"final {name}"] = last.only_row()
    return judged


def horizons(
    config: TrainingConfig, rows: Mapping[str, Array], passes: Moved, theirs: Moved, *, turned: bool = False
) -> dict[str, Estimate]:
    """Rows of a run of ours, but for accuracies, each series up to its horizon; ``rows`` may have more than needed.

    With ``turned``, whether ours is imprecise is told by the median of the moved runs: in a few of them a state may be
    so near to its threshold that a rounding turns the unit, which says nothing of the others.
    """
    eps = float(np.finfo(config.dtype).eps)
    # of the gradient of the offset, a sum too, the terms' magnitudes add up to less than the loss
    sums = bounds.summation(eps, _terms(config)) * rows["loss"]
    found = {}
    for name in [name for name in rows if name in passes.rows]:
        values = rows[name][: passes.rows[name].shape[1]]
        more = sums[: len(values)] if name in _SUMS else 0.0
        found[name] = until_horizon(values, passes.rows[name], theirs.rows[name], eps, more, turned=turned)
    return found


_MOST_OURS = 512
"""More than ``bounds.MOST_OURS``: Adam divides a gradient by its own size, so that the noise of one near zero turns a
step. Under fourteen sets of kernels up to 60 was seen."""
_SUMS = ("loss", "norm offset")


def _terms(config: TrainingConfig) -> int:
    return config.trials.batch_size * (config.trials.n_steps - config.task.first_scored_step + 1)


def until_horizon(
    values: Array, ours: Array, theirs: Array, eps: float, more: Array | float = 0.0, *, turned: bool = False
) -> Estimate:
    """The rows of our run up to the horizon, with the admissible difference of each.

    Args:
        values: all rows.
        ours, theirs: those of the moved runs (copies, rows, ...) by the two algorithms.
        eps: of the type.
        more: admitted on top of the rule.
        turned: as in ``horizons``.
    """
    size = np.abs(values.reshape(len(values), -1)).max(axis=1)
    by_passes, general = _scatter(ours), _scatter(theirs)
    limit = bounds.admitted(by_passes, general, size, eps) + more
    rows = _leading(limit <= HORIZON * size)
    # what is imprecise must not make its own horizon
    fair = _leading(bounds.admitted(general, general, size, eps) + more <= HORIZON * size)
    usual = _scatter(ours, np.median) if turned else by_passes
    flaw = bounds.imprecise(usual[:fair], general[:fair], size[:fair], eps, _MOST_OURS)
    rows = fair if flaw else rows
    shape = (rows,) + (1,) * (values.ndim - 1)
    bound, rms_ours, rms_theirs = (each[:rows].reshape(shape) for each in (limit, by_passes, general))
    return Estimate(values[:rows], bound, _CAUSE, rms_ours, rms_theirs, flaw)


def _leading(within: Array) -> int:
    """How many rows hold before the first that does not, as where a moved run is no longer finite."""
    return len(within) if within.all() else int(np.argmin(within))


def _scatter(runs: Array, middle: Callable[..., Array] = np.mean) -> Array:
    """RMS over runs (copies, rows, ...) of the largest deviation so far from their mean, (rows,); or the median."""
    runs = runs.astype(np.float64)
    distance = np.abs(runs - middle(runs, axis=0)).reshape(*runs.shape[:2], -1).max(axis=2)
    freedom = len(runs) / (len(runs) - 1)  # the mean follows the runs
    largest = np.maximum.accumulate(distance, axis=1)
    scatter: Array = np.sqrt(freedom) * (bounds.rms(largest) if middle is np.mean else middle(largest, axis=0))
    return scatter


def _accuracy(ours: Run, theirs: Moved, terms: int, rows: int) -> Estimate:
    """Within the share of decisions that may fall either way: readouts nearer to zero than rounding may move them."""
    scatter = _scatter(theirs.readouts)
    limit = bounds.admitted(scatter, scatter, 0.0, 0.0)
    share = undecided_share(ours.readouts, limit[:, None, None, None], terms)
    rows = min(rows, _leading(share <= MOST_UNDECIDED))
    return Estimate(ours.rows["accuracy"][:rows], share[:rows], _CAUSE)


def judged_like(judged: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Of their numbers those that ours has."""
    return {name: theirs[name] for name in judged}
