"""All settings of a run, as small frozen dataclasses; the defaults are the README's call."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pyflossing._support.arguments import FieldError, Limit, require_choice, require_positive_or_infinite
from pyflossing.config.schedule import AdaptiveSchedule, FlossingSchedule
from pyflossing.model.networks import Network, SpikingNetwork
from pyflossing.model.spectrum import transient_steps
from pyflossing.model.tasks import DelayedCopy, DelayedXOR, TaskData
from pyflossing.model.weights import WeightDistribution

__all__ = ["Adam", "AdaptiveSchedule", "Flossing", "FlossingSchedule", "Seeds", "TrainingConfig", "Trials"]

_INT64 = 2**63
_MERSENNE_SEED = Limit(int, 0, _INT64 - 1)


def _check_fields(section: Any, prefix: str, limits: dict[str, Limit]) -> None:
    for name, limit in limits.items():
        object.__setattr__(section, name, limit.check(prefix + name, getattr(section, name)))


def _check_clip_norm(section: Adam | Flossing, prefix: str) -> None:
    object.__setattr__(section, "clip_norm", require_positive_or_infinite(f"{prefix}clip_norm", section.clip_norm))


@dataclass(frozen=True)
class Trials:
    """The batches.

    Args:
        batch_size: B, trials per batch.
        n_steps: T, steps per trial.
        amplitude: I1, the input bits' amplitude.
        offset: added to the inputs, which are then offset or offset + amplitude (ours; the original has 0).

    Raises:
        ValueError: a size below 1, an amplitude or offset that is not finite in Float32.
    """

    batch_size: int = 16
    n_steps: int = 300
    amplitude: float = 1.0
    offset: float = 0.0

    LIMITS = {  # noqa: RUF012
        "batch_size": Limit(int, 1),
        "n_steps": Limit(int, 1),
        "amplitude": Limit(float),
        "offset": Limit(float),
    }

    def __post_init__(self) -> None:
        _check_fields(self, "trials.", self.LIMITS)


@dataclass(frozen=True)
class Seeds:
    """The four seeds.

    Args:
        initial_state: sIC, 0 to 2^63 - 1.
        inputs: sIn, any 64-bit integer but 0.
        network: sNet, of the weights, 0 to 2^63 - 1.
        frame: sONS, of the orthonormal frame, 0 to 2^63 - 1.

    Raises:
        ValueError: a seed out of range.
    """

    initial_state: int = 1
    inputs: int = 1
    network: int = 1
    frame: int = 1

    LIMITS = {  # noqa: RUF012
        "initial_state": _MERSENNE_SEED,
        "inputs": Limit(int, -_INT64, _INT64 - 1),
        "network": _MERSENNE_SEED,
        "frame": _MERSENNE_SEED,
    }

    def __post_init__(self) -> None:
        _check_fields(self, "seeds.", self.LIMITS)
        if self.inputs == 0:
            raise FieldError("seeds.inputs", 0, "it must be any 64-bit integer but 0")


@dataclass(frozen=True)
class Adam:
    """Both optimisers' settings; flossing has an Adam of its own, and its own clipping (``Flossing.clip_norm``).

    Args:
        learning_rate: lr; rounded to Float32 at use, as in the original (see ``rate``).
        beta1, beta2: b1, b2, decays of the moments, in [0, 1).
        clip_norm: Euclidean norm to which each array's training gradient is clipped on its own; infinity clips
            nothing. Rounded to Float32 at use, as in the original.

    Raises:
        ValueError: a number out of range.
    """

    learning_rate: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    clip_norm: float = 0.03

    LIMITS = {  # noqa: RUF012
        "learning_rate": Limit(float),
        "beta1": Limit(float, 0, 1, open_end=True),
        "beta2": Limit(float, 0, 1, open_end=True),
    }

    def __post_init__(self) -> None:
        _check_fields(self, "optimiser.", self.LIMITS)
        _check_clip_norm(self, "optimiser.")

    @property
    def rate(self) -> float:
        """The learning rate that is used: the Float64 value of the Float32 next to ``learning_rate``."""
        return float(np.float32(self.learning_rate))

    @property
    def clip_threshold(self) -> float:
        """The norm that is used: the Float64 value of the Float32 next to ``clip_norm``."""
        return float(np.float32(self.clip_norm))


@dataclass(frozen=True)
class Flossing:
    """What flossing does, and when.

    Args:
        n_exponents: nLE, how many exponents; 0 makes flossing do nothing.
        target: Lwnt, where they shall go, 1/step.
        n_steps: Tp, steps of the spectrum; of these the first 10 + ceil(n_steps / 10) do not count.
        trial_steps: Ti, length of the trial that is drawn, at least ``n_steps``.
        schedule: when.
        clip_norm: Euclidean norm to which each array's flossing gradient is clipped on its own. Infinity, the default,
            clips nothing, as in the published code. Ours: a finite one keeps rare spikes of the gradient out of Adam's
            memory, without which the published figures do not come out. Rounded to Float32 at use.
        n_trials: over how many trials, with inputs of their own, exponents, loss and gradients of each flossing epoch
            are averaged; trial j starts from column j of the initial state, modulo the columns that there are. The
            published code has one. Ours: several make gradients less noisy.

    Raises:
        ValueError: a number out of range.
    """

    n_exponents: int = 75
    target: float = 0.0
    n_steps: int = 55
    trial_steps: int = 300
    schedule: FlossingSchedule | AdaptiveSchedule = field(default_factory=FlossingSchedule)
    clip_norm: float = math.inf
    n_trials: int = 1

    LIMITS = {  # noqa: RUF012
        "n_exponents": Limit(int, 0),
        "target": Limit(float),
        "n_steps": Limit(int, 1),
        "trial_steps": Limit(int, 1),
        "n_trials": Limit(int, 1),
    }

    def __post_init__(self) -> None:
        _check_fields(self, "flossing.", self.LIMITS)
        _check_clip_norm(self, "flossing.")
        if self.trial_steps < self.n_steps:
            raise FieldError(
                "flossing.trial_steps", self.trial_steps, f"it must be at least the spectrum's steps, {self.n_steps}"
            )

    @property
    def clip_threshold(self) -> float:
        """The norm that is used: the Float64 value of the Float32 next to ``clip_norm``."""
        return float(np.float32(self.clip_norm))


@dataclass(frozen=True)
class TrainingConfig:
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

    network: Network = field(default_factory=SpikingNetwork.per_step)
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
        _check_fields(self, "", self.LIMITS)
        require_choice("dtype", self.dtype, ("float32", "float64"))
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
        windows = self.flossing.schedule.possible_flossing_epochs(self.n_epochs)
        return self.flossing.n_exponents > 0 and any(True for _ in windows)

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
            raise FieldError(
                "flossing.n_steps",
                steps,
                "of n steps the first 10 + ceil(n / 10) do not count, so it must be at least 13",
            )

    def _check_input_seeds(self) -> None:
        """No trial may be drawn from seed 0, or from one outside 64 bits."""
        windows = [(1, self.n_epochs)] if self.n_epochs else []
        if self.flossing.n_exponents:
            windows += self.flossing.schedule.possible_flossing_epochs(self.n_epochs)
        base = self.input_seed(0)
        for first, last in windows:
            if base + first <= 0 <= base + last:
                zero = f"{self.n_epochs} * {self.seeds.inputs} + {-base}"
                raise FieldError(
                    "seeds.inputs", self.seeds.inputs, f"the input seed {zero} of one of the run's trials would be 0"
                )
            if base + first < -_INT64 or base + last >= _INT64:
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
        from pyflossing.config.legacy import from_legacy  # noqa: PLC0415 - it needs this class

        return from_legacy(values, named, network, dtype)

    def to_legacy(self) -> tuple[int | float, ...]:
        """The original's 33 values; ``from_legacy(*values, network=self.network, dtype=self.dtype)`` gives this back.

        Raises:
            ValueError: a setting that has no legacy form, naming the field.
        """
        from pyflossing.config.legacy import to_legacy  # noqa: PLC0415

        return to_legacy(self)

    def to_toml(self) -> str:
        """All settings as TOML."""
        from pyflossing.config.toml import to_toml  # noqa: PLC0415

        return to_toml(self)

    @classmethod
    def from_toml(cls, text: str) -> TrainingConfig:
        """Settings from TOML; what is left out has its default.

        Raises:
            ValueError: TOML that cannot be read, an unknown key, or a value out of range, naming it.
        """
        from pyflossing.config.toml import from_toml  # noqa: PLC0415

        return from_toml(text)

    def save(self, path: str | Path) -> None:
        """Write the settings to a TOML file, atomically."""
        from pyflossing._support.files import write_atomically  # noqa: PLC0415

        write_atomically(Path(path), self.to_toml().encode())

    @classmethod
    def load(cls, path: str | Path) -> TrainingConfig:
        """Read settings from a TOML file; errors as in ``from_toml``."""
        try:
            return cls.from_toml(Path(path).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
