"""Exponents and the gradient of the flossing loss by a reverse pass written out: one chain forward, one back.

Only log |R_ii| enters the loss, so the adjoint of a QR decomposition takes one triangular solve and two products; the
Jacobian is applied as a product with J and never formed. Agrees with :mod:`pyflossing.gradients` (a test shows it).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pyflossing import gradients
from pyflossing.gradients import FlossingGradient, require_finite_gradients, require_finite_logarithms
from pyflossing.loss import Parameters, drive, trajectory
from pyflossing.networks import BUILT_IN, BinaryNetwork, Network, SpikingNetwork, TanhNetwork
from pyflossing.spectrum import transient_steps
from pyflossing.surrogates import sign, spike


def flossing_gradient(
    network: Network,
    parameters: Parameters,
    x: Tensor,
    Q: Tensor,
    inputs: Tensor,
    n_steps: int,
    target: float,
) -> FlossingGradient:
    """As :func:`pyflossing.gradients.flossing_gradient`, with the same arguments, result and errors.

    A network of another class than the three built-in ones, a subclass too, takes plain autograd.
    """
    if type(network) not in BUILT_IN:
        return gradients.flossing_gradient(network, parameters, x, Q, inputs, n_steps, target)
    with torch.no_grad():
        ws, J, b = parameters.ws.detach(), parameters.J.detach(), parameters.b.detach()
        u = drive(ws, b, inputs[:n_steps, :, None])
        states = torch.cat([x[None], trajectory(network, J, x[:, None], u)[:, :, 0]])
        chain: _Rate | _Spiking
        if isinstance(network, SpikingNetwork):
            remembers = network.synaptic_decay or network.membrane_decay
            chain = (_Spiking if remembers or Q.shape[1] > len(J) else _Memoryless)(network, J, states)
        else:
            assert isinstance(network, TanhNetwork | BinaryNetwork)
            chain = _Rate(network, J, states)
        frames, triangles = [Q], []
        for n in range(n_steps):
            q_r: Any = torch.linalg.qr(chain.push(n, frames[-1]))
            frames.append(q_r.Q)
            triangles.append(q_r.R)
        logs = torch.stack([torch.diagonal(r) for r in triangles]).abs().log()
        require_finite_logarithms(logs)
        transient = transient_steps(n_steps)
        exponents = logs[transient:].mean(dim=0)
        distance = exponents - target
        counted = distance * (2 / (len(distance) * (n_steps - transient)))  # dL/d log |R_ii| in a step that counts
        Q_bar = torch.zeros_like(frames[-1])
        for n in range(n_steps - 1, -1, -1):
            weights = counted if n >= transient else torch.zeros_like(counted)
            Q_bar = chain.pull(n, qr_adjoint(Q_bar, frames[n + 1], triangles[n], weights), frames[n])
        h_bar = torch.stack(chain.h_bars[::-1])  # (T, N)
        J_bar = chain.J_bar.addmm_(h_bar.T, chain.activations)
        by_name = {"ws": h_bar.T @ inputs[:n_steps] / inputs.shape[1], "J": J_bar, "b": h_bar.sum(dim=0)}
        require_finite_gradients(by_name)
        return FlossingGradient(exponents, float((distance**2).mean()), by_name)


def qr_adjoint(Q_bar: Tensor, Q: Tensor, R: Tensor, weights: Tensor) -> Tensor:
    """dL/dA of A = Q R, where R enters the loss through log |R_ii| only, with derivatives ``weights``.

    In general dL/dA = (Q_bar + Q S) R^-T, S the symmetric matrix that has the lower triangle of R R_bar' - Q_bar' Q
    (Walter & Lehmann 2010; Liao et al. 2019). Here that triangle of R R_bar' is the diagonal ``weights``, and the
    strict lower triangle L of Q_bar' Q is rounding alone, because later logarithms do not change when a column of Q is
    added to a later one. Q L' has to go, since it would grow backwards in time; the other half, Q L, changes nothing.

    Shapes: Q_bar and Q (n, k), R (k, k), weights (k,).
    """
    M = (Q_bar.T @ Q).tril_()
    M.diagonal().sub_(weights)
    solved: Tensor = torch.linalg.solve_triangular(R.T, torch.addmm(Q_bar, Q, M.T, alpha=-1), upper=False, left=False)
    return solved


class _Rate:
    """x' = J a(x) + u and A = diag(d(x')) J Q."""

    def __init__(self, network: TanhNetwork | BinaryNetwork, J: Tensor, states: Tensor) -> None:
        self.J, self.transposed = J, J.T.contiguous()
        before, after = states[:-1], states[1:]
        if isinstance(network, TanhNetwork):
            self.activations = torch.tanh(before)
            self.slopes = 1 - self.activations**2
            rate = torch.tanh(after)
            self.gains = 1 - rate**2
            self.gain_slopes = -2 * rate * self.gains
        else:
            self.activations = sign(before, network.surrogate)
            self.slopes = network.surrogate.derivative(before)
            self.gains = network.surrogate.derivative(after)
            self.gain_slopes = network.surrogate.slope(after)
        self.products: list[Tensor] = []
        self.J_bar = torch.zeros_like(J)
        self.h_bars: list[Tensor] = []
        self.x_bar = torch.zeros_like(states[0])

    def push(self, n: int, Q: Tensor) -> Tensor:
        self.products.append(self.J @ Q)
        return self.gains[n][:, None] * self.products[-1]

    def pull(self, n: int, A_bar: Tensor, Q: Tensor) -> Tensor:
        P_bar = self.gains[n][:, None] * A_bar
        self.J_bar.addmm_(P_bar, Q.T)
        h_bar = self.x_bar + self.gain_slopes[n] * (A_bar * self.products[n]).sum(dim=1)
        self.h_bars.append(h_bar)
        self.x_bar = (self.transposed @ h_bar) * self.slopes[n]
        return self.transposed @ P_bar


class _Spiking:
    """Membranes and synapses: A = (beta Q_mem + c S, S) with S = J diag(d(mem)) Q_mem + alpha Q_syn."""

    def __init__(self, network: SpikingNetwork, J: Tensor, states: Tensor) -> None:
        self.J, self.transposed, self.network = J, J.T.contiguous(), network
        n_units = len(J)
        v = states[:-1, :n_units] - network.threshold
        self.activations = spike(v, network.spike_surrogate)
        self.kept = 1 - self.activations
        self.slopes = network.spike_surrogate.derivative(v)
        self.gains = network.jacobian_surrogate.derivative(v)
        self.gain_slopes = network.jacobian_surrogate.slope(v)
        self.J_bar = torch.zeros_like(J)
        self.h_bars: list[Tensor] = []
        self.mem_bar = torch.zeros_like(states[0, :n_units])
        self.syn_bar = torch.zeros_like(self.mem_bar)

    def sent(self, n: int, Q: Tensor) -> Tensor:
        return self.gains[n][:, None] * Q[: len(self.J)]

    def push(self, n: int, Q: Tensor) -> Tensor:
        net, n_units = self.network, len(self.J)
        A = Q.new_empty(Q.shape)
        torch.mm(self.J, self.sent(n, Q), out=A[n_units:])
        if net.synaptic_decay:
            A[n_units:].add_(Q[n_units:], alpha=net.synaptic_decay)
        torch.mul(A[n_units:], net.membrane_gain, out=A[:n_units])
        if net.membrane_decay:
            A[:n_units].add_(Q[:n_units], alpha=net.membrane_decay)
        return A

    def pull(self, n: int, A_bar: Tensor, Q: Tensor) -> Tensor:
        net, n_units = self.network, len(self.J)
        mem_bar, syn_bar = A_bar[:n_units], A_bar[n_units:]
        P_bar = torch.add(syn_bar, mem_bar, alpha=net.membrane_gain)
        self.J_bar.addmm_(P_bar, self.sent(n, Q).T)
        E_bar = self.transposed @ P_bar
        Q_bar = torch.cat([self.gains[n][:, None] * E_bar, net.synaptic_decay * P_bar])
        if net.membrane_decay:
            Q_bar[:n_units].add_(mem_bar, alpha=net.membrane_decay)
        self._through_states(n, E_bar, Q[:n_units])
        return Q_bar

    def _through_states(self, n: int, E_bar: Tensor, q_mem: Tensor) -> None:
        net = self.network
        through = self.mem_bar * self.kept[n]
        h_bar = self.syn_bar + net.membrane_gain * through
        self.h_bars.append(h_bar)
        self.mem_bar = (
            net.membrane_decay * through
            + (self.transposed @ h_bar) * self.slopes[n]
            + self.gain_slopes[n] * (E_bar * q_mem).sum(dim=1)
        )
        self.syn_bar = net.synaptic_decay * h_bar


class _Memoryless(_Spiking):
    """Without decays A = (c S, S) with S = J diag(d(mem)) Q_mem, and both halves of its frame are one frame of N rows.

    With S = q r, A = (c q, q) / s times s r for s = sqrt(1 + c^2), so the next S is J diag(d) q c / s times r: the
    logarithms are those of a chain of N rows, at a quarter of the cost.
    """

    def scale(self, n: int) -> float:
        """The first frame is still that of the whole state."""
        return self.network.membrane_gain if n else math.hypot(1, self.network.membrane_gain)

    def push(self, n: int, Q: Tensor) -> Tensor:
        return (self.J @ self.sent(n, Q)).mul_(self.scale(n))

    def pull(self, n: int, A_bar: Tensor, Q: Tensor) -> Tensor:
        P_bar = self.scale(n) * A_bar
        self.J_bar.addmm_(P_bar, self.sent(n, Q).T)
        E_bar = self.transposed @ P_bar
        self._through_states(n, E_bar, Q[: len(self.J)])
        return self.gains[n][:, None] * E_bar
