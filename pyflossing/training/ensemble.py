"""Networks that differ in their seeds alone, trained in lock-step: in torch an epoch of all is one batched pass.

Each network's numbers are those of :func:`pyflossing.training.train`: bit for bit with the compiled passes, which take
one network after the other, and to rounding in torch (tests show it). Flossing epochs run one after the other: they are
QR decompositions for the most part, which gain nothing from a batch on one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields

import numpy as np
import numpy.typing as npt
import torch

from pyflossing._support.devices import require_device
from pyflossing._support.errors import NonFiniteError
from pyflossing._support.threads import suitable_threads
from pyflossing.config.settings import TrainingConfig
from pyflossing.gradients.by_autograd import TrainingGradient, require_finite_gradients
from pyflossing.gradients.training_pass import gradients_of_losses, training_gradient
from pyflossing.model.loss import Parameters
from pyflossing.model.networks import BUILT_IN
from pyflossing.training.epochs import batch, epochs_to_run, flossing_episode, training_updates
from pyflossing.training.history import History
from pyflossing.training.records import Record
from pyflossing.training.result import TrainingResult
from pyflossing.training.state import TrainingState, initial_state

MemberCallback = Callable[[int, Record], None]

_AT_ONCE = 9
"""Networks in one pass: more gain little, and every one needs memory for its states."""

_STATES_AT_ONCE = 2**28
"""Numbers in the states of a pass on a GPU, 1 GB in Float32; there the time of small networks is that of the calls,
however many networks they are for."""


def train_ensemble(
    configs: Iterable[TrainingConfig], callbacks: Iterable[MemberCallback] = (), *, device: str | torch.device = "cpu"
) -> list[TrainingResult]:
    """Train networks that differ in their seeds alone.

    Args:
        configs: any number, with the same settings but ``seeds``.
        callbacks: called with a network's index (from 0) and each of its records, in order.
        device: as in :func:`pyflossing.train`.

    Returns:
        One result for each configuration, as :func:`pyflossing.train` gives it, in torch to rounding;
        ``elapsed_seconds`` is the whole time divided by the number of networks.

    Raises:
        ValueError: configurations that differ in more than their seeds, or a network of another class than the three
            built-in ones, for which there is no batched pass; a device that is not there.
        NonFiniteError: a number that is not finite, naming network, epoch, step and quantity.
    """
    members = list(configs)
    _require_one_kind(members)
    place = require_device("device", device)
    histories = [History() for _ in members]
    called = tuple(callbacks)
    started = time.perf_counter()
    with suitable_threads(members[0].n_units if members else 0):
        states = [initial_state(config).to(place) for config in members]
        initial = [state.parameters for state in states]
        for member, record in run_ensemble(members, states):
            histories[member](record)
            for callback in called:
                callback(member, record)
    seconds = (time.perf_counter() - started) / max(1, len(members))
    return [
        history.result(config, first, state.parameters, seconds)
        for history, config, first, state in zip(histories, members, initial, states, strict=True)
    ]


def run_ensemble(configs: Sequence[TrainingConfig], states: Sequence[TrainingState]) -> Iterator[tuple[int, Record]]:
    """Run the epochs that the states, all at the same epoch, have not seen yet; indices with records of each update."""
    if not configs:
        return
    for epoch, order in epochs_to_run(configs[0], states[0]):
        for member, (config, state) in enumerate(zip(configs, states, strict=True)):
            try:
                for record in flossing_episode(config, state, epoch):
                    yield member, record
            except NonFiniteError as error:
                raise _of_member(error, member, config) from None
        at_once = _networks_at_once(configs[0], states[0].parameters.J.device)
        for start in range(0, len(configs), at_once):
            stop = start + at_once
            ours, theirs = configs[start:stop], states[start:stop]
            results = _gradients(ours, theirs, epoch, order, start)
            yield from enumerate(training_updates(ours, theirs, epoch, order, results), start)


def _networks_at_once(config: TrainingConfig, device: torch.device) -> int:
    if device.type == "cpu":
        return _AT_ONCE
    return max(_AT_ONCE, _STATES_AT_ONCE // (config.n_units * config.trials.batch_size * config.trials.n_steps))


def _gradients(
    configs: Sequence[TrainingConfig],
    states: Sequence[TrainingState],
    epoch: int,
    order: npt.NDArray[np.int64],
    first_member: int,
) -> list[TrainingGradient]:
    network, first = configs[0].network, configs[0].task.first_scored_step
    batches = [batch(config, epoch, order) for config in configs]
    parameters = Parameters(*(torch.stack(arrays) for arrays in zip(*(s.parameters for s in states), strict=True)))
    device = parameters.J.device
    inputs, targets = (torch.stack(arrays).to(device) for arrays in zip(*batches, strict=True))
    stacked = gradients_of_losses(network, parameters, inputs, targets, first)  # type: ignore[arg-type]
    losses, accuracies = torch.stack([stacked.loss, stacked.accuracy]).tolist()
    finite = stacked.finite and stacked.finite_gradients
    results = []
    for i, (config, state) in enumerate(zip(configs, states, strict=True)):
        gradients = Parameters(*(gradient[i] for gradient in stacked.gradients))
        if not finite:
            try:  # at least one network's numbers; alone it says where
                training_gradient(network, state.parameters, inputs[i], targets[i], first)
                require_finite_gradients(gradients._asdict())
            except NonFiniteError as error:
                raise _of_member(error.at(epoch), first_member + i, config) from None
        results.append(TrainingGradient(losses[i], accuracies[i], gradients))
    return results


def _of_member(error: NonFiniteError, member: int, config: TrainingConfig) -> NonFiniteError:
    return NonFiniteError(
        f"network {member} of the ensemble ({config.seeds}): {error.message}",
        quantity=error.quantity,
        step=error.step,
        epoch=error.epoch,
        flossing_epoch=error.flossing_epoch,
    )


def _require_one_kind(configs: Sequence[TrainingConfig]) -> None:
    for member, config in enumerate(configs):
        if type(config.network) not in BUILT_IN:
            raise ValueError(
                f"configs[{member}].network = {config.network!r} is not allowed: an ensemble's networks must be one of "
                f"{', '.join(kind.__name__ for kind in BUILT_IN)}"
            )
        for name in (field.name for field in fields(TrainingConfig) if field.name != "seeds"):
            ours, first = getattr(config, name), getattr(configs[0], name)
            if ours != first:
                raise ValueError(
                    f"configs[{member}].{name} = {ours!r} is not allowed: it must be that of configs[0], {first!r}; an "
                    "ensemble's configurations differ in their seeds alone"
                )
