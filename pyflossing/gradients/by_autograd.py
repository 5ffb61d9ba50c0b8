"""Losses with their gradients, by plain autograd through every step.

This is the simple path; it stays as the check of any faster one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pyflossing._support.errors import NonFiniteError
from pyflossing.model.loss import Parameters, drive, loss_and_accuracy, trajectory
from pyflossing.model.networks import Network
from pyflossing.model.spectrum import flossing_loss, logarithms, transient_steps


class TrainingGradient(NamedTuple):
    """Loss and accuracy of a batch, and the loss's gradient.

    Attributes:
        loss: mean logit binary cross entropy.
        accuracy: share of right answers, 0 to 1.
        gradients: of the loss, one per parameter, unclipped.
    """

    loss: float
    accuracy: float
    gradients: Parameters


class FlossingGradient(NamedTuple):
    """Exponents of a trial, and the gradient of the flossing loss.

    Attributes:
        exponents: (k,), 1/step, in the order of the frame's columns.
        loss: mean squared distance from the target, 1/step^2.
        gradients: of ws, J and b.
    """

    exponents: Tensor
    loss: float
    gradients: dict[str, Tensor]


FLOSSED = ("ws", "J", "b")
"""The parameters that flossing changes."""


def training_gradient(
    network: Network, parameters: Parameters, inputs: Tensor, targets: Tensor, first_scored_step: int
) -> TrainingGradient:
    """Loss, accuracy and gradients of a batch; arguments as in :func:`pyflossing.model.loss.loss_and_accuracy`.

    Raises:
        NonFiniteError: naming the first step with a state that is not finite, or the array with such a gradient.
    """
    leaves = Parameters(*(p.detach().requires_grad_() for p in parameters))
    loss, accuracy = loss_and_accuracy(network, leaves, inputs, targets, first_scored_step)
    if not bool(torch.isfinite(loss)):
        raise non_finite_state(network, parameters, inputs)
    gradients = Parameters(*torch.autograd.grad(loss, leaves, materialize_grads=True))
    require_finite_gradients(gradients._asdict())
    return TrainingGradient(loss.item(), accuracy.item(), gradients)


def flossing_gradient(
    network: Network,
    parameters: Parameters,
    x: Tensor,
    Q: Tensor,
    inputs: Tensor,
    n_steps: int,
    target: float,
) -> FlossingGradient:
    """Exponents along one trial, and the gradient of their mean squared distance from ``target``.

    Args:
        network: the network.
        parameters: only ws, J and b are used.
        x: state at the start, (n_states,); a constant.
        Q: orthonormal frame at the start, (n_states, k), k >= 1; a constant.
        inputs: (>= n_steps, S).
        n_steps: steps of the spectrum, >= 13.
        target: 1/step.

    Raises:
        NonFiniteError: an exponent of -inf (a direction collapsed), or anything else that is not finite.
    """
    ws, j, b = (getattr(parameters, name).detach().requires_grad_() for name in FLOSSED)
    u = drive(ws, b, inputs[:n_steps, :, None])[:, :, 0]
    logs = logarithms(network, j, x, Q, u, n_steps)
    require_finite_logarithms(logs.detach())
    exponents = logs[transient_steps(n_steps) :].mean(dim=0)
    loss = flossing_loss(exponents, target)
    gradients = dict(zip(FLOSSED, torch.autograd.grad(loss, (ws, j, b), materialize_grads=True), strict=True))
    require_finite_gradients(gradients)
    return FlossingGradient(exponents.detach(), loss.item(), gradients)


def mean_over_trials(of_trials: Sequence[FlossingGradient]) -> FlossingGradient:
    """Means of exponents, losses and gradients; of one trial, itself."""
    if len(of_trials) == 1:
        return of_trials[0]
    return FlossingGradient(
        torch.stack([one.exponents for one in of_trials]).mean(dim=0),
        sum(one.loss for one in of_trials) / len(of_trials),
        {name: torch.stack([one.gradients[name] for one in of_trials]).mean(dim=0) for name in FLOSSED},
    )


def require_finite_logarithms(logs: Tensor) -> None:
    """Refuse local exponents (steps, k) that are not finite."""
    bad = ~torch.isfinite(logs)
    if bool(bad.any()):
        step, column = (int(i) for i in bad.nonzero()[0])
        raise NonFiniteError(
            f"local exponent {column + 1} is {float(logs[step, column])}", step=step + 1, quantity="exponent"
        )


def require_finite_gradients(gradients: dict[str, Tensor]) -> None:
    """Refuse gradients that are not finite."""
    if sum_is_finite(gradients.values()):
        return
    for name, gradient in gradients.items():
        if not bool(torch.isfinite(gradient).all()):
            raise NonFiniteError(f"the gradient of {name} is not finite", quantity=f"gradient of {name}")


def sum_is_finite(arrays: Iterable[Tensor]) -> bool:
    """Whether the sum of all numbers is finite, and they with it: one look at all of them, for the usual case."""
    return bool(torch.isfinite(torch.cat([array.flatten() for array in arrays]).sum()))


def non_finite_state(network: Network, parameters: Parameters, inputs: Tensor) -> NonFiniteError:
    """The error that names the first step with a state that is not finite."""
    with torch.no_grad():
        states = trajectory(network, parameters.J, parameters.x0, drive(parameters.ws, parameters.b, inputs))
    bad = (~torch.isfinite(states)).flatten(1).any(dim=1)
    if bool(bad.any()):
        step = int(bad.nonzero()[0, 0]) + 1
        return NonFiniteError("a state is not finite", step=step, quantity="state")
    return NonFiniteError("the loss is not finite", quantity="loss")
