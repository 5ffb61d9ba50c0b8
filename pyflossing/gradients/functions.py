"""The passes that are written out, as torch.autograd.Functions: for losses of one's own.

``trajectory`` and ``logarithms`` take the place of :func:`pyflossing.model.loss.trajectory` and
:func:`pyflossing.model.spectrum.logarithms`; values and gradients are the same to rounding (a test shows it), several
times sooner. They can be differentiated once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pyflossing._support.alignment import aligned
from pyflossing.gradients.flossing_pass import SpectrumPass
from pyflossing.gradients.trajectory_pass import TrajectoryPass, batch_major, flat
from pyflossing.model.networks import BUILT_IN, BuiltIn


def trajectory(network: BuiltIn, J: Tensor, x0: Tensor, u: Tensor) -> Tensor:
    """What the readout sees after every step, (..., T, N, B): the states, or of spiking units the membranes.

    Args:
        network: a TanhNetwork, BinaryNetwork or SpikingNetwork.
        J: recurrent weights (..., N, N).
        x0: state at the start, (..., n_states, B).
        u: the units' input in every step including the bias, (..., T, N, B).

    Differentiable in J, x0 and u; the dots are any leading dimensions, the same ones everywhere.

    Raises:
        ValueError: another network.
    """
    _require_built_in(network)
    seen: Tensor = _Trajectory.apply(network, J, x0, u)  # type: ignore[no-untyped-call]
    return seen


def logarithms(network: BuiltIn, J: Tensor, x: Tensor, Q: Tensor, drive: Tensor, n_steps: int) -> Tensor:
    """log |R_ii| of every step, (n_steps, k), along one trial.

    Arguments as in :func:`pyflossing.model.spectrum.logarithms`.

    Differentiable in J, x and drive; the frame Q is a constant.

    Raises:
        ValueError: another network than the three built-in ones, or a frame that requires a gradient.
    """
    _require_built_in(network)
    if Q.requires_grad:
        raise ValueError("Q = a tensor that requires a gradient is not allowed: the frame is constant, pass Q.detach()")
    logs: Tensor = _Logarithms.apply(network, J, x, Q, drive, n_steps)  # type: ignore[no-untyped-call]
    return logs


class _Trajectory(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, network: BuiltIn, J: Tensor, x0: Tensor, u: Tensor) -> Tensor:
        *leading, n_steps, n_units, batch = u.shape
        room = u.new_empty(*leading, n_steps + 1, batch, n_units)
        room[..., 1:, :, :] = u.transpose(-1, -2)
        ctx.chain = TrajectoryPass(network, aligned(J.detach()), batch_major(x0), room)
        ctx.chain.forward()
        ctx.save_for_backward(J)  # torch then finds a change in place before the backward pass
        return batch_major(ctx.chain.states[..., 1:, :, :])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, seen_bar: Tensor) -> tuple[Tensor | None, ...]:
        _ = ctx.saved_tensors
        bars = seen_bar.transpose(-1, -2).clone(memory_format=torch.contiguous_format)
        h_bar, x0_bar = ctx.chain.adjoint(bars)
        J_bar = flat(h_bar).transpose(-1, -2) @ flat(ctx.chain.sent)
        return None, J_bar, x0_bar.transpose(-1, -2), h_bar.transpose(-1, -2)


class _Logarithms(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, network: BuiltIn, J: Tensor, x: Tensor, Q: Tensor, drive: Tensor, n_steps: int) -> Tensor:
        room = drive.new_empty(n_steps + 1, 1, drive.shape[-1])
        room[1:, 0] = drive[:n_steps]
        ctx.chain = SpectrumPass(network, aligned(J.detach()), x.detach(), Q, room)
        ctx.unused_steps = len(drive) - n_steps
        ctx.save_for_backward(J)
        logs: Tensor = ctx.chain.logs.clone()
        return logs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor | None, ...]:
        _ = ctx.saved_tensors
        h_bar, J_bar, x_bar = ctx.chain.adjoint(weights)
        drive_bar = torch.cat([h_bar, h_bar.new_zeros(ctx.unused_steps, h_bar.shape[-1])])
        return None, J_bar, x_bar, None, drive_bar, None


def _require_built_in(network: object) -> None:
    if type(network) not in BUILT_IN:
        allowed = ", ".join(kind.__name__ for kind in BUILT_IN)
        raise ValueError(f"network = {network!r} is not allowed: a pass is written out for {allowed} alone")
