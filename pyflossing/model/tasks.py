"""The tasks: streams of random bits and what the network should say about them later.

Source: specification, section 2, after the authors' published generator (Engelken, "Gradient flossing",
NeurIPS 2023, arXiv 2312.17306). Arrays are Float32 in Julia's shape (time, channel, trial).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from pyflossing._support.arguments import FieldError, require_choice, require_float32, require_integer
from pyflossing._support.memory import require_memory
from pyflossing.julia_random import Xoroshiro128Star

_INT64 = 2**63
_MAX_LEVELS = 62

Array = npt.NDArray[np.float32]
Bits = npt.NDArray[np.bool_]


class TaskData(NamedTuple):
    """One batch of trials.

    Attributes:
        inputs: shape (T, S, B); bits times the amplitude.
        targets: shape (T, S, B); 0 or 1, one target channel per input channel (the original has one channel).
    """

    inputs: Array
    targets: Array


class Task(Protocol):
    """What the trainer needs of a task."""

    @property
    def first_scored_step(self) -> int:
        """First step (from 1) that counts in loss and accuracy: specification (2.4)."""

    def generate(
        self, batch_size: int, n_steps: int, seed: int, *, n_channels: int = 1, amplitude: float = 1.0
    ) -> TaskData:
        """Draw a batch of trials."""


@dataclass(frozen=True)
class DelayedXOR:
    """Hierarchical XOR of ``2**levels`` bits: y[n] = x[n-d] xor x[n-2d] xor ... xor x[n - 2**levels d].

    Args:
        delay: d in steps, at least 1. ``levels=1`` is the paper's y_t = x_{t-D/2} xor x_{t-D} with D = 2d.
        levels: depth of the hierarchy, 1 to 62; the task number of the original is ``levels`` or ``-levels``.
        scoring: "full" counts steps from ``d * 2**levels`` (task < 0 in the original); "early" counts from 2d
            (task > 0), where for levels >= 2 the first counted steps have zero targets, as in the original.

    Raises:
        ValueError: a parameter out of range (delay = 0 has no XOR: the original fails with a zero step).
    """

    delay: int
    levels: int = 1
    scoring: Literal["full", "early"] = "full"

    kind: ClassVar[str] = "delayed_xor"

    def __post_init__(self) -> None:
        object.__setattr__(self, "delay", require_integer("delay", self.delay, minimum=1, maximum=_INT64 - 1))
        object.__setattr__(self, "levels", require_integer("levels", self.levels, 1, _MAX_LEVELS))
        object.__setattr__(self, "scoring", require_choice("scoring", self.scoring, ("full", "early")))

    @property
    def first_scored_step(self) -> int:
        return self.delay * 2**self.levels if self.scoring == "full" else 2 * self.delay

    def generate(
        self, batch_size: int, n_steps: int, seed: int, *, n_channels: int = 1, amplitude: float = 1.0
    ) -> TaskData:
        """Draw a batch; see :func:`_draw` for arguments and errors."""
        bits = _draw(self.delay, batch_size, n_steps, seed, n_channels)
        targets = np.zeros_like(bits)
        memory = self.delay * 2**self.levels
        if memory < len(bits):
            for lag in range(self.delay, memory + 1, self.delay):
                targets[memory:] ^= bits[memory - lag : len(bits) - lag]
        return _trial_data(bits, targets, self.delay, amplitude)


@dataclass(frozen=True)
class DelayedCopy:
    """Repeat the input: y[n] = x[n-d].

    Args:
        delay: d in steps, 0 or more.

    Raises:
        ValueError: a negative or non-integer delay.
    """

    delay: int

    kind: ClassVar[str] = "delayed_copy"

    def __post_init__(self) -> None:
        object.__setattr__(self, "delay", require_integer("delay", self.delay, minimum=0, maximum=_INT64 - 1))

    @property
    def first_scored_step(self) -> int:
        return self.delay

    def generate(
        self, batch_size: int, n_steps: int, seed: int, *, n_channels: int = 1, amplitude: float = 1.0
    ) -> TaskData:
        """Draw a batch; see :func:`_draw` for arguments and errors."""
        bits = _draw(self.delay, batch_size, n_steps, seed, n_channels)
        targets = np.zeros_like(bits)
        targets[self.delay :] = bits[: len(bits) - self.delay]
        return _trial_data(bits, targets, self.delay, amplitude)


def task_from_number(task: int, delay: int) -> DelayedXOR | DelayedCopy:
    """The typed task for the original's number: 0 copy, +-h the XOR of 2^h inputs.

    Raises:
        ValueError: unknown number, or a delay that the task does not admit.
    """
    number = require_integer("task", task, -_MAX_LEVELS, _MAX_LEVELS)
    if number == 0:
        return DelayedCopy(delay)
    if require_integer("delay", delay) < 1:
        raise FieldError("delay", delay, "an XOR task needs a delay of at least 1")
    return DelayedXOR(delay, levels=abs(number), scoring="early" if number > 0 else "full")


def _draw(delay: int, batch_size: int, n_steps: int, seed: int, n_channels: int) -> Bits:
    """Bits of shape (n_steps + delay, n_channels, batch_size) from Xoroshiro128Star(seed).

    Raises:
        ValueError: a size below 1, or of which memory cannot hold the trials; a seed of zero or outside 64 bits.
    """
    batch = require_integer("batch_size", batch_size, minimum=1)
    steps = require_integer("n_steps", n_steps, minimum=1)
    channels = require_integer("n_channels", n_channels, minimum=1)
    sizes = {"batch_size": batch, "n_steps": steps, "n_channels": channels, "delay": delay}
    require_memory("the trials", sizes, trial_bytes)
    generator = Xoroshiro128Star(require_integer("seed", seed, -_INT64, _INT64 - 1))
    return generator.bitrand((steps + delay, channels, batch))


def trial_bytes(batch_size: int, n_steps: int, n_channels: int = 1, delay: int = 0) -> int:
    """A lower bound of what trials take: the bits in bytes, inputs and targets in Float32."""
    return batch_size * n_channels * (n_steps + delay + 8 * n_steps)


def _trial_data(bits: Bits, targets: Bits, delay: int, amplitude: float) -> TaskData:
    """Drop the first ``delay`` steps; scale the inputs, not the targets."""
    scale = np.float32(require_float32("amplitude", amplitude))
    return TaskData(bits[delay:] * scale, targets[delay:].astype(np.float32))
