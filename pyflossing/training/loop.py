"""Training with flossing: the schedule of SPEC section 7, one event after the other.

``train`` runs a configuration to its end. ``run`` is the loop itself, a generator of records, for callers that want to
look at, or compare, every update.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pyflossing._support.errors import NonFiniteError
from pyflossing.config.settings import TrainingConfig
from pyflossing.gradients import by_autograd as gradients
from pyflossing.gradients import flossing_pass, training_pass
from pyflossing.gradients.by_autograd import FLOSSED
from pyflossing.julia_random import MersenneTwister
from pyflossing.model.loss import Parameters, relax
from pyflossing.model.spectrum import initial_frame
from pyflossing.model.weights import initial_weights
from pyflossing.training.optimiser import AdamState, Rates, adam_updates, clip
from pyflossing.training.result import TrainingResult, versions

_SEEDS_AT_ONCE = 256


@dataclass(frozen=True)
class EpochRecord:
    """One training epoch.

    Attributes:
        epoch: from 1.
        loss, accuracy: before the update.
        gradient_norms: Euclidean norm of every array's gradient before clipping.
        trial_order: (B,), from 1.
        parameters, gradients, adam: what the update started from; not to be changed.
        updated: the parameters after it.
    """

    epoch: int
    loss: float
    accuracy: float
    gradient_norms: dict[str, float]
    trial_order: npt.NDArray[np.int64]
    parameters: Parameters
    gradients: Parameters
    adam: dict[str, AdamState]
    updated: Parameters


@dataclass(frozen=True)
class FlossingRecord:
    """One flossing epoch.

    Attributes:
        epoch: the training epoch that it precedes, from 1.
        flossing_epoch: its number within the episode, from 1.
        exponents: (k,), 1/step, before the update.
        loss: mean squared distance from the target, 1/step^2.
        parameters, gradients, adam: what the update started from; not to be changed.
    """

    epoch: int
    flossing_epoch: int
    exponents: npt.NDArray[np.float64]
    loss: float
    parameters: Parameters
    gradients: dict[str, Tensor]
    adam: dict[str, AdamState]


Record = EpochRecord | FlossingRecord
Callback = Callable[[Record], None]

Method = Literal["fused", "autograd"]
"""How gradients are computed: by the reverse passes that are written out, or by plain autograd, their check."""

_TRAINING_GRADIENT = {"fused": training_pass.training_gradient, "autograd": gradients.training_gradient}
_FLOSSING_GRADIENT = {"fused": flossing_pass.flossing_gradient, "autograd": gradients.flossing_gradient}


@dataclass
class TrainingState:
    """Everything that the next epoch depends on.

    Attributes:
        parameters: the current ones.
        training_adam, flossing_adam: the two optimisers' states, by parameter.
        epoch: training epochs completed.
        episodes: inter-episodes of flossing that have run.
        last_episode: the epoch before which the latest one ran.
        initial_state_norm: norm of the loss gradient of x0 in the latest epoch.
        flossing_epoch: flossing epochs completed before the next training epoch.
        frame: initial frame of the exponents; the same in all episodes.
    """

    parameters: Parameters
    training_adam: dict[str, AdamState]
    flossing_adam: dict[str, AdamState]
    epoch: int = 0
    episodes: int = 0
    last_episode: int | None = None
    initial_state_norm: float | None = None
    flossing_epoch: int = 0
    frame: Tensor = field(default_factory=lambda: torch.empty(0, 0))


def initial_parameters(config: TrainingConfig) -> Parameters:
    """Weights and relaxed initial state of a configuration, in its type (SPEC section 4).

    Shapes: ws (N, 1), J (N, N), wr (1, N), b (N,), offset (1,), x0 (n_states, B).
    """
    weights = initial_weights(config.n_units, config.seeds.network, config.weights)
    normals = MersenneTwister(config.seeds.initial_state).randn((config.n_units, config.trials.batch_size), np.float32)
    dtype = _dtype(config)
    ws, j, wr, b, offset = (_tensor(array, dtype) for array in weights)
    return Parameters(ws, j, wr, b, offset, relax(config.network, j, b, _tensor(normals, dtype)))


def initial_state(config: TrainingConfig) -> TrainingState:
    """The state before the first epoch."""
    parameters = initial_parameters(config)
    rates = _rates(config)
    return TrainingState(
        parameters,
        {name: AdamState.fresh(p, rates) for name, p in parameters._asdict().items()},
        {name: AdamState.fresh(getattr(parameters, name), rates) for name in FLOSSED},
        frame=initial_frame(config.n_states, config.flossing.n_exponents, config.seeds.frame, like=parameters.J),
    )


def run(config: TrainingConfig, state: TrainingState, method: Method = "fused") -> Iterator[Record]:
    """Run the epochs that ``state`` has not seen yet, changing it, and give a record of each update.

    Raises:
        NonFiniteError: naming epoch, step and quantity.
    """
    for epoch, order in epochs_to_run(config, state):
        yield from flossing_episode(config, state, epoch, method)
        try:
            inputs, targets = batch(config, epoch, order)
            result = _TRAINING_GRADIENT[method](
                config.network, state.parameters, inputs, targets, config.task.first_scored_step
            )
        except NonFiniteError as error:
            raise error.at(epoch) from None
        yield from training_updates([config], [state], epoch, order, [result])


def epochs_to_run(config: TrainingConfig, state: TrainingState) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """The training epochs that ``state`` has not seen, each with the order of its trials (from 1)."""
    orders = _trial_orders(state.epoch + 1, config.n_epochs, config.trials.batch_size)
    return zip(range(state.epoch + 1, config.n_epochs + 1), orders, strict=True)


def flossing_episode(
    config: TrainingConfig, state: TrainingState, epoch: int, method: Method = "fused"
) -> Iterator[FlossingRecord]:
    """The flossing epochs, if any, that come before a training epoch, changing ``state``.

    Raises:
        NonFiniteError: naming epoch, flossing epoch, step and quantity.
    """
    length = config.flossing.schedule.episode_length(
        epoch, state.episodes, state.initial_state_norm, state.last_episode
    )
    for flossing_epoch in range(state.flossing_epoch + 1, length + 1 if config.flossing.n_exponents else 1):
        try:
            yield _flossing_epoch(config, state, epoch, flossing_epoch, method)
        except NonFiniteError as error:
            raise error.at(epoch, flossing_epoch) from None
    if length and epoch > 1:
        state.episodes, state.last_episode = state.episodes + 1, epoch


def train(config: TrainingConfig, callbacks: Iterable[Callback] = (), *, method: Method = "fused") -> TrainingResult:
    """Train a network, with flossing as the configuration's schedule says.

    Args:
        config: all settings.
        callbacks: called with every :class:`EpochRecord` and :class:`FlossingRecord`, in order.
        method: "fused" or "autograd"; the same to rounding, the second several times slower.

    Returns:
        losses, accuracies, spectra, parameters, and the configuration itself.

    Raises:
        NonFiniteError: a number that is not finite, naming epoch, step and quantity.
    """
    history = History()
    called: tuple[Callback, ...] = (history, *callbacks)
    started = time.perf_counter()
    with suitable_threads(config.n_units):
        state = initial_state(config)
        initial = state.parameters
        for record in run(config, state, method):
            for callback in called:
                callback(record)
    return history.result(config, initial, state.parameters, time.perf_counter() - started)


class History:
    """Collects the numbers of a run; not the records, whose parameters would fill the memory."""

    def __init__(self) -> None:
        self._epochs: list[tuple[float, float]] = []
        self._norms: dict[str, list[float]] = {name: [] for name in Parameters._fields}
        self._orders: list[npt.NDArray[np.int64]] = []
        self._flossing: list[tuple[int, int, float]] = []
        self._spectra: list[npt.NDArray[np.float64]] = []

    def __call__(self, record: Record) -> None:
        if isinstance(record, EpochRecord):
            self._epochs.append((record.loss, record.accuracy))
            self._orders.append(record.trial_order)
            for name, norm in record.gradient_norms.items():
                self._norms[name].append(norm)
        else:
            self._flossing.append((record.epoch, record.flossing_epoch, record.loss))
            self._spectra.append(record.exponents)

    def series(self, config: TrainingConfig) -> dict[str, npt.NDArray[Any]]:
        """The numbers so far, under their names in ``TrainingResult.arrays``."""
        epochs = np.array(self._epochs, dtype=np.float64).reshape(-1, 2)
        flossing = np.array(self._flossing, dtype=np.float64).reshape(-1, 3)
        k = config.flossing.n_exponents
        norms = {f"gradient_norms/{name}": np.array(norms, dtype=np.float64) for name, norms in self._norms.items()}
        return norms | {
            "loss": epochs[:, 0].copy(),
            "accuracy": epochs[:, 1].copy(),
            "spectra": np.array(self._spectra, dtype=np.float64).reshape(-1, k) if k else np.empty((0, 0)),
            "flossing_loss": flossing[:, 2].copy(),
            "flossing_epochs": flossing[:, :2].astype(np.int64),
            "trial_order": np.array(self._orders, dtype=np.int64).reshape(-1, config.trials.batch_size),
        }

    @classmethod
    def from_series(cls, series: Mapping[str, npt.NDArray[Any]]) -> History:
        """The history whose numbers so far are these."""
        history = cls()
        history._epochs = list(zip(series["loss"].tolist(), series["accuracy"].tolist(), strict=True))
        history._norms = {name: series[f"gradient_norms/{name}"].tolist() for name in Parameters._fields}
        history._orders = list(series["trial_order"])
        places, losses = series["flossing_epochs"].tolist(), series["flossing_loss"].tolist()
        history._flossing = [(epoch, i, loss) for (epoch, i), loss in zip(places, losses, strict=True)]
        history._spectra = list(series["spectra"])
        return history

    def result(
        self, config: TrainingConfig, initial: Parameters, final: Parameters, elapsed_seconds: float
    ) -> TrainingResult:
        series = self.series(config)
        norms = {name: series.pop(f"gradient_norms/{name}") for name in Parameters._fields}
        return TrainingResult(
            config=config,
            **series,
            gradient_norms=norms,
            initial=_arrays(initial),
            final=_arrays(final),
            versions=versions(),
            elapsed_seconds=elapsed_seconds,
        )


def _arrays(parameters: Parameters) -> dict[str, npt.NDArray[np.floating]]:
    return {name: p.detach().cpu().numpy().copy() for name, p in parameters._asdict().items()}


_UNITS_FOR_THREADS = 256
"""Where more threads begin to pay: with two, N = 160 took 0.98 to 1.4 times as long, N = 320 0.79 to 0.85 times."""


@contextmanager
def suitable_threads(n_units: int) -> Iterator[None]:
    """Torch on one thread for small networks, on the caller's number for large ones; the setting is restored."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if n_units < _UNITS_FOR_THREADS else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def batch(config: TrainingConfig, epoch: int, order: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Inputs and targets (T, 1, B) from input seed E sIn + e; trial ``order[j]`` starts from column j of x0."""
    trials = config.trials
    data = config.draw_trials(trials.batch_size, trials.n_steps, config.input_seed(epoch))
    # trials are rows in the generator's memory
    inputs, targets = (_tensor(array.T[order - 1], _dtype(config)).permute(2, 1, 0).contiguous() for array in data)
    return inputs, targets


def training_updates(
    configs: Sequence[TrainingConfig],
    states: Sequence[TrainingState],
    epoch: int,
    order: npt.NDArray[np.int64],
    results: Sequence[gradients.TrainingGradient],
) -> list[EpochRecord]:
    """One step of training's Adam on every array of every network, each clipped on its own, changing ``states``.

    The configurations have the same settings of the optimiser.
    """
    n_arrays, limit = len(Parameters._fields), configs[0].optimiser.clip_threshold
    before = [state.parameters for state in states]
    adam = [state.training_adam for state in states]
    # the original's training gradients are Float64
    wide = [gradient.double() for result in results for gradient in result.gradients]
    lengths = [float(torch.linalg.vector_norm(gradient)) for gradient in wide]
    clipped = [clip(gradient, limit, length) for gradient, length in zip(wide, lengths, strict=True)]
    arrays = [x for parameters in before for x in parameters]
    moments = [old[name] for old in adam for name in Parameters._fields]
    updated, new = adam_updates(arrays, clipped, moments, _rates(configs[0]))
    records = []
    for i, (state, result) in enumerate(zip(states, results, strict=True)):
        own = slice(i * n_arrays, (i + 1) * n_arrays)
        norms = dict(zip(Parameters._fields, lengths[own], strict=True))
        state.parameters = Parameters(*updated[own])
        state.training_adam = dict(zip(Parameters._fields, new[own], strict=True))
        state.epoch, state.flossing_epoch, state.initial_state_norm = epoch, 0, norms["x0"]
        records.append(
            EpochRecord(
                epoch,
                result.loss,
                result.accuracy,
                norms,
                order,
                before[i],
                result.gradients,
                adam[i],
                state.parameters,
            )
        )
    return records


def _flossing_epoch(
    config: TrainingConfig, state: TrainingState, epoch: int, flossing_epoch: int, method: Method
) -> FlossingRecord:
    """Trials from input seed E sIn + e + i, one step of flossing's own Adam on ws, J and b."""
    settings = config.flossing
    before, adam = state.parameters, state.flossing_adam
    seed = config.input_seed(epoch + flossing_epoch)
    result = _flossing_gradient(config, before, state.frame, seed, method)
    clipped = [clip(result.gradients[name], settings.clip_threshold) for name in FLOSSED]
    flossed = [getattr(before, name) for name in FLOSSED]
    updated, states = adam_updates(flossed, clipped, [adam[name] for name in FLOSSED], _rates(config))
    state.parameters = before._replace(**dict(zip(FLOSSED, updated, strict=True)))
    state.flossing_adam = dict(zip(FLOSSED, states, strict=True))
    state.flossing_epoch = flossing_epoch
    exponents = result.exponents.double().numpy()
    return FlossingRecord(epoch, flossing_epoch, exponents, result.loss, before, result.gradients, adam)


def _flossing_gradient(
    config: TrainingConfig, parameters: Parameters, frame: Tensor, seed: int, method: Method
) -> gradients.FlossingGradient:
    """Averages over the trials of one flossing epoch."""
    settings, x0 = config.flossing, parameters.x0
    data = config.draw_trials(settings.n_trials, settings.trial_steps, seed)
    of_trials = []
    for trial in range(settings.n_trials):
        inputs, x = _tensor(data.inputs[:, :, trial], _dtype(config)), x0[:, trial % x0.shape[1]]
        of_trials.append(
            _FLOSSING_GRADIENT[method](config.network, parameters, x, frame, inputs, settings.n_steps, settings.target)
        )
    return gradients.mean_over_trials(of_trials)


def _trial_orders(first: int, last: int, batch_size: int) -> Iterator[npt.NDArray[np.int64]]:
    """Order of the trials (from 1) in the epochs first..last: a shuffle after reseeding with the epoch's number."""
    for start in range(first, last + 1, _SEEDS_AT_ONCE):
        seeds = range(start, min(start + _SEEDS_AT_ONCE, last + 1))
        for generator in MersenneTwister.from_seeds(seeds):
            yield np.asarray(generator.shuffle(range(1, batch_size + 1)), dtype=np.int64)


def _dtype(config: TrainingConfig) -> torch.dtype:
    return torch.float64 if config.dtype == "float64" else torch.float32


def _tensor(array: npt.NDArray[np.float32], dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(dtype)


def _rates(config: TrainingConfig) -> Rates:
    return Rates(config.optimiser.rate, config.optimiser.beta1, config.optimiser.beta2)
