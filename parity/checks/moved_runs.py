"""Runs of a configuration from starts that are moved by one rounding, all at once, by either algorithm.

Moved are the parameters, each by one ulp up or down, and Q factors, which another LAPACK rounds elsewhere, by what a
Float32 factorisation changes. The updates are those of the port: they are compared bit for bit elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from parity.checks import general
from parity.checks.model import Array
from pyflossing._support.threads import suitable_threads
from pyflossing.config import TrainingConfig
from pyflossing.gradients import flossing_pass, training_pass
from pyflossing.gradients.by_autograd import FLOSSED, TrainingGradient
from pyflossing.julia_random import MersenneTwister
from pyflossing.model import weights
from pyflossing.model.loss import Parameters
from pyflossing.model.networks import BuiltIn
from pyflossing.training import epochs
from pyflossing.training.optimiser import Rates, adam_updates
from pyflossing.training.state import TrainingState, initial_state

Algorithm = Literal["passes", "general"]
"""Ours, the reverse passes that are written out, or that of the other side."""


@dataclass(frozen=True)
class Moved:
    """The same numbers of all runs.

    Attributes:
        rows: (copies, epochs, ...): of training epochs "loss" and "norm NAME", of flossing epochs "flossing loss" and
            "spectra".
        readouts: of the scored steps, (copies, epochs, T, B); by the general algorithm only.
        final: parameters by name, (copies, ...).
    """

    rows: dict[str, Array]
    readouts: Array
    final: dict[str, Array]


def starts(config: TrainingConfig, copies: int) -> list[TrainingState]:
    """States before the first epoch with every number moved by a rounding."""
    state = initial_state(config)
    p, dtype = state.parameters, state.parameters.J.dtype
    of_j = of_frame = 0.0
    if config.weights.coupling == "orthogonal":
        gaussian = weights.WeightDistribution(gain=config.weights.gain)
        matrix = weights.initial_weights(config.n_units, config.seeds.network, gaussian).J
        of_j = config.weights.gain * _rounding_of_q(matrix)
    if dtype == torch.float32 and config.flossing.n_exponents:
        normals = MersenneTwister(config.seeds.frame).randn(tuple(state.frame.shape), np.float32)
        of_frame = _rounding_of_q(normals)
    drawn = []
    for copy in range(1, copies + 1):
        rng = np.random.default_rng(copy)
        moved = {name: _moved(values, rng) for name, values in p._asdict().items()}
        if of_j:
            moved["J"] = _moved(p.J, rng, of_j)
        drawn.append((Parameters(**moved), _moved(state.frame, rng, of_frame)))
    # the initial state moves with the weights that it is relaxed with
    weights_of = [p, *(parameters for parameters, _ in drawn)]
    shape = (config.n_units, config.trials.batch_size)
    normals = MersenneTwister(config.seeds.initial_state).randn(shape, np.float32)
    relaxed = general.relaxed(
        config.network,
        torch.stack([of.J for of in weights_of]),
        torch.stack([of.b for of in weights_of]),
        torch.from_numpy(normals).to(dtype).expand(len(weights_of), *shape),
    )
    return [
        replace(state, parameters=q._replace(x0=q.x0 + (relaxed[i] - relaxed[0])), frame=frame)
        for i, (q, frame) in enumerate(drawn, 1)
    ]


def _moved(values: torch.Tensor, rng: np.random.Generator, by: float = 0.0) -> torch.Tensor:
    """Every number up or down at random, to its neighbour or by a given amount."""
    array = values.numpy()
    up = np.where(rng.random(array.shape) < 0.5, -1, 1).astype(array.dtype)
    return torch.from_numpy(array + array.dtype.type(by) * up if by else np.nextafter(array, up * np.inf))


def _rounding_of_q(matrix: Array) -> float:
    """How much a factorisation in Float32 changes at most in a Q factor."""
    single = torch.linalg.qr(torch.from_numpy(matrix)).Q
    double = torch.linalg.qr(torch.from_numpy(matrix).double()).Q
    return float((single.double() - double).abs().max())


def moved_runs(
    config: TrainingConfig, states: Sequence[TrainingState], algorithm: Algorithm, max_records: int | None
) -> Moved:
    """Runs from the given states, or their first ``max_records`` flossing and training epochs."""
    runs = MovedRuns(config, states, algorithm)
    while (max_records is None or runs.n_records < max_records) and runs.advance():
        pass
    return runs.moved()


class MovedRuns:
    """Runs from the given states, one flossing or training epoch after the other."""

    def __init__(self, config: TrainingConfig, states: Sequence[TrainingState], algorithm: Algorithm) -> None:
        self.n_records = 0
        self._states = [replace(state) for state in states]
        self._config = config
        self._records = _epochs(config, self._states, algorithm)
        self._rows: dict[str, list[Array]] = {}
        self._readouts: list[Array] = []

    def advance(self) -> bool:
        """Run one epoch more; false if there is none."""
        with suitable_threads(self._config.n_units):
            record = next(self._records, None)
        if record is None:
            return False
        readout = record.pop("readout", None)
        if readout is not None:
            self._readouts.append(readout)
        for name, values in record.items():
            self._rows.setdefault(name, []).append(values)
        self.n_records += 1
        return True

    def moved(self) -> Moved:
        """The numbers so far."""
        states, readouts = self._states, self._readouts
        return Moved(
            {name: np.stack(values, axis=1).astype(np.float64) for name, values in self._rows.items()},
            np.stack(readouts, axis=1) if readouts else np.empty(0),
            {n: torch.stack([getattr(s.parameters, n) for s in states]).numpy() for n in Parameters._fields},
        )


def _epochs(config: TrainingConfig, states: list[TrainingState], algorithm: Algorithm) -> Iterator[dict[str, Array]]:
    """Numbers (copies, ...) of one flossing or training epoch after the other, changing the states."""
    floss, train = (_floss, _train) if algorithm == "general" else (_floss_by_passes, _train_by_passes)
    for epoch, order in epochs.epochs_to_run(config, states[0]):
        schedule, first = config.flossing.schedule, states[0]
        length = schedule.episode_length(epoch, first.episodes, first.initial_state_norm, first.last_episode)
        for flossing_epoch in range(1, length + 1 if config.flossing.n_exponents else 1):
            seed = config.input_seed(epoch + flossing_epoch)
            inputs = config.draw_trials(1, config.flossing.trial_steps, seed).inputs[: config.flossing.n_steps, :, 0]
            found = floss(config, states, torch.from_numpy(inputs).to(states[0].frame.dtype))
            _flossing_updates(config, states, found)
            yield {
                "spectra": found["flossing exponents"].numpy(),
                "flossing loss": found["flossing loss"].numpy(),
            }
        for state in states if length and epoch > 1 else []:
            state.episodes, state.last_episode = state.episodes + 1, epoch
        found = train(config, states, *epochs.batch(config, epoch, order))
        record = {"loss": found["loss"].numpy()}
        if "readout" in found:
            record["readout"] = found["readout"][:, max(config.task.first_scored_step - 1, 0) :].numpy()
        results = [
            TrainingGradient(
                float(found["loss"][i]), 0.0, Parameters(*(found[f"gradient {n}"][i] for n in Parameters._fields))
            )
            for i in range(len(states))
        ]
        updated = epochs.training_updates([config] * len(states), states, epoch, order, results)
        yield record | {f"norm {n}": np.array([u.gradient_norms[n] for u in updated]) for n in Parameters._fields}


def _parameters(states: list[TrainingState]) -> Parameters:
    return Parameters(*(torch.stack(arrays) for arrays in zip(*(state.parameters for state in states), strict=True)))


def _floss(config: TrainingConfig, states: list[TrainingState], inputs: torch.Tensor) -> general.Named:
    p = _parameters(states)
    frames = torch.stack([state.frame for state in states])
    return general.flossed(config.network, p, p.x0[:, :, 0], frames, inputs, config.flossing.target)


def _floss_by_passes(config: TrainingConfig, states: list[TrainingState], inputs: torch.Tensor) -> general.Named:
    settings, results = config.flossing, []
    for state in states:
        p = state.parameters
        results.append(
            flossing_pass.flossing_gradient(
                config.network, p, p.x0[:, 0], state.frame, inputs, settings.n_steps, settings.target
            )
        )
    found = {
        "flossing exponents": torch.stack([one.exponents for one in results]),
        "flossing loss": torch.tensor([one.loss for one in results]),
    }
    return found | {f"flossing gradient {n}": torch.stack([one.gradients[n] for one in results]) for n in FLOSSED}


def _train(
    config: TrainingConfig, states: list[TrainingState], inputs: torch.Tensor, targets: torch.Tensor
) -> general.Named:
    return general.trained(config.network, _parameters(states), inputs, targets, config.task.first_scored_step)


def _train_by_passes(
    config: TrainingConfig, states: list[TrainingState], inputs: torch.Tensor, targets: torch.Tensor
) -> general.Named:
    inputs, targets = (values.expand(len(states), *values.shape) for values in (inputs, targets))
    network: BuiltIn = config.network  # type: ignore[assignment]
    result = training_pass.gradients_of_losses(
        network, _parameters(states), inputs, targets, config.task.first_scored_step
    )
    return {"loss": result.loss} | {f"gradient {name}": g for name, g in result.gradients._asdict().items()}


def _flossing_updates(config: TrainingConfig, states: list[TrainingState], found: general.Named) -> None:
    """One step of flossing's own Adam on the ws, J and b of every run; the published flossing does not clip."""
    adam = config.optimiser
    rates = Rates(adam.rate, adam.beta1, adam.beta2)
    arrays = [getattr(state.parameters, name) for state in states for name in FLOSSED]
    of = [found[f"flossing gradient {name}"][i] for i in range(len(states)) for name in FLOSSED]
    moments = [state.flossing_adam[name] for state in states for name in FLOSSED]
    updated, after = adam_updates(arrays, of, moments, rates)
    for i, state in enumerate(states):
        own = slice(i * len(FLOSSED), (i + 1) * len(FLOSSED))
        state.parameters = state.parameters._replace(**dict(zip(FLOSSED, updated[own], strict=True)))
        state.flossing_adam = dict(zip(FLOSSED, after[own], strict=True))
