"""Whole runs of ours, and for how long another correct computation of the same run must stay with them.

Training is chaotic: two correct programs part exponentially. How fast is measured with runs of ours whose numbers were
moved by one rounding at the start: every parameter by one ulp up or down, and Q factors, which another LAPACK rounds
elsewhere, by what a Float32 factorisation changes. Ten times the largest deviation of these runs so far is admitted,
and a number is compared until that exceeds a thousandth of it: the divergence horizon, which the report states.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from parity.checks.comparators import Estimate, Verdict
from parity.checks.evaluate import ROUNDINGS, SPREAD_FACTOR, summation, undecided_share
from parity.checks.model import Array
from pyflossing.config import TrainingConfig
from pyflossing.julia_random import MersenneTwister
from pyflossing.model import loss, weights
from pyflossing.training import loop, records
from pyflossing.training.state import TrainingState, initial_state

N_RUNS = 3
HORIZON = 1e-3
MOST_UNDECIDED = 0.01
"""An accuracy says little where more than this share of its decisions could fall either way."""
_CAUSE = f"{SPREAD_FACTOR} x the deviation of {N_RUNS} runs moved by one rounding at the start"


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


def start(config: TrainingConfig, moved: int = 0) -> TrainingState:
    """The state before the first epoch; for ``moved`` > 0 with every number moved by a rounding."""
    state = initial_state(config)
    if not moved:
        return state
    rng = np.random.default_rng(moved)
    p = state.parameters
    drawn = {name: _nudged(values, rng) for name, values in p._asdict().items() if name != "x0"}
    if config.weights.coupling == "orthogonal":
        gaussian = weights.WeightDistribution(gain=config.weights.gain)
        matrix = weights.initial_weights(config.n_units, config.seeds.network, gaussian).J
        drawn["J"] = p.J + config.weights.gain * _rounding_of_q(matrix, rng).to(p.J)
    normals = MersenneTwister(config.seeds.initial_state).randn((config.n_units, config.trials.batch_size), np.float32)
    moved_x0, x0 = (
        loss.relax(config.network, of["J"], of["b"], torch.from_numpy(normals).to(p.J)) for of in (drawn, p._asdict())
    )
    state.parameters = loss.Parameters(**drawn, x0=_nudged(p.x0 + (moved_x0 - x0), rng))
    if p.J.dtype == torch.float32 and config.flossing.n_exponents:
        drawn_frame = MersenneTwister(config.seeds.frame).randn(tuple(state.frame.shape), np.float32)
        state.frame = state.frame + _rounding_of_q(drawn_frame, rng)
    else:
        state.frame = _nudged(state.frame, rng)
    return state


def _nudged(values: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Every number to its neighbour above or below, at random."""
    array = values.numpy()
    towards = np.where(rng.random(array.shape) < 0.5, -np.inf, np.inf).astype(array.dtype)
    return torch.from_numpy(np.nextafter(array, towards))


def _rounding_of_q(matrix: Array, rng: np.random.Generator) -> torch.Tensor:
    """As much as a factorisation in Float32 changes at most in a Q factor, up or down at random."""
    single = torch.linalg.qr(torch.from_numpy(matrix)).Q
    double = torch.linalg.qr(torch.from_numpy(matrix).double()).Q
    largest = float((single.double() - double).abs().max())
    return torch.from_numpy(rng.choice([-largest, largest], matrix.shape).astype(np.float32))


def simulate(config: TrainingConfig, moved: int = 0, max_records: int | None = None) -> Run:
    """One run of ours, or its first ``max_records`` flossing and training epochs."""
    with loop.suitable_threads(config.n_units):
        state = start(config, moved)
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
            "spectra": np.array([f.exponents for f in flossing]).reshape(-1, config.flossing.n_exponents),
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
    schedule, episodes, n_flossing = config.flossing.schedule, 0, 0
    for epoch in range(1, config.n_epochs + 1):
        length = schedule.episode_length(epoch, episodes, None, None)
        n_flossing += length
        episodes += bool(length and epoch > 1)
    return {"epochs": config.n_epochs, "flossing epochs": n_flossing}


@lru_cache(maxsize=64)
def simulation(config: TrainingConfig, max_records: int | None = None) -> tuple[Run, dict[str, Any]]:
    """Our run, and its numbers as they are to be judged: "loss", ..., "spectra" and, if it got there, "final NAME"."""
    ours = simulate(config, 0, max_records)
    others = [simulate(config, moved, max_records) for moved in range(1, N_RUNS + 1)]
    eps = float(np.finfo(config.dtype).eps)
    limits: dict[str, tuple[Array, int]] = {}
    for name, values in ours.rows.items():
        if name != "accuracy" and values.size:
            terms = _terms(config) if name == "loss" else 1
            limits[name] = row_limits(values, [o.rows[name] for o in others], eps, terms)
    if "loss" in limits:
        limit = _accuracy_limit(ours, others, _terms(config))
        beyond = np.flatnonzero(limit > MOST_UNDECIDED)
        limits["accuracy"] = limit, min(limits["loss"][1], int(beyond[0]) if beyond.size else len(limit))
    at_once = [name for name, (_, rows) in limits.items() if rows == 0]
    cause = _CAUSE + (f"; not compared, because that exceeds 1e-3 at once: {', '.join(at_once)}" if at_once else "")
    judged: dict[str, Any] = {
        name: _series(config, name, Estimate(ours.rows[name], limit, cause), rows)
        for name, (limit, rows) in limits.items()
        if rows
    }
    if len(ours.rows["loss"]) == config.n_epochs:
        finals = {f"final {name}": _final(name, ours, others, eps) for name in ours.final}
        judged |= {name: e for name, e in finals.items() if e.bound <= HORIZON * np.abs(e.values).max()}
    return ours, judged


def _terms(config: TrainingConfig) -> int:
    return config.trials.batch_size * (config.trials.n_steps - config.task.first_scored_step + 1)


def row_limits(values: Array, others: list[Array], eps: float, terms: int) -> tuple[Array, int]:
    """Admissible differences of every row, and the number of rows up to the horizon."""
    flat = values.reshape(len(values), -1)
    size = np.abs(flat).max(axis=1)
    moved = np.max([np.abs(other.reshape(flat.shape) - flat).max(axis=1) for other in others], axis=0)
    limit = SPREAD_FACTOR * np.maximum.accumulate(moved) + (ROUNDINGS * eps + summation(eps, terms)) * size
    beyond = np.flatnonzero(limit > HORIZON * size)
    return limit, int(beyond[0]) if beyond.size else len(values)


def _series(config: TrainingConfig, name: str, whole: Estimate, rows: int) -> Series:
    shape = (rows,) + (1,) * (whole.values.ndim - 1)
    estimate = Estimate(whole.values[:rows], whole.bound[:rows].reshape(shape), whole.cause)
    unit = "flossing epochs" if name in ("spectra", "flossing loss") else "epochs"
    return Series(estimate, totals(config)[unit], unit, len(whole.values))


def _accuracy_limit(ours: Run, others: list[Run], terms: int) -> Array:
    """The share of decisions that may fall either way: readouts nearer to zero than rounding may move them."""
    moved = np.max([np.abs(o.readouts - ours.readouts).max(axis=(1, 2, 3)) for o in others], axis=0)
    limit = SPREAD_FACTOR * np.maximum.accumulate(moved)
    return undecided_share(ours.readouts, limit[:, None, None, None], terms)


def _final(name: str, ours: Run, others: list[Run], eps: float) -> Estimate:
    values = ours.final[name]
    moved = max(float(np.abs(o.final[name].astype(np.float64) - values).max()) for o in others)
    limit = SPREAD_FACTOR * moved + ROUNDINGS * eps * float(np.abs(values).max())
    return Estimate(values, np.asarray(limit), _CAUSE)


def judged_like(judged: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Of their numbers those that ours has."""
    return {name: theirs[name] for name in judged}
