"""One epoch of training, and the episode of flossing before it: trials, gradients, update."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor

from pyflossing._support.errors import NonFiniteError
from pyflossing._support.norms import euclidean_norms
from pyflossing.config.settings import TrainingConfig
from pyflossing.gradients import by_autograd, flossing_pass, training_pass
from pyflossing.gradients.by_autograd import FLOSSED, FlossingGradient, TrainingGradient, mean_over_trials
from pyflossing.julia_random import MersenneTwister
from pyflossing.model.loss import Parameters
from pyflossing.training.optimiser import adam_updates, clip
from pyflossing.training.records import EpochRecord, FlossingRecord
from pyflossing.training.state import TrainingState, dtype_of, flossing_rates_of, rates_of, tensor

_SEEDS_AT_ONCE = 256

Method = Literal["fused", "autograd"]
"""How gradients are computed: by the reverse passes that are written out, or by plain autograd, their check."""

_TRAINING_GRADIENT = {"fused": training_pass.training_gradient, "autograd": by_autograd.training_gradient}
_FLOSSING_GRADIENT = {"fused": flossing_pass.flossing_gradient, "autograd": by_autograd.flossing_gradient}


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


def training_epoch(
    config: TrainingConfig, state: TrainingState, epoch: int, order: npt.NDArray[np.int64], method: Method = "fused"
) -> EpochRecord:
    """A training epoch, whose trials come in the given order, changing ``state``.

    Raises:
        NonFiniteError: naming epoch, step and quantity.
    """
    try:
        device = state.parameters.J.device
        inputs, targets = (x.to(device) for x in batch(config, epoch, order))
        result = _TRAINING_GRADIENT[method](
            config.network, state.parameters, inputs, targets, config.task.first_scored_step
        )
    except NonFiniteError as error:
        raise error.at(epoch) from None
    (record,) = training_updates([config], [state], epoch, order, [result])
    return record


def batch(config: TrainingConfig, epoch: int, order: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Inputs and targets (T, 1, B) from input seed E sIn + e; trial ``order[j]`` starts from column j of x0.

    On the CPU, whose numbers they are on every device.
    """
    trials = config.trials
    data = config.draw_trials(trials.batch_size, trials.n_steps, config.input_seed(epoch))
    # trials are rows in the generator's memory
    inputs, targets = (tensor(array.T[order - 1], dtype_of(config)).permute(2, 1, 0).contiguous() for array in data)
    return inputs, targets


def training_updates(
    configs: Sequence[TrainingConfig],
    states: Sequence[TrainingState],
    epoch: int,
    order: npt.NDArray[np.int64],
    results: Sequence[TrainingGradient],
) -> list[EpochRecord]:
    """One step of training's Adam on every array of every network, each clipped on its own, changing ``states``.

    The configurations have the same settings of the optimiser.
    """
    n_arrays, limit = len(Parameters._fields), configs[0].optimiser.clip_threshold
    before = [state.parameters for state in states]
    adam = [state.training_adam for state in states]
    # the original's training gradients are Float64
    wide = [gradient.double() for result in results for gradient in result.gradients]
    lengths = euclidean_norms(wide)
    clipped = [clip(gradient, limit, length) for gradient, length in zip(wide, lengths, strict=True)]
    arrays = [x for parameters in before for x in parameters]
    moments = [old[name] for old in adam for name in Parameters._fields]
    updated, new = adam_updates(arrays, clipped, moments, rates_of(configs[0]))
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
    updated, states = adam_updates(flossed, clipped, [adam[name] for name in FLOSSED], flossing_rates_of(config))
    state.parameters = before._replace(**dict(zip(FLOSSED, updated, strict=True)))
    state.flossing_adam = dict(zip(FLOSSED, states, strict=True))
    state.flossing_epoch = flossing_epoch
    exponents = result.exponents.double().cpu().numpy()
    return FlossingRecord(epoch, flossing_epoch, exponents, result.loss, before, result.gradients, adam)


def _flossing_gradient(
    config: TrainingConfig, parameters: Parameters, frame: Tensor, seed: int, method: Method
) -> FlossingGradient:
    """Averages over the trials of one flossing epoch."""
    settings, x0 = config.flossing, parameters.x0
    data = config.draw_trials(settings.n_trials, settings.trial_steps, seed)
    of_trials = []
    for trial in range(settings.n_trials):
        inputs = tensor(data.inputs[:, :, trial], dtype_of(config)).to(x0.device)
        x = x0[:, trial % x0.shape[1]]
        of_trials.append(
            _FLOSSING_GRADIENT[method](config.network, parameters, x, frame, inputs, settings.n_steps, settings.target)
        )
    return mean_over_trials(of_trials)


def _trial_orders(first: int, last: int, batch_size: int) -> Iterator[npt.NDArray[np.int64]]:
    """Order of the trials (from 1) in the epochs first..last: a shuffle after reseeding with the epoch's number."""
    for start in range(first, last + 1, _SEEDS_AT_ONCE):
        seeds = range(start, min(start + _SEEDS_AT_ONCE, last + 1))
        for generator in MersenneTwister.from_seeds(seeds):
            yield np.asarray(generator.shuffle(range(1, batch_size + 1)), dtype=np.int64)
