"""Exponents and the gradient of the flossing loss by a reverse pass written out: one chain forward, one back.

Only log |R_ii| enters the loss, so the adjoint of a QR decomposition takes one triangular solve and two products; the
Jacobian is applied as a product with J and never formed. Frames are kept transposed, (k, n), which is LAPACK's own
order; the states are those of :mod:`pyflossing.trajectory_pass`, and J's gradient is one product after the loop.
Agrees with :mod:`pyflossing.gradients` (a test shows it).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pyflossing import gradients
from pyflossing.gradients import FlossingGradient, require_finite_gradients, require_finite_logarithms
from pyflossing.loss import Parameters
from pyflossing.networks import BUILT_IN, BinaryNetwork, Network, SpikingNetwork, TanhNetwork
from pyflossing.spectrum import transient_steps
from pyflossing.training_pass import drive
from pyflossing.trajectory_pass import BuiltIn, TrajectoryPass, flat


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
        chain = SpectrumPass(network, J, x, Q, drive(ws, b, inputs[:n_steps, None, :]))  # type: ignore[arg-type]
        require_finite_logarithms(chain.logs)
        transient = transient_steps(n_steps)
        exponents = chain.logs[transient:].mean(dim=0)
        distance = exponents - target
        weights = torch.zeros_like(chain.logs)
        weights[transient:] = distance * (2 / (len(distance) * (n_steps - transient)))
        h_bar, J_bar, _ = chain.adjoint(weights)
        by_name = {"ws": h_bar.T @ inputs[:n_steps] / inputs.shape[1], "J": J_bar, "b": h_bar.sum(dim=0)}
        require_finite_gradients(by_name)
        return FlossingGradient(exponents, float((distance**2).mean()), by_name)


class SpectrumPass:
    """log |R_ii| of every step along one trial, and the adjoint of them.

    Args:
        network: one of the three built-in ones.
        J: (N, N).
        x: state at the start, (n_states,).
        Q: orthonormal frame at the start, (n_states, k).
        u: the units' drive, (T + 1, 1, N), with a first entry that is left open; overwritten by the states.

    Attributes:
        logs: (T, k), -inf where a direction collapsed.
    """

    def __init__(self, network: BuiltIn, J: Tensor, x: Tensor, Q: Tensor, u: Tensor) -> None:
        self._states = TrajectoryPass(network, J, x[None], u)
        self._chain = _chain(network, J, self._states.states, Q)
        self._triangles = []
        frames = self._chain.frames
        for n in range(len(frames) - 1):
            q_r: Any = torch.linalg.qr(self._chain.push(n).T)
            frames[n + 1] = q_r.Q.T
            self._triangles.append(q_r.R)
        self.logs = torch.stack([torch.diagonal(r) for r in self._triangles]).abs().log()

    def adjoint(self, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """dL/dh (T, N) for h = J a + u, which the units receive, dL/dJ and dL/dx, from dL/dlogs (T, k)."""
        chain = self._chain
        Q_bar = torch.zeros_like(chain.frames[-1])
        for n in range(len(weights) - 1, -1, -1):
            Q_bar = chain.pull(n, qr_adjoint(Q_bar, chain.frames[n + 1], self._triangles[n], weights[n]))
        direct, at_start = chain.direct()
        h_bars, x_bars = self._states.adjoint(direct[:, None, :])
        h_bar, x_bar = h_bars[:, 0], x_bars[0]
        x_bar[: len(at_start)] += at_start
        return h_bar, chain.j_gradient().addmm_(h_bar.T, flat(self._states.sent)), x_bar


def _chain(network: BuiltIn, J: Tensor, states: Tensor, Q: Tensor) -> _Rate | _Spiking:
    if not isinstance(network, SpikingNetwork):
        return _Rate(network, J, states, Q)
    remembers = network.synaptic_decay or network.membrane_decay
    return (_Spiking if remembers or Q.shape[1] > len(J) else _Memoryless)(network, J, states, Q)


def qr_adjoint(Q_bar: Tensor, Q: Tensor, R: Tensor, weights: Tensor) -> Tensor:
    """dL/dA of A = Q R, where R enters the loss through log |R_ii| only, with derivatives ``weights``.

    In general dL/dA = (Q_bar + Q S) R^-T, S the symmetric matrix that has the lower triangle of R R_bar' - Q_bar' Q
    (Walter & Lehmann 2010; Liao et al. 2019). Here that triangle of R R_bar' is the diagonal ``weights``, and the
    strict lower triangle L of Q_bar' Q is rounding alone, because later logarithms do not change when a column of Q is
    added to a later one. Q L' has to go, since it would grow backwards in time; the other half, Q L, changes nothing.

    Shapes: Q_bar, Q and the result are transposed, (k, n); R (k, k), weights (k,).
    """
    M = (Q_bar @ Q.T).tril_()
    M.diagonal().sub_(weights)
    freed = torch.addmm(Q_bar, M, Q, alpha=-1).T
    solved: Tensor = torch.linalg.solve_triangular(R.T, freed, upper=False, left=False)
    return solved.T


class _Rate:
    """x' = J a(x) + u and A = diag(d(x')) J Q."""

    def __init__(self, network: TanhNetwork | BinaryNetwork, J: Tensor, states: Tensor, Q: Tensor) -> None:
        self.J, after = J, states[1:, 0]
        if isinstance(network, TanhNetwork):
            rate = torch.tanh(after)
            self.gains = 1 - rate**2
            self.gain_slopes = -2 * rate * self.gains
        else:
            self.gains = network.surrogate.derivative(after)
            self.gain_slopes = network.surrogate.slope(after)
        n_steps, n_units = after.shape
        self.frames = _frames(Q.T, n_steps)
        self.products = J.new_empty(n_steps, Q.shape[1], n_units)
        self.A_bars, self.P_bars = torch.empty_like(self.products), torch.empty_like(self.products)

    def push(self, n: int) -> Tensor:
        torch.mm(self.frames[n], self.J.T, out=self.products[n])
        return self.gains[n] * self.products[n]

    def pull(self, n: int, A_bar: Tensor) -> Tensor:
        self.A_bars[n] = A_bar
        torch.mul(A_bar, self.gains[n], out=self.P_bars[n])
        return self.P_bars[n] @ self.J

    def direct(self) -> tuple[Tensor, Tensor]:
        """dL/dx_n as far as the Jacobians depend on it: after every step, (T, N); at the start, (N,), not at all."""
        by_state = self.gain_slopes * torch.mul(self.A_bars, self.products).sum(dim=1)
        return by_state, torch.zeros_like(by_state[0])

    def j_gradient(self) -> Tensor:
        """Of the Jacobians alone."""
        return self.P_bars.flatten(0, 1).T @ self.frames[:-1].flatten(0, 1)


class _Spiking:
    """Membranes and synapses: A = (beta Q_mem + c S, S) with S = J diag(d(mem)) Q_mem + alpha Q_syn."""

    def __init__(self, network: SpikingNetwork, J: Tensor, states: Tensor, Q: Tensor) -> None:
        self.J, self.network = J, network
        v = states[:-1, 0] - network.threshold
        self.gains = network.jacobian_surrogate.derivative(v)
        self.gain_slopes = network.jacobian_surrogate.slope(v)
        n_steps, n_units = v.shape
        self.frames = _frames(self.first_frame(Q), n_steps)
        self.from_membranes = self.frames[..., :n_units]
        self.sent = J.new_empty(n_steps, Q.shape[1], n_units)
        self.P_bars, self.E_bars = torch.empty_like(self.sent), torch.empty_like(self.sent)

    def first_frame(self, Q: Tensor) -> Tensor:
        return Q.T

    def push(self, n: int) -> Tensor:
        net, n_units, Q = self.network, len(self.J), self.frames[n]
        A = torch.empty_like(Q)
        torch.mul(Q[:, :n_units], self.gains[n], out=self.sent[n])
        A[:, n_units:] = self.sent[n] @ self.J.T
        if net.synaptic_decay:
            A[:, n_units:].add_(Q[:, n_units:], alpha=net.synaptic_decay)
        torch.mul(A[:, n_units:], net.membrane_gain, out=A[:, :n_units])
        if net.membrane_decay:
            A[:, :n_units].add_(Q[:, :n_units], alpha=net.membrane_decay)
        return A

    def pull(self, n: int, A_bar: Tensor) -> Tensor:
        net, n_units = self.network, len(self.J)
        mem_bar, syn_bar = A_bar[:, :n_units], A_bar[:, n_units:]
        torch.add(syn_bar, mem_bar, alpha=net.membrane_gain, out=self.P_bars[n])
        torch.mm(self.P_bars[n], self.J, out=self.E_bars[n])
        Q_bar = torch.cat([self.gains[n] * self.E_bars[n], net.synaptic_decay * self.P_bars[n]], dim=1)
        if net.membrane_decay:
            Q_bar[:, :n_units].add_(mem_bar, alpha=net.membrane_decay)
        return Q_bar

    def direct(self) -> tuple[Tensor, Tensor]:
        """dL/dmem_n as far as the Jacobians depend on it: after every step, (T, N), the last not at all, and at the
        start, (N,)."""
        by_state = self.gain_slopes * torch.mul(self.E_bars, self.from_membranes[:-1]).sum(dim=1)
        return torch.cat([by_state[1:], torch.zeros_like(by_state[:1])]), by_state[0]

    def j_gradient(self) -> Tensor:
        """Of the Jacobians alone."""
        return self.P_bars.flatten(0, 1).T @ self.sent.flatten(0, 1)


class _Memoryless(_Spiking):
    """Without decays A = (c S, S) with S = J diag(d(mem)) Q_mem, and both halves of its frame are one frame of N rows.

    With S = q r, A = (c q, q) / s times s r for s = sqrt(1 + c^2), so the next S is J diag(d) q c / s times r: the
    logarithms are those of a chain of N rows, at a quarter of the cost.
    """

    def first_frame(self, Q: Tensor) -> Tensor:
        return Q[: len(self.J)].T

    def scale(self, n: int) -> float:
        """The first frame is still that of the whole state."""
        return self.network.membrane_gain if n else math.hypot(1, self.network.membrane_gain)

    def push(self, n: int) -> Tensor:
        torch.mul(self.frames[n], self.gains[n], out=self.sent[n])
        return (self.sent[n] @ self.J.T).mul_(self.scale(n))

    def pull(self, n: int, A_bar: Tensor) -> Tensor:
        torch.mul(A_bar, self.scale(n), out=self.P_bars[n])
        torch.mm(self.P_bars[n], self.J, out=self.E_bars[n])
        return self.gains[n] * self.E_bars[n]


def _frames(first: Tensor, n_steps: int) -> Tensor:
    """Room for the frames of all steps, transposed, (T + 1, k, n), beginning with the given one."""
    frames = first.new_empty(n_steps + 1, *first.shape)
    frames[0] = first
    return frames
