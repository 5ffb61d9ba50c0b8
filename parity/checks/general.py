"""The three networks once more, as plainly as the specification writes them: the yardstick for what Float32 may do.

Losses, spectra and gradients by autograd, through the general adjoint of every QR decomposition, as the authors'
program and our Julia compute them. Nothing of the port's own mathematics is used, so that an error in it, or a loss of
precision, cannot widen the bound by which it is judged. Every array has a leading dimension of copies, C below, which
are computed at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pyflossing.model.loss import Parameters
from pyflossing.model.networks import BinaryNetwork, Network, SpikingNetwork
from pyflossing.model.surrogates import Surrogate

Named = dict[str, Tensor]
FLOSSED = ("ws", "J", "b")

_FORMULAS: dict[str, Callable[[Tensor], Tensor]] = {
    "sech2": lambda z: 1 - torch.tanh(z) ** 2,
    "fast_sigmoid": lambda z: 1 / (1 + torch.abs(z)) ** 2,
    "gaussian": lambda z: torch.exp(-(z**2) / 2),
    "triangular": lambda z: torch.relu(1 - torch.abs(z)),
    "sigmoid": lambda z: 4 * torch.sigmoid(torch.abs(z)) * torch.sigmoid(-torch.abs(z)),
    "arctan": lambda z: 1 / (1 + z**2),
}


def _derivative(surrogate: Surrogate, v: Tensor) -> Tensor:
    return _FORMULAS[surrogate.name](surrogate.sharpness * v)


def _jump(v: Tensor, low: float, surrogate: Surrogate) -> Tensor:
    """1 above zero and ``low`` elsewhere, with the surrogate for its derivative."""
    height = torch.where(v > 0, 1.0, low).to(v)
    return height + _derivative(surrogate, v).detach() * (v - v.detach())


def step(network: Network, x: Tensor, u: Tensor, J: Tensor) -> Tensor:
    """The states (C, n_states, B) after one step under u (C, N, B)."""
    if isinstance(network, SpikingNetwork):
        mem, syn = x.chunk(2, dim=-2)
        spikes = _jump(mem - network.threshold, 0.0, network.spike_surrogate)
        syn = network.synaptic_decay * syn + u + J @ spikes
        mem = (network.membrane_decay * mem + network.membrane_gain * syn) * (1 - spikes.detach())
        return torch.cat([mem, syn], dim=-2)
    rate = _jump(x, -1.0, network.sign_surrogate) if isinstance(network, BinaryNetwork) else torch.tanh(x)
    return J @ rate + u


def _directions(network: Network, x: Tensor, x_next: Tensor, J: Tensor, Q: Tensor) -> Tensor:
    """The Jacobian of the step from x to x_next (C, n_states) applied to Q (C, n_states, k)."""
    if isinstance(network, SpikingNetwork):
        q_mem, q_syn = Q.chunk(2, dim=-2)
        above = x.chunk(2, dim=-1)[0] - network.threshold
        gain = _derivative(network.jacobian_surrogate, above)
        syn = J @ (gain[..., None] * q_mem) + network.synaptic_decay * q_syn
        mem = network.membrane_decay * q_mem + network.membrane_gain * syn
        if network.jacobian_reset == "factor":
            mem = torch.where(above[..., None] > 0, 0.0, mem)
        return torch.cat([mem, syn], dim=-2)
    gain = _derivative(network.surrogate if isinstance(network, BinaryNetwork) else Surrogate("sech2", 1.0), x_next)
    return gain[..., None] * (J @ Q)


def _drive(ws: Tensor, b: Tensor, inputs: Tensor) -> Tensor:
    """What the units receive, (C, T, N, B), from inputs (T, S, B)."""
    return ws[:, None] @ inputs / ws.shape[-1] + b[:, None, :, None]


def relaxed(network: Network, J: Tensor, b: Tensor, normals: Tensor) -> Tensor:
    """The initial state (C, n_states, B): 100 steps without input from normal numbers (C, N, B)."""
    x = torch.cat([normals, torch.zeros_like(normals)], dim=-2) if isinstance(network, SpikingNetwork) else normals
    for _ in range(100):
        x = step(network, x, b[..., None], J)
    return x


def trajectory(network: Network, J: Tensor, x0: Tensor, u: Tensor) -> Tensor:
    """The states after every step, (C, T, n_states, B), under u (C, T, N, B)."""
    states, x = [], x0
    for u_n in u.unbind(dim=1):
        x = step(network, x, u_n, J)
        states.append(x)
    return torch.stack(states, dim=1)


def trained(network: Network, p: Parameters, inputs: Tensor, targets: Tensor, first_scored_step: int) -> Named:
    """ "states" (C, T, n_states, B), "readout" (C, T, B), "loss" (C,) and "gradient NAME" of a batch of trials."""
    leaves = Parameters(*(x.detach().requires_grad_() for x in p))
    states = trajectory(network, leaves.J, leaves.x0, _drive(leaves.ws, leaves.b, inputs))
    seen = states.chunk(2, dim=-2)[0] if isinstance(network, SpikingNetwork) else states
    readout = (leaves.wr[:, None] @ seen)[:, :, 0] + leaves.offset[:, :, None]
    first, steps = max(first_scored_step - 1, 0), len(inputs) - first_scored_step + 1
    r, y = readout[:, first:], targets[first:, 0]
    entropy = torch.relu(r) - r * y + torch.log1p(torch.exp(-torch.abs(r)))
    loss = entropy.sum(dim=(1, 2)) / (inputs.shape[2] * steps)
    of = torch.autograd.grad(loss.sum(), leaves)
    results = {"states": states.detach(), "readout": readout.detach(), "loss": loss.detach()}
    return results | {f"gradient {name}": values for name, values in zip(Parameters._fields, of, strict=True)}


def logarithms(network: Network, J: Tensor, x: Tensor, Q: Tensor, u: Tensor) -> Tensor:
    """log |R_ii| of every step, (C, T, k), along one trial: x (C, n_states), Q (C, n_states, k), u (C, T, N)."""
    logs = []
    for u_n in u.unbind(dim=1):
        x_next = step(network, x[..., None], u_n[..., None], J)[..., 0]
        q_r: Any = torch.linalg.qr(_directions(network, x, x_next, J, Q))
        Q, x = q_r.Q, x_next
        logs.append(torch.log(torch.abs(torch.diagonal(q_r.R, dim1=-2, dim2=-1))))
    return torch.stack(logs, dim=1)


def _exponents(network: Network, ws: Tensor, J: Tensor, b: Tensor, x: Tensor, Q: Tensor, inputs: Tensor) -> Tensor:
    """(C, k) from inputs (Tp, S)."""
    u = _drive(ws, b, inputs[..., None])[..., 0]
    return logarithms(network, J, x, Q, u)[:, 10 + math.ceil(len(inputs) / 10) :].mean(dim=1)


@torch.no_grad()
def exponents(network: Network, p: Parameters, x: Tensor, Q: Tensor, inputs: Tensor) -> Tensor:
    """The exponents (C, k) along one trial (Tp, S) from x (C, n_states) and the frame Q (C, n_states, k)."""
    return _exponents(network, p.ws, p.J, p.b, x, Q, inputs)


def flossed(network: Network, p: Parameters, x: Tensor, Q: Tensor, inputs: Tensor, target: float) -> Named:
    """ "flossing exponents" (C, k), "flossing loss" (C,) and "flossing gradient NAME"; arguments as ``exponents``."""
    leaves = [getattr(p, name).detach().requires_grad_() for name in FLOSSED]
    ws, J, b = leaves
    found = _exponents(network, ws, J, b, x, Q, inputs)
    loss = ((found - target) ** 2).mean(dim=1)
    of = torch.autograd.grad(loss.sum(), leaves)
    results = {"flossing exponents": found.detach(), "flossing loss": loss.detach()}
    return results | {f"flossing gradient {name}": values for name, values in zip(FLOSSED, of, strict=True)}
