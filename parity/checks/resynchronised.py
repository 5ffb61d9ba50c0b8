"""Checks of single epochs of training: each of ours starts from where Julia's run is before that epoch.

Our epoch runs as in any run of ours: it finds out by itself whether flossing or training is next, draws trials, their
order and their seed, and computes loss, exponents and gradients. Our updates start from Julia's gradients too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from parity.bridge.connection import JuliaConnection
from parity.checks.cases import PARAMETERS
from parity.checks.comparators import Estimate
from parity.checks.evaluate import estimates
from parity.checks.julia_run import JuliaEpoch, Moments, julia_epochs
from parity.checks.model import Array, Arrays
from parity.checks.updates import UPDATE_CAUSE, adam_state, update_bound
from pyflossing._support.threads import suitable_threads
from pyflossing.config import TrainingConfig
from pyflossing.gradients.by_autograd import FLOSSED, TrainingGradient
from pyflossing.model.loss import Parameters
from pyflossing.training import epochs, loop, optimiser, records
from pyflossing.training.state import TrainingState

Titled = Sequence[tuple[str, TrainingConfig]]
"""Configurations, each with a title for the report."""
_EPOCHS, _FLOSSING, _UPDATED = (0, 2), (0, 1, -1), (0, 1, -2)


def epochs_of(julia: JuliaConnection, config: TrainingConfig, places: Sequence[int]) -> list[JuliaEpoch]:
    """Training epochs of Julia's run, by place among them."""
    found = [epoch for epoch in julia_epochs(julia, config) if not epoch.flossing_epoch]
    return [found[place] for place in places]


def flossing_of(julia: JuliaConnection, config: TrainingConfig, places: Sequence[int]) -> list[JuliaEpoch]:
    """Flossing epochs of Julia's run, by place among them."""
    found = [epoch for epoch in julia_epochs(julia, config) if epoch.flossing_epoch]
    return [found[place] for place in places]


def _title(title: str, of: JuliaEpoch) -> str:
    before = f"before epoch {of.epoch}, flossing epoch {of.flossing_epoch}"
    return f"{title} {before if of.flossing_epoch else f'epoch {of.epoch}'}"


def _chosen(titled: Titled, julia: JuliaConnection, flossing: bool) -> Iterator[tuple[str, TrainingConfig, JuliaEpoch]]:
    for title, config in titled:
        found = flossing_of(julia, config, _FLOSSING) if flossing else epochs_of(julia, config, _EPOCHS)
        for of in found:
            yield _title(title, of), config, of


def training_epochs(titled: Titled, julia: JuliaConnection) -> Arrays:
    """Ours: loss, accuracy and gradients of training epochs, with the bounds of a trajectory from these parameters."""
    return _epochs(titled, julia, flossing=False)


def flossing_epochs(titled: Titled, julia: JuliaConnection) -> Arrays:
    """Ours: exponents, loss and gradients of flossing epochs, likewise."""
    return _epochs(titled, julia, flossing=True)


def _epochs(titled: Titled, julia: JuliaConnection, flossing: bool) -> Arrays:
    results: dict[str, Any] = {}
    for title, config, of in _chosen(titled, julia, flossing):
        limits: Any = estimates(of.case, config.dtype)
        ours = numbers(next_record(config, of), config.dtype)
        results |= {f"{title}: {name}": replace(limits[name], values=values) for name, values in ours.items()}
    return results


def numbers(record: records.Record, dtype: str) -> dict[str, Array]:
    """What an epoch of ours has computed, under the names of ``evaluate``."""
    if isinstance(record, records.EpochRecord):
        ours: dict[str, Any] = {"loss": np.float64(record.loss), "accuracy": np.float64(record.accuracy)}
        return ours | {f"gradient {name}": values.numpy() for name, values in record.gradients._asdict().items()}
    ours = {"flossing exponents": record.exponents.astype(dtype), "flossing loss": np.float64(record.loss)}
    return ours | {f"flossing gradient {name}": values.numpy() for name, values in record.gradients.items()}


def julia_training_epochs(titled: Titled, julia: JuliaConnection) -> Arrays:
    """Julia's numbers of ``training_epochs``."""
    return _answers(titled, julia, flossing=False)


def julia_flossing_epochs(titled: Titled, julia: JuliaConnection) -> Arrays:
    """Julia's numbers of ``flossing_epochs``."""
    return _answers(titled, julia, flossing=True)


def _answers(titled: Titled, julia: JuliaConnection, flossing: bool) -> Arrays:
    return {
        f"{title}: {name}": values
        for title, _, of in _chosen(titled, julia, flossing)
        for name, values in of.answer.items()
    }


def next_record(config: TrainingConfig, of: JuliaEpoch) -> records.Record:
    """What our run does next from where Julia's is."""
    with suitable_threads(config.n_units):
        return next(loop.run(config, _state(config, of)))


def _state(config: TrainingConfig, of: JuliaEpoch) -> TrainingState:
    """Our state; of the two optimisers only the one that comes next counts its updates rightly."""
    rates = _rates(config)
    episode = config.flossing.schedule.episode_length(of.epoch, of.episodes, None, None)
    return TrainingState(
        _parameters(of),
        _memory(of.training, of.number, rates),
        _memory(of.flossing, of.number, rates),
        epoch=of.epoch - 1,
        episodes=of.episodes,
        flossing_epoch=of.flossing_epoch - 1 if of.flossing_epoch else episode,
        frame=_tensor(of.frame),
    )


def _parameters(of: JuliaEpoch) -> Parameters:
    return Parameters(*(_tensor(of.parameters[name]) for name in PARAMETERS))


def _memory(moments: Moments, number: int, rates: optimiser.Rates) -> dict[str, optimiser.AdamState]:
    return {name: adam_state(_tensor(m), _tensor(v), number, rates) for name, (m, v) in moments.items()}


def _rates(config: TrainingConfig) -> optimiser.Rates:
    settings = config.optimiser
    return optimiser.Rates(settings.rate, settings.beta1, settings.beta2)


def _tensor(values: Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))


def _updates_of(titled: Titled, julia: JuliaConnection) -> Iterator[tuple[str, TrainingConfig, JuliaEpoch]]:
    for title, config in titled:
        for of in [*epochs_of(julia, config, _UPDATED), *flossing_of(julia, config, _FLOSSING)]:
            yield _title(title, of), config, of


def updates(titled: Titled, julia: JuliaConnection) -> Arrays:
    """Ours: parameters and moments after clipping and Adam, with bounds of a few roundings."""
    results: dict[str, Any] = {}
    for title, config, of in _updates_of(titled, julia):
        moments = of.flossing if of.flossing_epoch else of.training
        for name, parts in update(config, of).items():
            before = dict(zip("xmv", (of.parameters[name], *moments[name]), strict=True))
            for part, values in parts.items():
                bound = update_bound(part, before[part], values)
                results[f"{title}: {name} {part}"] = Estimate(values, bound, UPDATE_CAUSE)
    return results


def julia_updates(titled: Titled, julia: JuliaConnection) -> Arrays:
    """Julia's numbers of ``updates``."""
    return {
        f"{title}: {name}": values for title, _, of in _updates_of(titled, julia) for name, values in of.after.items()
    }


def update(config: TrainingConfig, of: JuliaEpoch) -> dict[str, dict[str, Array]]:
    """By parameter, "x", "m" and "v" after our clipping and Adam, from Julia's gradients."""
    return _flossing_update(config, of) if of.flossing_epoch else _training_update(config, of)


def _training_update(config: TrainingConfig, of: JuliaEpoch) -> dict[str, dict[str, Array]]:
    state = _state(config, of)
    given = Parameters(*(_tensor(of.gradients[name]) for name in PARAMETERS))
    result = TrainingGradient(float(of.answer["loss"]), float(of.answer["accuracy"]), given)
    order = np.arange(1, config.trials.batch_size + 1)  # it only goes into the record
    epochs.training_updates([config], [state], of.epoch, order, [result])
    return _parts(state.parameters._asdict(), state.training_adam)


def _flossing_update(config: TrainingConfig, of: JuliaEpoch) -> dict[str, dict[str, Array]]:
    arrays, given = ([_tensor(source[name]) for name in FLOSSED] for source in (of.parameters, of.gradients))
    clipped = [optimiser.clip(gradient, config.flossing.clip_threshold) for gradient in given]
    rates = _rates(config)
    memory = _memory(of.flossing, of.number, rates)
    updated, after = optimiser.adam_updates(arrays, clipped, [memory[name] for name in FLOSSED], rates)
    return _parts(dict(zip(FLOSSED, updated, strict=True)), dict(zip(FLOSSED, after, strict=True)))


def _parts(arrays: dict[str, torch.Tensor], memory: dict[str, optimiser.AdamState]) -> dict[str, dict[str, Array]]:
    return {
        name: {"x": x.numpy(), "m": memory[name].m.numpy(), "v": memory[name].v.numpy()} for name, x in arrays.items()
    }
