"""The state of a run between two updates, and the one that it starts from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pyflossing._support.memory import require_memory
from pyflossing.config.settings import TrainingConfig
from pyflossing.gradients.by_autograd import FLOSSED
from pyflossing.julia_random import MersenneTwister
from pyflossing.model.loss import Parameters, relax
from pyflossing.model.spectrum import initial_frame
from pyflossing.model.weights import initial_weights
from pyflossing.training.optimiser import AdamState, Rates
from pyflossing.training.sizes import require_training_fits


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

    def to(self, device: torch.device) -> TrainingState:
        """The same state on a device, where the run goes on; what lies there already is not copied."""

        def moved(memory: dict[str, AdamState]) -> dict[str, AdamState]:
            return {name: replace(adam, m=adam.m.to(device), v=adam.v.to(device)) for name, adam in memory.items()}

        return replace(
            self,
            parameters=Parameters(*(p.to(device) for p in self.parameters)),
            training_adam=moved(self.training_adam),
            flossing_adam=moved(self.flossing_adam),
            frame=self.frame.to(device),
        )


def initial_parameters(config: TrainingConfig) -> Parameters:
    """Weights and relaxed initial state of a configuration, in its type: specification, section 4.

    Shapes: ws (N, 1), J (N, N), wr (1, N), b (N,), offset (1,), x0 (n_states, B).

    Raises:
        ValueError: the machine's memory cannot hold them.
    """
    sizes = {"n_units": config.n_units, "trials.batch_size": config.trials.batch_size}
    require_memory("the initial state", sizes, lambda units, batch: 12 * units * batch)
    weights = initial_weights(config.n_units, config.seeds.network, config.weights)
    normals = MersenneTwister(config.seeds.initial_state).randn((config.n_units, config.trials.batch_size), np.float32)
    dtype = dtype_of(config)
    ws, j, wr, b, offset = (tensor(array, dtype) for array in weights)
    return Parameters(ws, j, wr, b, offset, relax(config.network, j, b, tensor(normals, dtype)))


def initial_state(config: TrainingConfig) -> TrainingState:
    """The state before the first epoch, on the CPU; ``to`` moves it to a GPU, so that it is the same everywhere.

    Raises:
        ValueError: the machine's memory cannot hold the run.
    """
    require_training_fits(config)
    parameters = initial_parameters(config)
    rates = rates_of(config)
    return TrainingState(
        parameters,
        {name: AdamState.fresh(p, rates) for name, p in parameters._asdict().items()},
        {name: AdamState.fresh(getattr(parameters, name), rates) for name in FLOSSED},
        frame=initial_frame(config.n_states, config.flossing.n_exponents, config.seeds.frame, like=parameters.J),
    )


def dtype_of(config: TrainingConfig) -> torch.dtype:
    """The type of all numbers."""
    return torch.float64 if config.dtype == "float64" else torch.float32


def tensor(array: npt.NDArray[np.float32], dtype: torch.dtype) -> Tensor:
    """A copy, or where it can be a view, in that type."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(dtype)


def rates_of(config: TrainingConfig) -> Rates:
    """The settings of training's optimiser, and but for the learning rate of flossing's."""
    return Rates(config.optimiser.rate, config.optimiser.beta1, config.optimiser.beta2)


def flossing_rates_of(config: TrainingConfig) -> Rates:
    """The settings of flossing's optimiser."""
    rates, own = rates_of(config), config.flossing.rate
    return rates if own is None else rates._replace(learning_rate=own)
