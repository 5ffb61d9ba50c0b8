"""A run of our Julia, one epoch after the other, each by calls of its own.

It is the run that Julia makes by itself in ``train_network``, bit for bit (a test shows it). All of it are answers of
Julia: initial weights, trials and their order, gradients, parameters, moments. So what Julia is asked never depends on
a number that was computed here, and a transcript answers it on every machine.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, cast

import numpy as np

from parity.bridge.connection import JuliaConnection
from parity.checks.cases import PARAMETERS, Case, julia_network
from parity.checks.model import Array
from parity.checks.trajectory import julia_flossing, julia_training
from parity.checks.updates import CLIP
from pyflossing.config import TrainingConfig
from pyflossing.gradients.by_autograd import FLOSSED

Moments = dict[str, tuple[Array, Array]]


@dataclass(frozen=True, eq=False)
class JuliaEpoch:
    """One training or flossing epoch of a run.

    Attributes:
        epoch: the training epoch, from 1.
        flossing_epoch: its number within the episode that precedes that epoch, from 1; 0 for the training epoch itself.
        episodes: inter-episodes that have run before.
        number: of its update, from 1; training and flossing count their own.
        parameters, frame: before the epoch.
        case: network, parameters and trials.
        answer: what Julia computed for the case; the names are those of ``evaluate``.
        training, flossing: moments m and v of both optimisers, before the epoch.
        after: "NAME x", "NAME m", "NAME v" after the update, by parameter.
    """

    epoch: int
    flossing_epoch: int
    episodes: int
    number: int
    parameters: dict[str, Array]
    frame: Array
    case: Case
    answer: dict[str, Any]
    training: Moments
    flossing: Moments
    after: dict[str, Array]

    @property
    def gradients(self) -> dict[str, Array]:
        """The gradient that Julia found, by parameter."""
        prefix = "flossing gradient " if self.flossing_epoch else "gradient "
        return {name.removeprefix(prefix): g for name, g in self.answer.items() if name.startswith(prefix)}


def julia_epochs(julia: JuliaConnection, config: TrainingConfig) -> tuple[JuliaEpoch, ...]:
    """All epochs of a run, in order; the same objects each time."""
    return _remembered(cast(Hashable, julia), config)


@lru_cache(maxsize=64)
def _remembered(julia: Hashable, config: TrainingConfig) -> tuple[JuliaEpoch, ...]:
    return tuple(run_epochs(cast(JuliaConnection, julia), config))


def run_epochs(julia: JuliaConnection, config: TrainingConfig) -> Iterator[JuliaEpoch]:
    """The epochs of a run as Julia computes them, in order; nothing is kept of those that have been given."""
    E, Ef, Ei, Ep, Ni, B = config.to_legacy()[1:7]
    lengths = np.asarray(julia.call("episode_lengths", E, Ef, Ei, Ep, Ni)).tolist()
    orders = np.asarray(julia.call("trial_order", E, B))
    parameters, frame = start(julia, config)
    training, flossing = (_zeros(parameters, names) for names in (PARAMETERS, FLOSSED))
    episodes, n_flossed = 0, 0
    for epoch, length in enumerate(lengths, 1):
        for i in range(1, length + 1):
            n_flossed += 1
            case = flossing_case(julia, config, epoch + i, parameters, frame)
            answer = julia_flossing(julia, case, config.dtype)
            made = JuliaEpoch(epoch, i, episodes, n_flossed, parameters, frame, case, answer, training, flossing, {})
            made = replace(made, after=_update(julia, config, made))
            yield made
            parameters, flossing = _moved(parameters, flossing, made.after)
        episodes += bool(length and epoch > 1)
        case = training_case(julia, config, epoch, orders[:, epoch - 1], parameters)
        answer = julia_training(julia, case, config.dtype)
        made = JuliaEpoch(epoch, 0, episodes, epoch, parameters, frame, case, answer, training, flossing, {})
        made = replace(made, after=_update(julia, config, made))
        yield made
        parameters, training = _moved(parameters, training, made.after)


def start(julia: JuliaConnection, config: TrainingConfig) -> tuple[dict[str, Array], Array]:
    """Parameters before the first epoch, and the frame, in the run's type."""
    legacy = config.to_legacy()
    n_units, batch, (initial_state, _, network, frame) = legacy[0], legacy[6], legacy[11:15]
    coupling, gain, mean = legacy[18:21]
    weights = julia.call("initial_weights", n_units, 1, network, coupling, gain, mean, *legacy[23:29])
    assert isinstance(weights, dict)
    parameters = {name: np.asarray(values).astype(config.dtype) for name, values in weights.items()}
    of_network = julia_network(config.network)
    x0 = julia.call("initial_state", *of_network, parameters["J"], parameters["b"], initial_state, batch)
    drawn = julia.call("initial_frame", config.n_states, legacy[29], frame, np.zeros(1, config.dtype))
    assert isinstance(drawn, dict)
    return parameters | {"x0": np.asarray(x0)}, np.asarray(drawn["Q"])


def _zeros(parameters: dict[str, Array], names: tuple[str, ...]) -> Moments:
    return {name: (np.zeros_like(parameters[name]), np.zeros_like(parameters[name])) for name in names}


def _moved(parameters: dict[str, Array], moments: Moments, after: dict[str, Array]) -> tuple[dict[str, Array], Moments]:
    """Parameters and the moments of one optimiser after its update."""
    return parameters | {name: after[f"{name} x"] for name in moments}, {
        name: (after[f"{name} m"], after[f"{name} v"]) for name in moments
    }


def _update(julia: JuliaConnection, config: TrainingConfig, made: JuliaEpoch) -> dict[str, Array]:
    """Training widens its gradients to Float64 and clips them; flossing does neither."""
    rates = config.to_legacy()[15:18]
    after: dict[str, Array] = {}
    for name, gradient in made.gradients.items():
        m, v = (made.flossing if made.flossing_epoch else made.training)[name]
        given = gradient if made.flossing_epoch else gradient.astype(np.float64)
        limit = np.inf if made.flossing_epoch else CLIP
        answer = julia.call("adam_update", made.parameters[name], given, m, v, made.number, *rates, limit)
        assert isinstance(answer, dict)
        after |= {f"{name} {part}": np.asarray(values) for part, values in answer.items()}
    return after


def _trials(julia: JuliaConnection, config: TrainingConfig, n: int, steps: int, index: int) -> tuple[Array, Array]:
    """Input and target of the seed E sIn + index."""
    legacy = config.to_legacy()
    seed = int(legacy[1]) * int(legacy[12]) + index
    answer = julia.call("generateInputOutput", n, steps, seed, 1, legacy[21], legacy[22], legacy[30])
    assert isinstance(answer, tuple)
    return np.asarray(answer[0]), np.asarray(answer[1])


def training_case(
    julia: JuliaConnection, config: TrainingConfig, epoch: int, order: Array, parameters: dict[str, Array]
) -> Case:
    """A training epoch from these parameters, its trials in the epoch's order (from 1)."""
    trials = config.trials
    inputs, targets = _trials(julia, config, trials.batch_size, trials.n_steps, epoch)
    return Case(
        f"epoch {epoch}",
        config.network,
        parameters,
        inputs[:, :, order - 1],
        targets[:, :, order - 1],
        config.task.first_scored_step,
        frame=np.zeros((config.n_states, 0)),
        n_steps=config.flossing.n_steps,
    )


def flossing_case(
    julia: JuliaConnection, config: TrainingConfig, index: int, parameters: dict[str, Array], frame: Array
) -> Case:
    """A flossing epoch from these parameters, with the trial of input seed E sIn + index."""
    settings = config.flossing
    inputs, _ = _trials(julia, config, 1, settings.trial_steps, index)
    return Case(
        "flossing epoch",
        config.network,
        parameters | {"x0": parameters["x0"][:, :1]},
        inputs,
        np.zeros_like(inputs),
        first_scored_step=1,
        frame=frame,
        n_steps=settings.n_steps,
        target=settings.target,
        flossed=settings.n_exponents,
        trained=False,
    )
