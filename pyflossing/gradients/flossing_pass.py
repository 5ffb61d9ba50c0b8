"""Exponents and the gradient of the flossing loss by a reverse pass written out: one chain forward, one back.

Only log |R_ii| enters the loss, so the adjoint of a QR decomposition takes one triangular solve and two products; the
Jacobian is applied as a product with J and never formed. Frames are kept transposed, (k, n), which is LAPACK's own
order; the states are those of :mod:`pyflossing.gradients.trajectory_pass`, and J's gradient is one product after the
loop. Agrees with :mod:`pyflossing.gradients.by_autograd` (a test shows it).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pyflossing.gradients import by_autograd
from pyflossing.gradients.by_autograd import FlossingGradient, require_finite_gradients, require_finite_logarithms
from pyflossing.gradients.memory import Room, fresh, reused
from pyflossing.gradients.training_pass import drive
from pyflossing.gradients.trajectory_pass import BuiltIn, TrajectoryPass, flat
from pyflossing.model.loss import Parameters
from pyflossing.model.networks import BUILT_IN, BinaryNetwork, Network, SpikingNetwork, TanhNetwork
from pyflossing.model.spectrum import transient_steps


def flossing_gradient(
    network: Network,
    parameters: Parameters,
    x: Tensor,
    Q: Tensor,
    inputs: Tensor,
    n_steps: int,
    target: float,
) -> FlossingGradient:
    """As :func:`pyflossing.gradients.by_autograd.flossing_gradient`, with the same arguments, result and errors.

    A network of another class than the three built-in ones, a subclass too, takes plain autograd.
    """
    if type(network) not in BUILT_IN:
        return by_autograd.flossing_gradient(network, parameters, x, Q, inputs, n_steps, target)
    with torch.no_grad():
        ws, J, b = parameters.ws.detach(), parameters.J.detach(), parameters.b.detach()
        received = inputs[:n_steps, None, :]
        transient = transient_steps(n_steps)
        chain = SpectrumPass(network, J, x, Q, drive(ws, b, received), reused, transient)  # type: ignore[arg-type]
        if not torch.isfinite(chain.logs).all():  # a decomposition in every step says in which one
            chain = SpectrumPass(network, J, x, Q, drive(ws, b, received))  # type: ignore[arg-type]
            require_finite_logarithms(chain.logs)
        exponents = chain.logs[transient:].mean(dim=0)
        distance = exponents - target
        weights = torch.zeros_like(chain.logs)
        weights[transient:] = distance * (2 / (len(distance) * (n_steps - transient)))
        h_bar, J_bar, _ = chain.adjoint(weights)
        by_name = {"ws": h_bar.T @ inputs[:n_steps] / inputs.shape[1], "J": J_bar, "b": h_bar.sum(dim=0)}
        require_finite_gradients(by_name)
        return FlossingGradient(exponents, float((distance**2).mean()), by_name)


_SPREAD = 2.3
"""How far apart the logarithms of a block of steps may come to lie, that is a condition of ten: with it the errors of
gradients in Float32 are on average those of a decomposition in every step (docs/benchmarks.md); from 5 on they are ten
times that."""

_LONGEST_BLOCK = 6


def _widest_spread(dtype: torch.dtype) -> float:
    """Of the logarithms of one triangle, for which a frame may be rescaled by Cholesky's.

    With a condition c its frame is orthogonal to c^2 epsilon, and a step magnifies rounding by c: together below one.
    """
    return -math.log(torch.finfo(dtype).eps) / 3


class SpectrumPass:
    """log |R_ii| along one trial, and the adjoint of them.

    The sum of the logarithms over some steps, and its gradient, are the same if the frame is pushed through these steps
    first and decomposed once at their end: a *block*, which saves most of a step's cost. As many steps make a block as
    the logarithms of the block before allow.

    Nor do they change if a block's triangle R is any that leaves a well-conditioned frame A R^-1, as long as the frames
    are orthonormal where the sum begins and ends: what one block has too much the next has too little. In between R is
    Cholesky's of the Gram matrix, at half the cost of a QR decomposition.

    Args:
        network: one of the three built-in ones.
        J: (N, N).
        x: state at the start, (n_states,).
        Q: orthonormal frame at the start, (n_states, k).
        u: the units' drive, (T + 1, 1, N), with a first entry that is left open; overwritten by the states.
        room: where large arrays come from.
        blocks_from: a step at which a block begins, if only sums from there to the end are asked for; by default every
            step is a block.

    Attributes:
        logs: (T, k), -inf where a direction collapsed; of a block in its last step, the others being zero.
    """

    def __init__(
        self,
        network: BuiltIn,
        J: Tensor,
        x: Tensor,
        Q: Tensor,
        u: Tensor,
        room: Room = fresh,
        blocks_from: int | None = None,
    ) -> None:
        self._states = TrajectoryPass(network, J, x[None], u)
        self._states.forward()
        self._chain = _chain(network, J, self._states.states, Q, room)
        self._triangles: dict[int, Tensor] = {}
        frames = self._chain.frames
        n_steps = len(frames) - 1
        self.logs = frames.new_zeros(n_steps, len(frames[0]))
        widest = _widest_spread(frames.dtype)
        begin, length = 0, 1
        for n in range(n_steps):
            A = self._chain.push(n)
            if blocks_from is None:
                self._orthonormalise(n, A)
                continue
            at_an_end = n + 1 in (blocks_from, n_steps)
            if n + 1 != begin + length and not at_an_end:
                continue
            spread = None if at_an_end else self._rescale(n, A, widest)
            if spread is None:
                self._orthonormalise(n, A)
                spread = _spread(self.logs[n])
            steps = n + 1 - begin
            length = int(min(max(1.0, _SPREAD * steps / spread), _LONGEST_BLOCK)) if spread > 0 else _LONGEST_BLOCK
            begin = n + 1

    def _orthonormalise(self, n: int, A: Tensor) -> None:
        q_r: Any = torch.linalg.qr(A.T)
        A.T.copy_(q_r.Q)
        self._triangles[n] = q_r.R
        torch.log(torch.diagonal(q_r.R).abs(), out=self.logs[n])

    def _rescale(self, n: int, A: Tensor, widest: float) -> float | None:
        """How far the logarithms are apart; None, and nothing done, if it is too much."""
        factor: Any = torch.linalg.cholesky_ex(A @ A.T)
        L = factor.L
        spread = _spread(torch.log(torch.diagonal(L), out=self.logs[n]))
        if not spread < widest or factor.info:
            return None
        torch.linalg.solve_triangular(L.T, A.T, upper=True, left=False, out=A.T)
        self._triangles[n] = L.T
        return spread

    def adjoint(self, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """dL/dh (T, N) for h = J a + u, which the units receive, dL/dJ and dL/dx, from dL/dlogs (T, k)."""
        chain = self._chain
        Q_bar = torch.zeros_like(chain.frames[-1])
        for n in range(len(weights) - 1, -1, -1):
            if n in self._triangles:
                qr_adjoint(Q_bar, chain.frames[n + 1], self._triangles[n], weights[n], out=chain.bar(n))
            within_block = n > 0 and n - 1 not in self._triangles
            chain.pull(n, out=chain.bar(n - 1) if within_block else Q_bar)
        direct, at_start = chain.direct()
        h_bars, x_bars = self._states.adjoint(direct[:, None, :])
        h_bar, x_bar = h_bars[:, 0], x_bars[0]
        x_bar[: len(at_start)] += at_start
        return h_bar, chain.j_gradient().addmm_(h_bar.T, flat(self._states.sent)), x_bar


def _spread(logs: Tensor) -> float:
    low, high = torch.aminmax(logs)
    return float(high) - float(low)


def _chain(network: BuiltIn, J: Tensor, states: Tensor, Q: Tensor, room: Room) -> _Rate | _Spiking:
    if not isinstance(network, SpikingNetwork):
        return _Rate(network, J, states, Q, room)
    remembers = network.synaptic_decay or network.membrane_decay
    return (_Spiking if remembers or Q.shape[1] > len(J) else _Memoryless)(network, J, states, Q, room)


def qr_adjoint(Q_bar: Tensor, Q: Tensor, R: Tensor, weights: Tensor, out: Tensor) -> None:
    """Put into ``out`` dL/dA of A = Q R, where R enters the loss through log |R_ii| only, with derivatives ``weights``.

    In general dL/dA = (Q_bar + Q S) R^-T, S the symmetric matrix that has the lower triangle of R R_bar' - Q_bar' Q
    (Walter & Lehmann 2010; Liao et al. 2019). Here that triangle of R R_bar' is the diagonal ``weights``, and the
    strict lower triangle L of Q_bar' Q is rounding alone, because later logarithms do not change when a column of Q is
    added to a later one. Q L' has to go, since it would grow backwards in time; the other half, Q L, changes nothing.

    Shapes: Q_bar, which is overwritten, Q and the result are transposed, (k, n); R (k, k), weights (k,).
    """
    M = (Q_bar @ Q.T).tril_()
    M.diagonal().sub_(weights)
    Q_bar.addmm_(M, Q, alpha=-1)
    torch.linalg.solve_triangular(R.T, Q_bar.T, upper=False, left=False, out=out.T)


class _Rate:
    """x' = J a(x) + u and A = diag(d(x')) J Q."""

    def __init__(self, network: TanhNetwork | BinaryNetwork, J: Tensor, states: Tensor, Q: Tensor, room: Room) -> None:
        self.J, after = J, states[1:, 0]
        if isinstance(network, TanhNetwork):
            rate = torch.tanh(after)
            self.gains = 1 - rate**2
            self.gain_slopes = -2 * rate * self.gains
        else:
            self.gains = network.surrogate.derivative(after)
            self.gain_slopes = network.surrogate.slope(after)
        n_steps, n_units = after.shape
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


class _Spiking:
    """Membranes and synapses: A = (beta Q_mem + c S, S) with S = J diag(d(mem)) Q_mem + alpha Q_syn."""

    def __init__(self, network: SpikingNetwork, J: Tensor, states: Tensor, Q: Tensor, room: Room) -> None:
        self.J, self.network = J, network
        v = states[:-1, 0] - network.threshold
        self.gains = network.jacobian_surrogate.derivative(v)
        self.gain_slopes = network.jacobian_surrogate.slope(v)
        n_steps, n_units = v.shape
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
        return A

    def bar(self, n: int) -> Tensor:
        """Where dL/dA of a step is to be put."""
        return self._bar

    def pull(self, n: int, out: Tensor) -> None:
        """Put into ``out``, which may be ``bar(n)``, dL/dQ of the frame before step n, from ``bar(n)``."""
        net, n_units = self.network, len(self.J)
        mem_bar, syn_bar = self._bar[:, :n_units], self._bar[:, n_units:]
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
