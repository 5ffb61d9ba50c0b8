"""Surrogate derivatives of the step function, and the step functions that use them in their backward pass.

All have peak 1 at the threshold, so that only their shape and width differ. With g the sharpness:

===============  ==================================  ====================================================
name             derivative at distance v            source
===============  ==================================  ====================================================
"fast_sigmoid"   1 / (1 + g |v|)^2                   Zenke & Ganguli 2018 (SuperSpike); the published
                                                     Python example's, with g = 5 and 10
"sech2"          1 - tanh(g v)^2                     the binary network's of the published figures
"gaussian"       exp(-(g v)^2 / 2)                   Yin, Corradi & Bohte 2021, without their side lobes
"triangular"     max(0, 1 - g |v|)                   Bellec et al. 2018
"sigmoid"        4 s(g v) (1 - s(g v)), s logistic   Zenke & Ganguli 2018; Neftci, Mostafa & Zenke 2019
"arctan"         1 / (1 + (g v)^2)                   Fang et al. 2021
===============  ==================================  ====================================================

The scaling to peak 1 is ours where a source scales to area 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from pyflossing._support.arguments import FieldError, require_choice, require_finite


def _fast_sigmoid(z: Tensor) -> Tensor:
    return 1 / (1 + z.abs()) ** 2


def _sech2(z: Tensor) -> Tensor:
    # never 1 / cosh(z)^2, which overflows
    return 1 - torch.tanh(z) ** 2


def _gaussian(z: Tensor) -> Tensor:
    return torch.exp(-(z**2) / 2)


def _triangular(z: Tensor) -> Tensor:
    return torch.relu(1 - z.abs())


def _sigmoid(z: Tensor) -> Tensor:
    s = torch.sigmoid(-z.abs())  # even, and the smaller of s and 1 - s keeps its digits
    return 4 * s * (1 - s)


def _arctan(z: Tensor) -> Tensor:
    return 1 / (1 + z**2)


def _fast_sigmoid_slope(z: Tensor) -> Tensor:
    return -2 * torch.sign(z) / (1 + z.abs()) ** 3


def _sech2_slope(z: Tensor) -> Tensor:
    t = torch.tanh(z)
    return -2 * t * (1 - t**2)


def _gaussian_slope(z: Tensor) -> Tensor:
    return -z * _gaussian(z)


def _triangular_slope(z: Tensor) -> Tensor:
    return -torch.sign(z) * (z.abs() < 1)


def _sigmoid_slope(z: Tensor) -> Tensor:
    s = torch.sigmoid(-z.abs())
    return -4 * torch.sign(z) * s * (1 - s) * (1 - 2 * s)


def _arctan_slope(z: Tensor) -> Tensor:
    return -2 * z / (1 + z**2) ** 2


_SLOPES: dict[str, Callable[[Tensor], Tensor]] = {
    "fast_sigmoid": _fast_sigmoid_slope,
    "sech2": _sech2_slope,
    "gaussian": _gaussian_slope,
    "triangular": _triangular_slope,
    "sigmoid": _sigmoid_slope,
    "arctan": _arctan_slope,
}
_SHAPES: dict[str, Callable[[Tensor], Tensor]] = {
    "fast_sigmoid": _fast_sigmoid,
    "sech2": _sech2,
    "gaussian": _gaussian,
    "triangular": _triangular,
    "sigmoid": _sigmoid,
    "arctan": _arctan,
}
SURROGATE_NAMES = tuple(_SHAPES)


@dataclass(frozen=True)
class Surrogate:
    """A surrogate derivative.

    Args:
        name: one of ``SURROGATE_NAMES``; the formulas stand in this module's docstring.
        sharpness: g > 0; the derivative's width goes as 1/g.

    Raises:
        ValueError: an unknown name, or a sharpness that is not a positive number.
    """

    name: str
    sharpness: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", require_choice("name", self.name, SURROGATE_NAMES))
        sharpness = require_finite("sharpness", self.sharpness)
        if sharpness <= 0:
            raise FieldError("sharpness", self.sharpness, "it must be a number > 0")
        object.__setattr__(self, "sharpness", sharpness)

    def derivative(self, v: Tensor) -> Tensor:
        """The surrogate derivative at distance ``v`` from the threshold; same shape, differentiable itself."""
        return _SHAPES[self.name](self.sharpness * v)

    def derivative_(self, v: Tensor) -> Tensor:
        """``derivative`` in the place of ``v`` and without a graph; sooner for the surrogates of published networks."""
        if self.name == "fast_sigmoid":
            return v.mul_(self.sharpness).abs_().add_(1).square_().reciprocal_()
        if self.name == "sech2" and v.device.type == "cpu":
            z: Any = v.mul_(self.sharpness).numpy()
            np.tanh(z, out=z)  # takes a fifth of torch's time
            return torch.sub(1, v.square_(), out=v)
        return v.copy_(self.derivative(v))

    def slope(self, v: Tensor) -> Tensor:
        """The derivative of ``derivative``; zero at a kink."""
        return self.sharpness * _SLOPES[self.name](self.sharpness * v)


_transforms_are_active = getattr(torch._C, "_are_functorch_transforms_active", lambda: True)
"""Whether one of ``torch.func`` is at work, as torch asks before it applies such a function."""


class _Step(torch.autograd.Function):
    """``low`` up to zero, ``high`` above it; the gradient is the surrogate's."""

    generate_vmap_rule = True

    @staticmethod
    def forward(v: Tensor, low: float, high: float, surrogate: Surrogate) -> Tensor:
        # v itself where it is not a number, so that a NaN is not taken for a zero
        step = torch.where(v > 0, high, low).to(v.dtype)
        return torch.where(v.isnan(), v, step)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float, float, Surrogate], output: Tensor) -> None:
        v, _, _, ctx.surrogate = inputs
        ctx.save_for_backward(v)
        ctx.save_for_forward(v)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (v,) = ctx.saved_tensors
        return gradient * ctx.surrogate.derivative(v), None, None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:
        (v,) = ctx.saved_tensors
        derivative: Tensor = ctx.surrogate.derivative(v)
        return tangent * derivative


def spike(v: Tensor, surrogate: Surrogate) -> Tensor:
    """1 where ``v > 0``, else 0; its derivative is the surrogate's."""
    return _stepped(v, 0.0, 1.0, surrogate)


def sign(x: Tensor, surrogate: Surrogate) -> Tensor:
    """1 where ``x > 0``, else -1 (so sign(0) = -1); its derivative is the surrogate's."""
    return _stepped(x, -1.0, 1.0, surrogate)


def _stepped(v: Tensor, low: float, high: float, surrogate: Surrogate) -> Tensor:
    """``_Step``; where nothing is differentiated without its record, which takes longer than the step."""
    if (
        _transforms_are_active()  # inside vmap the rest does not tell
        or (v.requires_grad and torch.is_grad_enabled())
        or forward_ad.unpack_dual(v).tangent is not None  # type: ignore[no-untyped-call]
    ):
        return _Step.apply(v, low, high, surrogate)  # type: ignore[no-any-return, no-untyped-call]
    return _Step.forward(v, low, high, surrogate)
