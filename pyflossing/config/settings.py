"""All settings of a run, a small frozen dataclass of sections; the defaults are the README's call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np

from pyflossing._support.arguments import FieldError, Limit, require_choice, require_instance
from pyflossing._support.toml import TomlFile, parsed, table_lines
from pyflossing.config.legacy import arguments_of, legacy_names, values_of
from pyflossing.config.schedule import Episodes
from pyflossing.config.sections import INT64, Adam, Flossing, Seeds, Trials, check_fields
from pyflossing.config.tables import from_table, to_table
from pyflossing.model.networks import BuiltIn, Network, SpikingNetwork, network_from_name, require_network
from pyflossing.model.spectrum import COUNTED_STEPS, transient_steps
from pyflossing.model.tasks import DelayedCopy, DelayedXOR, TaskData
from pyflossing.model.weights import WeightDistribution

_SECTIONS: dict[str, tuple[type, ...]] = {
    "weights": (WeightDistribution,),
    "task": (DelayedXOR, DelayedCopy),
    "trials": (Trials,),
    "flossing": (Flossing,),
    "optimiser": (Adam,),
    "seeds": (Seeds,),
}


@dataclass(frozen=True)
class TrainingConfig(TomlFile):
    """A whole run.

    Args:
        network: the network with its constants.
        n_units: N.
        weights: how initial weights are drawn.
        task: what the network learns.
        trials: the batches.
        flossing: what flossing does, and when.
        optimiser: Adam and clipping.
        seeds: all seeds.
        n_epochs: E, training epochs; 0 is legal and does nothing.
        dtype: type of all numbers.
        intype: accepted and unused, as in the original.

    Raises:
        ValueError: any setting out of range, or settings that do not fit together, naming the field.
    """

    network: Annotated[Network, BuiltIn] = field(default_factory=SpikingNetwork.per_step)
    n_units: int = 80
    weights: WeightDistribution = field(default_factory=WeightDistribution)
    task: DelayedXOR | DelayedCopy = field(default_factory=lambda: DelayedXOR(10))
    trials: Trials = field(default_factory=Trials)
    flossing: Flossing = field(default_factory=Flossing)
    optimiser: Adam = field(default_factory=Adam)
    seeds: Seeds = field(default_factory=Seeds)
    n_epochs: int = 3001
    dtype: Literal["float32", "float64"] = "float32"
    intype: int = 3

    LIMITS = {"n_units": Limit(int, 1), "n_epochs": Limit(int, 0), "intype": Limit(int)}  # noqa: RUF012

    def __post_init__(self) -> None:
        check_fields(self, "", self.LIMITS)
        object.__setattr__(self, "dtype", require_choice("dtype", self.dtype, ("float32", "float64")))
        require_network("network", self.network)
        for name, kinds in _SECTIONS.items():
            require_instance(name, getattr(self, name), kinds)
        self._check_scored_steps()
        self._check_exponents()
        self._check_input_seeds()

    @property
    def n_states(self) -> int:
        """Size of the network's state."""
        return self.network.n_states(self.n_units)

    @property
    def most_exponents(self) -> tuple[int, str]:
        """How many finite exponents there can be, and what limits them."""
        if isinstance(self.network, SpikingNetwork) and self.network.synaptic_decay == 0:
            return self.n_units, "the number of units: without synaptic decay all other exponents are -inf"
        return self.n_states, "the size of the state"

    @property
    def flosses(self) -> bool:
        """Whether any flossing epoch can run."""
        return bool(self.possible_episodes())

    def possible_episodes(self) -> list[Episodes]:
        """All episodes of flossing that the run can have."""
        return self.flossing.schedule.possible_episodes(self.n_epochs) if self.flossing.n_exponents else []

    def input_seed(self, index: int) -> int:
        """Seed of the trials of training epoch e (index e) or of flossing epoch i before it (index e + i)."""
        return self.n_epochs * self.seeds.inputs + index

    def draw_trials(self, n_trials: int, n_steps: int, seed: int) -> TaskData:
        """Trials of the task from an input seed, with the inputs' amplitude and offset: (n_steps, 1, n_trials) each.

        Raises:
            ValueError: a size below 1, a seed of zero or outside 64 bits.
        """
        data = self.task.generate(n_trials, n_steps, seed, amplitude=self.trials.amplitude)
        # adding 0 would turn the -0.0 of a negative amplitude into 0.0
        return TaskData(data.inputs + np.float32(self.trials.offset), data.targets) if self.trials.offset else data

    def _check_scored_steps(self) -> None:
        first = self.task.first_scored_step
        if self.trials.n_steps <= first:
            raise FieldError(
                "trials.n_steps", self.trials.n_steps, f"it must exceed the task's first scored step, {first}"
            )

    def _check_exponents(self) -> None:
        k, steps = self.flossing.n_exponents, self.flossing.n_steps
        limit, reason = self.most_exponents
        if k > limit:
            raise FieldError("flossing.n_exponents", k, f"it must be at most {limit}, {reason}")
        if self.flosses and steps <= transient_steps(steps):
            raise FieldError("flossing.n_steps", steps, COUNTED_STEPS)

    def _check_input_seeds(self) -> None:
        """No trial may be drawn from seed 0, or from one outside 64 bits."""
        base = self.input_seed(0)
        # a training epoch e draws with the index e, as an episode of one before it would with e - 1
        for draws in (Episodes(range(self.n_epochs), 1), *self.possible_episodes()):
            if not draws:
                continue
            if draws.draws(-base):
                zero = f"{self.n_epochs} * {self.seeds.inputs} + {-base}"
                raise FieldError(
                    "seeds.inputs", self.seeds.inputs, f"the input seed {zero} of one of the run's trials would be 0"
                )
            first, last = draws.indices
            if base + first < -INT64 or base + last >= INT64:
                raise FieldError("seeds.inputs", self.seeds.inputs, "the run's input seeds must stay within 64 bits")

    @classmethod
    def from_legacy(
        cls,
        *values: Any,
        network: str | Network = "spiking",
        dtype: Literal["float32", "float64"] = "float32",
        **named: Any,
    ) -> TrainingConfig:
        """The configuration of the original's 33 parameters, in their order (see ``LEGACY_PARAMETERS``) or by name.

        Args:
            values: the 33 values.
            network: "tanh", "binary", "spiking", or a network object; not among the 33.
            dtype: "float32" or "float64".
            named: parameters by their legacy names, after the positional ones.

        Raises:
            ValueError: a value out of range, naming the legacy parameter.
            TypeError: too many or too few values.
        """
        with legacy_names():
            settings = arguments_of(values, named)
            chosen = network_from_name(network) if isinstance(network, str) else require_network("network", network)
            return cls(network=chosen, dtype=dtype, **settings)

    def to_legacy(self) -> tuple[int | float, ...]:
        """The original's 33 values; ``from_legacy(*values, network=self.network, dtype=self.dtype)`` gives this back.

        Raises:
            ValueError: a setting that has no legacy form, naming the field.
        """
        return values_of(self)

    def to_dict(self) -> dict[str, Any]:
        """All settings as nested dictionaries of strings and numbers.

        Raises:
            ValueError: the network is none of the built-in ones.
        """
        return to_table(self)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> TrainingConfig:
        """Settings from nested dictionaries; what is left out, the kind of a section too, is that of the defaults.

        A section of another kind than the default's has that kind's own defaults.

        Raises:
            ValueError: an unknown key or kind, or a value out of range, naming it.
        """
        return from_table(settings, cls())

    def to_toml(self) -> str:
        """All settings as TOML; errors as in ``to_dict``."""
        return "\n".join(table_lines(self.to_dict())) + "\n"

    @classmethod
    def from_toml(cls, text: str) -> TrainingConfig:
        """Settings from TOML; what is left out is as in ``from_dict``.

        Raises:
            ValueError: TOML that cannot be read, an unknown key, or a value out of range, naming it.
        """
        return cls.from_dict(parsed(text))
