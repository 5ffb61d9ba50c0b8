"""A frame pushed through the Jacobians of the built-in networks, step by step, and the way back.

Frames are kept transposed, (k, n), which is LAPACK's own order; a Jacobian is applied as a product with J and never
formed. Source: specification (8.4) to (8.7), and (8.11) and (8.12) for networks without memory.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pyflossing.gradients.memory import Room
from pyflossing.model.networks import BinaryNetwork, BuiltIn, SpikingNetwork, TanhNetwork


def frames_along(network: BuiltIn, J: Tensor, states: Tensor, Q: Tensor, room: Room) -> RateFrames | SpikingFrames:
    if not isinstance(network, SpikingNetwork):
        return RateFrames(network, J, states, Q, room)
    remembers = network.synaptic_decay or network.membrane_decay
    return (SpikingFrames if remembers or Q.shape[1] > len(J) else MemorylessFrames)(network, J, states, Q, room)


def gains_along(network: BuiltIn, states: Tensor) -> tuple[Tensor, Tensor]:
    """The diagonals in the Jacobians of all steps, and their derivatives by the states, from states (T + 1, N).

    Those of spiking units are taken before the step, the others after it.
    """
    if isinstance(network, TanhNetwork):
        rate = torch.tanh(states[1:])
        gains = 1 - rate**2
        return gains, -2 * rate * gains
    if isinstance(network, SpikingNetwork):
        surrogate, v = network.jacobian_surrogate, states[:-1] - network.threshold
    else:
        surrogate, v = network.surrogate, states[1:]
    return surrogate.derivative(v), surrogate.slope(v)


class RateFrames:
    """x' = J a(x) + u and A = diag(d(x')) J Q."""

    def __init__(self, network: TanhNetwork | BinaryNetwork, J: Tensor, states: Tensor, Q: Tensor, room: Room) -> None:
        self.J = J
        self.gains, self.gain_slopes = gains_along(network, states[:, 0])
        n_steps, n_units = self.gains.shape
        self.frames = _frames(Q.T, n_steps, room)
        shape = (n_steps, Q.shape[1], n_units)
        self.products, self.A_bars, self.P_bars = (room(role, shape, J) for role in ("products", "A_bars", "P_bars"))

    def push(self, n: int) -> Tensor:
        """The next frame, not orthonormal yet."""
        torch.mm(self.frames[n], self.J.T, out=self.products[n])
        return torch.mul(self.products[n], self.gains[n], out=self.frames[n + 1])

    def bar(self, n: int) -> Tensor:
        """Where dL/dA of a step is to be put."""
        return self.A_bars[n]

    def pull(self, n: int, out: Tensor) -> None:
        """Put into ``out`` dL/dQ of the frame before step n, from ``bar(n)``."""
        torch.mul(self.A_bars[n], self.gains[n], out=self.P_bars[n])
        torch.mm(self.P_bars[n], self.J, out=out)

    def direct(self) -> tuple[Tensor, Tensor]:
        """dL/dx_n as far as the Jacobians depend on it: after every step, (T, N); at the start, (N,), not at all."""
        by_state = self.gain_slopes * torch.mul(self.A_bars, self.products, out=self.A_bars).sum(dim=1)
        return by_state, torch.zeros_like(by_state[0])

    def j_gradient(self) -> Tensor:
        """Of the Jacobians alone."""
        return self.P_bars.flatten(0, 1).T @ self.frames[:-1].flatten(0, 1)


class SpikingFrames:
    """Membranes and synapses: A = (beta Q_mem + c S, S) with S = J diag(d(mem)) Q_mem + alpha Q_syn.

    The membranes' half is multiplied by 1 - o if the Jacobian has the factor of the reset.
    """

    def __init__(self, network: SpikingNetwork, J: Tensor, states: Tensor, Q: Tensor, room: Room) -> None:
        self.J, self.network = J, network
        self.gains, self.gain_slopes = gains_along(network, states[:, 0])
        self.kept = network.reset_factor(states[:-1, 0]) if network.jacobian_reset == "factor" else None
        n_steps, n_units = self.gains.shape
        self.frames = _frames(self.first_frame(Q), n_steps, room)
        self.from_membranes = self.frames[..., :n_units]
        shape = (n_steps, Q.shape[1], n_units)
        self.sent, self.P_bars, self.E_bars = (room(role, shape, J) for role in ("products", "P_bars", "A_bars"))
        self._bar = torch.empty_like(self.frames[0])

    def first_frame(self, Q: Tensor) -> Tensor:
        return Q.T

    def push(self, n: int) -> Tensor:
        """The next frame, not orthonormal yet."""
        net, n_units, Q, A = self.network, len(self.J), self.frames[n], self.frames[n + 1]
        torch.mul(Q[:, :n_units], self.gains[n], out=self.sent[n])
        torch.mm(self.sent[n], self.J.T, out=A[:, n_units:])
        if net.synaptic_decay:
            A[:, n_units:].add_(Q[:, n_units:], alpha=net.synaptic_decay)
        torch.mul(A[:, n_units:], net.membrane_gain, out=A[:, :n_units])
        if net.membrane_decay:
            A[:, :n_units].add_(Q[:, :n_units], alpha=net.membrane_decay)
        if self.kept is not None:
            A[:, :n_units].mul_(self.kept[n])
        return A

    def bar(self, n: int) -> Tensor:
        """Where dL/dA of a step is to be put."""
        return self._bar

    def pull(self, n: int, out: Tensor) -> None:
        """Put into ``out``, which may be ``bar(n)``, dL/dQ of the frame before step n, from ``bar(n)``.

        ``bar(n)`` is overwritten.
        """
        net, n_units = self.network, len(self.J)
        mem_bar, syn_bar = self._bar[:, :n_units], self._bar[:, n_units:]
        if self.kept is not None:
            mem_bar.mul_(self.kept[n])
        torch.add(syn_bar, mem_bar, alpha=net.membrane_gain, out=self.P_bars[n])
        torch.mm(self.P_bars[n], self.J, out=self.E_bars[n])
        torch.mul(mem_bar, net.membrane_decay, out=out[:, :n_units]).addcmul_(self.gains[n], self.E_bars[n])
        torch.mul(self.P_bars[n], net.synaptic_decay, out=out[:, n_units:])

    def direct(self) -> tuple[Tensor, Tensor]:
        """dL/dmem_n as far as the Jacobians depend on it: after every step, (T, N), the last not at all, and at the
        start, (N,)."""
        products = torch.mul(self.E_bars, self.from_membranes[:-1], out=self.E_bars)
        by_state = self.gain_slopes * products.sum(dim=1)
        return torch.cat([by_state[1:], torch.zeros_like(by_state[:1])]), by_state[0]

    def j_gradient(self) -> Tensor:
        """Of the Jacobians alone."""
        return self.P_bars.flatten(0, 1).T @ self.sent.flatten(0, 1)


class MemorylessFrames(SpikingFrames):
    """Without decays A = (c S, S) with S = J diag(d(mem)) Q_mem, and both halves of its frame are one frame of N rows.

    With S = q r, A = (c q, q) / s times s r for s = sqrt(1 + c^2), so the next S is J diag(d) q c / s times r: the
    logarithms are those of a chain of N rows, at a quarter of the cost.

    With the factor of the reset, r = 1 - o, A = (c r S, S), and s is a number for each unit, 1 where r = 0. What was
    reset is not sent again: d takes in c r / s of the step before.
    """

    def __init__(self, network: SpikingNetwork, J: Tensor, states: Tensor, Q: Tensor, room: Room) -> None:
        super().__init__(network, J, states, Q, room)
        if self.kept is not None:
            whole = math.hypot(1, network.membrane_gain)
            self._scales = 1 + (whole - 1) * self.kept
            for of_steps in (self.gains, self.gain_slopes):
                of_steps[1:] *= network.membrane_gain / whole * self.kept[:-1]

    def first_frame(self, Q: Tensor) -> Tensor:
        return Q[: len(self.J)].T

    def scale(self, n: int) -> float | Tensor:
        """Of what is received in step n; the first frame is still that of the whole state."""
        if self.kept is not None:
            return self._scales[n]
        return self.network.membrane_gain if n else math.hypot(1, self.network.membrane_gain)

    def push(self, n: int) -> Tensor:
        torch.mul(self.frames[n], self.gains[n], out=self.sent[n])
        return torch.mm(self.sent[n], self.J.T, out=self.frames[n + 1]).mul_(self.scale(n))

    def pull(self, n: int, out: Tensor) -> None:
        torch.mul(self._bar, self.scale(n), out=self.P_bars[n])
        torch.mm(self.P_bars[n], self.J, out=self.E_bars[n])
        torch.mul(self.gains[n], self.E_bars[n], out=out)


def _frames(first: Tensor, n_steps: int, room: Room) -> Tensor:
    """Room for the frames of all steps, transposed, (T + 1, k, n), beginning with the given one."""
    frames = room("frames", (n_steps + 1, *first.shape), first)
    frames[0] = first
    return frames
