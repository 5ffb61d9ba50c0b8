"""Training with flossing: the schedule of the specification, section 10, one event after the other.

``train`` runs a configuration to its end. ``run`` is the loop itself, a generator of records, for callers that want to
look at, or compare, every update.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import get_args

from pyflossing._support.arguments import require_callables, require_choice, require_instance
from pyflossing._support.threads import suitable_threads
from pyflossing.config.settings import TrainingConfig
from pyflossing.training.epochs import Method, epochs_to_run, flossing_episode, training_epoch
from pyflossing.training.history import History
from pyflossing.training.records import Callback, Record
from pyflossing.training.result import TrainingResult
from pyflossing.training.state import TrainingState, initial_state


def run(config: TrainingConfig, state: TrainingState, method: Method = "fused") -> Iterator[Record]:
    """Run the epochs that ``state`` has not seen yet, changing it, and give a record of each update.

    Raises:
        NonFiniteError: naming epoch, step and quantity.
    """
    for epoch, order in epochs_to_run(config, state):
        yield from flossing_episode(config, state, epoch, method)
        yield training_epoch(config, state, epoch, order, method)


def train(config: TrainingConfig, callbacks: Iterable[Callback] = (), *, method: Method = "fused") -> TrainingResult:
    """Train a network, with flossing as the configuration's schedule says.

    Args:
        config: all settings.
        callbacks: called with every :class:`EpochRecord` and :class:`FlossingRecord`, in order.
        method: "fused" or "autograd"; the same to rounding, the second several times slower.

    Returns:
        losses, accuracies, spectra, parameters, and the configuration itself.

    Raises:
        ValueError: the machine's memory cannot hold the run, naming the setting that weighs most; no configuration.
        NonFiniteError: a number that is not finite, naming epoch, step and quantity.
    """
    require_instance("config", config, (TrainingConfig,))
    require_choice("method", method, get_args(Method))
    history = History()
    called: tuple[Callback, ...] = (history, *require_callables("callbacks", callbacks))
    started = time.perf_counter()
    with suitable_threads(config.n_units):
        state = initial_state(config)
        initial = state.parameters
        for record in run(config, state, method):
            for callback in called:
                callback(record)
    return history.result(config, initial, state.parameters, time.perf_counter() - started)
