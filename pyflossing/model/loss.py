"""States over a batch of trials, readout, training loss and accuracy; differentiable.

Source: specification, sections 3 to 5. Time is the first dimension: inputs and targets are (T, channels, B) as
in Julia, states (T, n_states, B).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from pyflossing._support.alignment import aligned
from pyflossing.model.networks import Network


class Parameters(NamedTuple):
    """The trained parameters of a network of N units with S inputs and B trials.

    Attributes:
        ws: input weights, (N, S).
        J: recurrent weights, (N, N).
        wr: readout weights, (1, N).
        b: bias of the units, (N,).
        offset: offset of the readout, (1,).
        x0: state before the first step, (n_states, B).
    """

    ws: Tensor
    J: Tensor
    wr: Tensor
    b: Tensor
    offset: Tensor
    x0: Tensor


RELAXATION_STEPS = 100
"""Steps without input by which the initial state is prepared."""


def drive(ws: Tensor, b: Tensor, inputs: Tensor) -> Tensor:
    """What the units receive from outside: u_n = ws s_n / S + b, shape (T, N, B), for inputs (T, S, B)."""
    ws, inputs = aligned(ws), aligned(inputs)
    return ws @ inputs / ws.shape[1] + b[:, None]


def relax(network: Network, J: Tensor, b: Tensor, normals: Tensor) -> Tensor:
    """The initial state (n_states, B): 100 steps without input from normal numbers (N, B)."""
    J, x = aligned(J), network.rest(aligned(normals))
    for _ in range(RELAXATION_STEPS):
        x = network.step(x, b[:, None], J)
    return x


def trajectory(network: Network, J: Tensor, x0: Tensor, u: Tensor) -> Tensor:
    """The states after every step, (T, n_states, B), from x0 (n_states, B) under u (T, N, B)."""
    states = []
    J, x = aligned(J), aligned(x0)
    for u_n in u:
        x = network.step(x, u_n, J)
        states.append(x)
    return torch.stack(states)


def readout(network: Network, wr: Tensor, offset: Tensor, states: Tensor) -> Tensor:
    """r = wr x + offset, shape (T, 1, B)."""
    wr = aligned(wr)
    return wr @ network.readout_state(states) + offset


def cross_entropy(r: Tensor, y: Tensor) -> Tensor:
    """Logit binary cross entropy of readouts and targets (0 to 1), element by element.

    Accurate however small it is: torch's own subtracts numbers of the size of r, which costs a right answer of 0 at
    r = -10 all but two digits in Float32, and at r = -17 all of them.
    """
    return -(y * logsigmoid(r) + (1 - y) * logsigmoid(-r))


def loss_and_accuracy(
    network: Network, parameters: Parameters, inputs: Tensor, targets: Tensor, first_scored_step: int
) -> tuple[Tensor, Tensor]:
    """Mean logit binary cross entropy, and the share of right answers: specification (5.1), (5.2).

    Args:
        network: the network.
        parameters: its parameters; column j of x0 starts trial j.
        inputs: (T, S, B).
        targets: 0 or 1, (T, 1, B).
        first_scored_step: f; steps f..T count (from 1; f = 0 counts all), and the divisor is B (T - f + 1), as in
            the original.

    Returns:
        loss, and accuracy in Float64, as tensors of no dimensions.
    """
    states = trajectory(network, parameters.J, parameters.x0, drive(parameters.ws, parameters.b, inputs))
    first = max(first_scored_step - 1, 0)
    r = readout(network, parameters.wr, parameters.offset, states[first:])
    y = targets[first:]
    count = inputs.shape[2] * (inputs.shape[0] - first_scored_step + 1)
    right = (r >= 0) == (y > 0.5)
    loss = cross_entropy(r, y).sum() / count
    return loss, right.sum(dtype=torch.float64) / count
