"""The algorithm as one would write it down in torch: a loop over steps, Jacobians formed, autograd for the rest.

What the timings are compared with. No products are hoisted out of the loop. A test shows that it computes the same.
"""

from __future__ import annotations

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from pyflossing import SpikingNetwork, TanhNetwork
from pyflossing.gradients.by_autograd import FLOSSED
from pyflossing.model.loss import Parameters
from pyflossing.model.spectrum import transient_steps


def training_epoch(network, parameters, inputs, targets, first_scored_step):
    """Loss, accuracy and gradients."""
    p = Parameters(*(x.detach().requires_grad_() for x in parameters))
    first = max(first_scored_step - 1, 0)
    count = inputs.shape[2] * (len(inputs) - first_scored_step + 1)
    x, seen = p.x0, []
    for s in inputs:
        x = network.step(x, p.ws @ s / p.ws.shape[1] + p.b[:, None], p.J)
        seen.append(network.readout_state(x))
    r, y = p.wr @ torch.stack(seen[first:]) + p.offset[:, None], targets[first:]
    loss = binary_cross_entropy_with_logits(r, y, reduction="sum") / count
    accuracy = int(((r >= 0) == (y > 0.5)).sum()) / count
    return loss.item(), accuracy, Parameters(*torch.autograd.grad(loss, p, materialize_grads=True))


def jacobian(network, x, x_next, J):
    """The one-step Jacobian, (n_states, n_states)."""
    if isinstance(network, TanhNetwork):
        return (1 - torch.tanh(x_next) ** 2)[:, None] * J
    if not isinstance(network, SpikingNetwork):
        return network.surrogate.derivative(x_next)[:, None] * J
    n, c = len(J), network.membrane_gain
    unit = torch.eye(n, dtype=J.dtype)
    to_synapses = J * network.jacobian_surrogate.derivative(x[:n] - network.threshold)
    remembered = network.synaptic_decay * unit
    above = torch.cat([network.membrane_decay * unit + c * to_synapses, c * remembered], dim=1)
    return torch.cat([above, torch.cat([to_synapses, remembered], dim=1)])


def flossing_epoch(network, parameters, x, Q, inputs, n_steps, target):
    """Exponents, loss and gradients."""
    ws, J, b = (getattr(parameters, name).detach().requires_grad_() for name in FLOSSED)
    logs = []
    for n in range(n_steps):
        x_next = network.step(x[:, None], (ws @ inputs[n] / ws.shape[1] + b)[:, None], J)[:, 0]
        Q, R = torch.linalg.qr(jacobian(network, x, x_next, J) @ Q)
        logs.append(torch.log(torch.abs(torch.diagonal(R))))
        x = x_next
    exponents = torch.stack(logs)[transient_steps(n_steps) :].mean(dim=0)
    loss = ((exponents - target) ** 2).mean()
    gradients = dict(zip(FLOSSED, torch.autograd.grad(loss, (ws, J, b)), strict=True))
    return exponents.detach(), loss.item(), gradients
