"""Loss of a batch and its gradients by a reverse pass written out.

The states are kept once; the weights' gradients are one large product at the end, and loss and accuracy share one
readout. Agrees with :mod:`pyflossing.gradients` (a test shows it).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from pyflossing import gradients
from pyflossing.gradients import TrainingGradient, non_finite_state, require_finite_gradients
from pyflossing.loss import Parameters
from pyflossing.networks import BUILT_IN, Network
from pyflossing.room import Room, fresh, reused
from pyflossing.trajectory_pass import BuiltIn, TrajectoryPass, batch_major, flat


class Gradients(NamedTuple):
    """Losses, accuracies and gradients with any leading dimensions (...).

    Attributes:
        loss, accuracy: (...), Float64.
        gradients: one per parameter.
        finite: whether every state was finite.
    """

    loss: Tensor
    accuracy: Tensor
    gradients: Parameters
    finite: bool


def training_gradient(
    network: Network, parameters: Parameters, inputs: Tensor, targets: Tensor, first_scored_step: int
) -> TrainingGradient:
    """As :func:`pyflossing.gradients.training_gradient`, with the same arguments, result and errors.

    A network of another class than the three built-in ones, a subclass too, takes plain autograd.
    """
    if type(network) not in BUILT_IN:
        return gradients.training_gradient(network, parameters, inputs, targets, first_scored_step)
    p = Parameters(*(x.detach() for x in parameters))
    result = gradients_of_losses(network, p, inputs, targets, first_scored_step)  # type: ignore[arg-type]
    if not result.finite:
        raise non_finite_state(network, p, inputs)
    require_finite_gradients(result.gradients._asdict())
    return TrainingGradient(float(result.loss), float(result.accuracy), result.gradients)


@torch.no_grad()
def gradients_of_losses(
    network: BuiltIn, p: Parameters, inputs: Tensor, targets: Tensor, first_scored_step: int
) -> Gradients:
    """Losses and gradients of a stack of networks of one kind, each with its own parameters and batch.

    Args:
        network: one of the three built-in ones.
        p: each with the same leading dimensions (...), or none.
        inputs: (..., T, S, B).
        targets: (..., T, 1, B).
        first_scored_step: as in :func:`pyflossing.loss.loss_and_accuracy`.
    """
    s, y = batch_major(inputs), targets[..., 0, :]
    steps, batch, channels = s.shape[-3:]
    states = drive(p.ws, p.b, s, reused)
    chain = TrajectoryPass(network, p.J, batch_major(p.x0), states, reused)
    finite = chain.finite()

    first, count = max(first_scored_step - 1, 0), batch * (steps - first_scored_step + 1)
    seen, y = chain.states[..., 1 + first :, :, :], y[..., first:, :]
    r = flat(seen).matmul(p.wr.transpose(-1, -2)).view(y.shape) + p.offset[..., None]  # (..., steps that count, B)
    loss = binary_cross_entropy_with_logits(r, y, reduction="none").sum(dim=(-2, -1)).double() / count
    accuracy = ((r >= 0) == (y > 0.5)).sum(dim=(-2, -1)).double() / count
    r_bar = torch.sigmoid(r).sub_(y).div_(count)
    wr_bar = r_bar.flatten(-2).unsqueeze(-2) @ flat(seen)
    bars = reused("bars", chain.sent.shape, chain.sent)
    bars[..., :first, :, :] = 0
    torch.mul(r_bar[..., None], p.wr[..., None, :, :], out=bars[..., first:, :, :])

    h_bar, x0_bar = chain.adjoint(bars, consume=True)
    rows = flat(h_bar).transpose(-1, -2)
    by_parameter = Parameters(
        ws=rows @ flat(s) / channels,
        J=rows @ flat(chain.sent),
        wr=wr_bar,
        b=rows.sum(dim=-1),
        offset=r_bar.sum(dim=(-2, -1))[..., None],
        x0=x0_bar.transpose(-1, -2).contiguous(),
    )
    return Gradients(loss, accuracy, by_parameter, finite)


def drive(ws: Tensor, b: Tensor, s: Tensor, room: Room = fresh) -> Tensor:
    """What the units receive from outside, (..., T + 1, B, N), with a first entry that is left open for x0.

    For batch-major inputs s (..., T, B, S), see :func:`pyflossing.loss.drive`.
    """
    *leading, steps, batch, channels = s.shape
    u = room("states", (*leading, steps + 1, batch, ws.shape[-2]), s)
    received = u[..., 1:, :, :]
    weights = ws.transpose(-1, -2)[..., None, :, :]
    if channels == 1:  # the same numbers as the product, sooner
        torch.mul(s, weights, out=received)
    else:
        torch.matmul(s, weights, out=received).div_(channels)
    received.add_(b[..., None, None, :])
    return u
