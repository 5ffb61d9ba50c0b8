"""Training with flossing: the schedule of the specification, section 10, one event after the other.

``train`` runs a configuration to its end. ``run`` is the loop itself, a generator of records, for callers that want to
look at, or compare, every update.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import get_args

import torch

from pyflossing._support.arguments import require_callables, require_choice, require_instance
from pyflossing._support.devices import require_device
from pyflossing._support.threads import suitable_threads
from pyflossing.config.settings import TrainingConfig
from pyflossing.training.epochs import Method, epochs_to_run, flossing_episode, training_epoch
from pyflossing.training.history import History
from pyflossing.training.records import Callback, Record
from pyflossing.training.result import TrainingResult
from pyflossing.training.state import TrainingState, initial_state


def run(config: TrainingConfig, state: TrainingState, method: Method = "fused") -> Iterator[Record]:
    """Run the epochs that ``state`` has not seen yet, changing it, and give a record of each update.

    It computes on the device that the state lies on (:meth:`TrainingState.to`).

    Raises:
        NonFiniteError: naming epoch, step and quantity.
    """
    for epoch, order in epochs_to_run(config, state):
        yield from flossing_episode(config, state, epoch, method)
        yield training_epoch(config, state, epoch, order, method)


def train(
    config: TrainingConfig,
    callbacks: Iterable[Callback] = (),
    *,
    method: Method = "fused",
    device: str | torch.device = "cpu",
) -> TrainingResult:
    """Train a network, with flossing as the configuration's schedule says.

    Args:
        config: all settings.
        callbacks: called with every :class:`EpochRecord` and :class:`FlossingRecord`, in order.
        method: "fused" or "autograd"; the same to rounding, the second several times slower.
        device: "cpu"; or "cuda", "cuda:1" for a GPU, where torch sees one. Inputs and initial weights are the same
            numbers everywhere, and what is computed from them the same to rounding. On a GPU the passes in torch run,
            not the compiled ones, and records hold tensors that lie there; the result lies on the CPU.

    Returns:
        losses, accuracies, spectra, parameters, and the configuration itself.

    Raises:
        ValueError: the machine's memory cannot hold the run, naming the setting that weighs most; no configuration; a
            device that is not there, naming those that are.
        NonFiniteError: a number that is not finite, naming epoch, step and quantity.
    """
    require_instance("config", config, (TrainingConfig,))
    require_choice("method", method, get_args(Method))
    place = require_device("device", device)
    history = History()
    called: tuple[Callback, ...] = (history, *require_callables("callbacks", callbacks))
    started = time.perf_counter()
    with suitable_threads(config.n_units):
        state = initial_state(config).to(place)
        initial = state.parameters
        for record in run(config, state, method):
            for callback in called:
                callback(record)
    return history.result(config, initial, state.parameters, time.perf_counter() - started)
