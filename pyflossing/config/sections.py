"""The sections of the settings that are numbers alone; the defaults are the README's call."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pyflossing._support.arguments import FieldError, Limit, require_instance, require_positive_or_infinite
from pyflossing.config.schedule import AdaptiveSchedule, FlossingSchedule

INT64 = 2**63
"""Seeds lie below it."""

_MERSENNE_SEED = Limit(int, 0, INT64 - 1)


def check_fields(section: Any, prefix: str, limits: Mapping[str, Limit]) -> None:
    """Refuse numbers of a frozen dataclass that are out of their limits, and keep them as Python's."""
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
        check_fields(self, "trials.", self.LIMITS)


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
        "inputs": Limit(int, -INT64, INT64 - 1),
        "network": _MERSENNE_SEED,
        "frame": _MERSENNE_SEED,
    }

    def __post_init__(self) -> None:
        check_fields(self, "seeds.", self.LIMITS)
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
        check_fields(self, "optimiser.", self.LIMITS)
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
        learning_rate: of flossing's Adam; None, the default, is the optimiser's, as in the published code (ours where
            it is given). Rounded to Float32 at use.

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
    learning_rate: float | None = None

    LIMITS = {  # noqa: RUF012
        "n_exponents": Limit(int, 0),
        "target": Limit(float),
        "n_steps": Limit(int, 1),
        "trial_steps": Limit(int, 1),
        "n_trials": Limit(int, 1),
    }

    def __post_init__(self) -> None:
        check_fields(self, "flossing.", self.LIMITS)
        _check_clip_norm(self, "flossing.")
        if self.learning_rate is not None:
            check_fields(self, "flossing.", {"learning_rate": Adam.LIMITS["learning_rate"]})
        require_instance("flossing.schedule", self.schedule, (FlossingSchedule, AdaptiveSchedule))
        if self.trial_steps < self.n_steps:
            raise FieldError(
                "flossing.trial_steps", self.trial_steps, f"it must be at least the spectrum's steps, {self.n_steps}"
            )

    @property
    def clip_threshold(self) -> float:
        """The norm that is used: the Float64 value of the Float32 next to ``clip_norm``."""
        return float(np.float32(self.clip_norm))

    @property
    def rate(self) -> float | None:
        """The learning rate that is used, as ``Adam.rate``; None where it is the optimiser's."""
        return None if self.learning_rate is None else float(np.float32(self.learning_rate))
