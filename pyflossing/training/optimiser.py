"""Clipping and Adam with the meaning, and the rounding, that they have in Flux 0.11.3.

Every array is clipped on its own. Julia's broadcasting computes each element of an update in Float64, since the rates
are Float64, and stores it in the array's type. Source: specification, section 9; from recorded gradients this gives
the authors' first update bit for bit (a test shows it).
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pyflossing._support.norms import euclidean_norm, scaled
from pyflossing.gradients.kernel.library import Adam, address, kernel_for

EPSILON = 1e-8
"""Added to the square root in Adam's denominator."""


class Rates(NamedTuple):
    """Adam's settings: the learning rate (a Float32 number, see ``rate`` of ``pyflossing.Adam``) and the two decays."""

    learning_rate: float
    beta1: float
    beta2: float


@dataclass(frozen=True)
class AdamState:
    """Adam's memory of one array.

    Attributes:
        m, v: moments, in the array's shape and type.
        power1, power2: beta1^t and beta2^t of the next update, as running products.
    """

    m: Tensor
    v: Tensor
    power1: float
    power2: float

    @classmethod
    def fresh(cls, parameter: Tensor, rates: Rates) -> AdamState:
        """The state before the first update."""
        zeros = torch.zeros_like(parameter)
        return cls(zeros, zeros, rates.beta1, rates.beta2)


def clip(gradient: Tensor, norm: float, length: float | None = None) -> Tensor:
    """The gradient scaled down to Euclidean norm ``norm`` where it is longer; ``length`` is its own, if known."""
    if norm == math.inf:  # the published flossing does not clip, and needs no lengths
        return gradient
    if length is None:
        length = euclidean_norm(gradient)
    return scaled([gradient], norm, length)[0] if length > norm else gradient


def adam_update(parameter: Tensor, gradient: Tensor, state: AdamState, rates: Rates) -> tuple[Tensor, AdamState]:
    """One update of one array.

    Args:
        parameter: the array.
        gradient: Float64, or the array's own type: the step is stored in the gradient's type before it is subtracted.
        state: of this array.
        rates: learning rate and decays.

    Returns:
        the new array and the new state.
    """
    kept = parameter.dtype
    wide = gradient.double()
    m = (rates.beta1 * state.m.double() + (1 - rates.beta1) * wide).to(kept)
    # Julia squares in the gradient's own type before it meets the Float64 rate.
    v = (rates.beta2 * state.v.double() + (1 - rates.beta2) * (gradient * gradient).double()).to(kept)
    root = torch.sqrt(v.double() / (1 - state.power2)) + EPSILON
    step = (m.double() / (1 - state.power1) / root * rates.learning_rate).to(gradient.dtype)
    updated = (parameter.to(step.dtype) - step).to(kept)
    return updated, AdamState(m, v, state.power1 * rates.beta1, state.power2 * rates.beta2)


def adam_updates(
    parameters: Sequence[Tensor], gradients: Sequence[Tensor], states: Sequence[AdamState], rates: Rates
) -> tuple[list[Tensor], list[AdamState]]:
    """:func:`adam_update` of several arrays at once: bit for bit the same, but each operation is called once."""
    kernel = kernel_for(0, *parameters, *(moment for state in states for moment in (state.m, state.v)))
    if kernel is not None and all(gradient.dtype in (torch.float32, torch.float64) for gradient in gradients):
        pairs = [_compiled(kernel, *each, rates) for each in zip(parameters, gradients, states, strict=True)]
        return [updated for updated, _ in pairs], [state for _, state in pairs]
    powers = {(state.power1, state.power2) for state in states}
    if len(powers) > 1:
        pairs = [adam_update(*each, rates) for each in zip(parameters, gradients, states, strict=True)]
        return [updated for updated, _ in pairs], [state for _, state in pairs]
    m, v = _row([state.m for state in states]), _row([state.v for state in states])
    updated, state = adam_update(_row(parameters), _row(gradients), AdamState(m, v, *powers.pop()), rates)
    new, ms, vs = (_rows(row, parameters) for row in (updated, state.m, state.v))
    return new, [AdamState(m, v, state.power1, state.power2) for m, v in zip(ms, vs, strict=True)]


def _compiled(
    kernel: Any, parameter: Tensor, gradient: Tensor, state: AdamState, rates: Rates
) -> tuple[Tensor, AdamState]:
    """:func:`adam_update` by the compiled kernel: the same bits."""
    wide = gradient.dtype is torch.float64
    given = [x.contiguous() for x in (parameter, gradient, state.m, state.v)]
    new = [torch.empty_like(given[0]) for _ in range(3)]
    constants = Adam(*rates, EPSILON, state.power1, state.power2)
    function = kernel.adam_of_float64 if wide else kernel.adam_of_float32
    function(ctypes.byref(constants), parameter.numel(), *map(address, (*given, *new)))
    updated, m, v = new
    return updated, AdamState(m, v, state.power1 * rates.beta1, state.power2 * rates.beta2)


def _row(arrays: Sequence[Tensor]) -> Tensor:
    return torch.cat([x.flatten() for x in arrays])


def _rows(row: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    return [
        part.view(x.shape) for part, x in zip(torch.split_with_sizes(row, [x.numel() for x in like]), like, strict=True)
    ]
