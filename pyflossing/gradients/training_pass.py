"""Loss of a batch and its gradients by a reverse pass written out: specification, section 6.

The states are kept once; the weights' gradients are one large product at the end, and loss and accuracy share one
readout. Agrees with :mod:`pyflossing.gradients.by_autograd` (a test shows it).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pyflossing._support.alignment import aligned
from pyflossing._support.devices import numbers_of
from pyflossing.gradients import by_autograd
from pyflossing.gradients.by_autograd import TrainingGradient, non_finite_state, require_finite_gradients, sum_is_finite
from pyflossing.gradients.kernel.library import kernel_for
from pyflossing.gradients.kernel.passes import States
from pyflossing.gradients.memory import reused
from pyflossing.gradients.trajectory_pass import TrajectoryPass, batch_major, by_steps, flat
from pyflossing.model.loss import Parameters, cross_entropy
from pyflossing.model.networks import BUILT_IN, BuiltIn, Network


class Gradients(NamedTuple):
    """Losses, accuracies and gradients with any leading dimensions (...).

    Attributes:
        loss, accuracy: (...), Float64.
        gradients: one per parameter.
        finite: whether every state was finite.
        finite_gradients: whether every gradient is.
    """

    loss: Tensor
    accuracy: Tensor
    gradients: Parameters
    finite: bool
    finite_gradients: bool


def training_gradient(
    network: Network, parameters: Parameters, inputs: Tensor, targets: Tensor, first_scored_step: int
) -> TrainingGradient:
    """As :func:`pyflossing.gradients.by_autograd.training_gradient`, with the same arguments, result and errors.

    A network of another class than the three built-in ones, a subclass too, takes plain autograd.
    """
    if type(network) not in BUILT_IN:
        return by_autograd.training_gradient(network, parameters, inputs, targets, first_scored_step)
    p = Parameters(*(x.detach() for x in parameters))
    result = gradients_of_losses(network, p, inputs, targets, first_scored_step)  # type: ignore[arg-type]
    if not result.finite:
        raise non_finite_state(network, p, inputs)
    if not result.finite_gradients:
        require_finite_gradients(result.gradients._asdict())
    loss, accuracy = numbers_of(result.loss, result.accuracy)
    return TrainingGradient(loss, accuracy, result.gradients)


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
        first_scored_step: as in :func:`pyflossing.model.loss.loss_and_accuracy`.
    """
    kernel = kernel_for(p.J.shape[-1], *p, inputs, targets)
    if kernel is not None and _fit(network, p, inputs, targets):
        return _stacked(kernel, network, p, inputs, targets, first_scored_step)
    p, s, y = Parameters(*map(aligned, p)), aligned(batch_major(inputs)), targets[..., 0, :]
    *leading, steps, batch, channels = s.shape
    n_units = p.J.shape[-1]
    x0 = batch_major(p.x0)
    states = by_steps(reused, "states", (*leading, steps + 1, batch, n_units), s)
    chain = TrajectoryPass(network, p.J, x0, states, reused)

    first, count = max(first_scored_step - 1, 0), batch * (steps - first_scored_step + 1)
    r, r_bar, wr_bar = s.new_empty(*leading, steps, batch), s.new_zeros(*leading, steps, batch), torch.zeros_like(p.wr)
    for part in chain.parts():
        seen = states[..., part.start + 1 : part.stop + 1, :, :]
        put_drive(seen, p.ws, p.b, s[..., part, :, :])
        chain.forward(part)
        rows = flat(seen)
        r[..., part, :] = (rows @ p.wr.transpose(-1, -2)).view(*leading, -1, batch) + p.offset[..., None]
        counted = slice(max(part.start, first), part.stop)
        if counted.start < counted.stop:
            r_bar[..., counted, :] = torch.sigmoid(r[..., counted, :]).sub_(y[..., counted, :]).div_(count)
            wr_bar += r_bar[..., part, :].flatten(-2).unsqueeze(-2) @ rows
    finite = _finite(r, x0, states)
    loss, accuracy = _judged(r[..., first:, :], y[..., first:, :], count)

    J_bar, received_bar, x_bar = torch.zeros_like(p.J), s.new_zeros(*leading, channels + 1, n_units), None
    received = torch.cat([s / channels, torch.ones_like(s[..., :1])], dim=-1)  # what ws and b are multiplied by
    for part in reversed(chain.parts()):
        bars = chain.scratch("bars", part.stop - part.start)
        torch.mul(r_bar[..., part, :, None], p.wr[..., None, :, :], out=bars)
        h_bar, x_bar = chain.adjoint(bars, part, x_bar, consume=True)
        rows = flat(h_bar)
        J_bar += rows.transpose(-1, -2) @ flat(chain.sent[..., part, :, :])
        # transposed: in this order the product of so few columns is six times faster
        received_bar += flat(received[..., part, :, :]).transpose(-1, -2) @ rows
    assert x_bar is not None
    by_parameter = Parameters(
        ws=received_bar[..., :channels, :].transpose(-1, -2).contiguous(),
        J=J_bar,
        wr=wr_bar,
        b=received_bar[..., channels, :].contiguous(),
        offset=r_bar.sum(dim=(-2, -1))[..., None],
        x0=x_bar.transpose(-1, -2).contiguous(),
    )
    return Gradients(loss, accuracy, by_parameter, finite, sum_is_finite(by_parameter))


def _judged(r: Tensor, y: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Loss and accuracy of the steps (..., T, B) that count, in Float64."""
    loss = cross_entropy(r, y).sum(dim=(-2, -1)).double() / count
    return loss, ((r >= 0) == (y > 0.5)).sum(dim=(-2, -1)).double() / count


def _fit(network: BuiltIn, p: Parameters, inputs: Tensor, targets: Tensor) -> bool:
    """Whether all shapes belong together and nothing is empty; of others torch says what is wrong."""
    *leading, steps, channels, batch = inputs.shape
    n = p.J.shape[-1]
    shapes = ((n, channels), (n, n), (1, n), (n,), (1,), (network.n_states(n), batch))
    shapes_fit = all(x.shape == (*leading, *shape) for x, shape in zip(p, shapes, strict=True))
    return shapes_fit and targets.shape == (*leading, steps, 1, batch) and min(inputs.numel(), n) > 0


def _stacked(
    kernel: Any, network: BuiltIn, p: Parameters, inputs: Tensor, targets: Tensor, first_scored_step: int
) -> Gradients:
    """By the compiled kernel, one network after the other: each has the bits that it has alone."""
    if p.J.ndim == 2:
        return _compiled(kernel, network, p, inputs, targets, first_scored_step)
    results = [
        _stacked(kernel, network, Parameters(*own), x, y, first_scored_step)
        for *own, x, y in zip(*p, inputs, targets, strict=True)
    ]
    losses, accuracies, gradients, *finite = zip(*results, strict=True)
    stacked = Parameters(*(torch.stack(arrays) for arrays in zip(*gradients, strict=True)))
    return Gradients(torch.stack(losses), torch.stack(accuracies), stacked, *map(all, finite))


def _compiled(
    kernel: Any, network: BuiltIn, p: Parameters, inputs: Tensor, targets: Tensor, first_scored_step: int
) -> Gradients:
    p, s, y = Parameters(*(x.contiguous() for x in p)), batch_major(inputs), targets[:, 0]
    steps, batch, _ = s.shape
    first, count = max(first_scored_step - 1, 0), batch * (steps - first_scored_step + 1)
    chain = States(kernel, network, p.ws, p.J, p.b, p.wr[0], p.x0, s)
    judged = chain.judge(y.contiguous(), float(p.offset), first, count)
    finite = chain.starts_finite and (judged.finite or bool(torch.isfinite(chain.seen).all()))
    bars = chain.adjoint(chain.readouts)
    assert bars.wr is not None
    by_parameter = Parameters(bars.ws, bars.J, bars.wr[None], bars.b, judged.offset, bars.x0)
    loss, accuracy = (torch.tensor(x, dtype=torch.float64) for x in (judged.loss, judged.accuracy))
    return Gradients(loss, accuracy, by_parameter, finite, bars.finite and math.isfinite(judged.offset))


def _finite(r: Tensor, x0: Tensor, states: Tensor) -> bool:
    """Whether every state is finite: a readout is not where a state is not, whatever the weights."""
    return sum_is_finite((r, x0)) or bool(torch.isfinite(x0).all() and torch.isfinite(states).all())


def drive(ws: Tensor, b: Tensor, s: Tensor) -> Tensor:
    """What the units receive from outside, (..., T + 1, B, N), with a first entry that is left open for x0.

    For batch-major inputs s (..., T, B, S), see :func:`pyflossing.model.loss.drive`.
    """
    *leading, steps, batch, _ = s.shape
    u = s.new_empty(*leading, steps + 1, batch, ws.shape[-2])
    put_drive(u[..., 1:, :, :], ws, b, s)
    return u


def put_drive(out: Tensor, ws: Tensor, b: Tensor, s: Tensor) -> None:
    """Put what the units receive from outside, see :func:`drive`, into ``out`` (..., T, B, N)."""
    weights = ws.transpose(-1, -2)[..., None, :, :]
    if s.shape[-1] == 1:  # the same numbers as the product, sooner
        torch.mul(s, weights, out=out)
    else:
        torch.matmul(s, weights, out=out).div_(s.shape[-1])
    out.add_(b[..., None, None, :])
