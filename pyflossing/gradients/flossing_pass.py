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

from pyflossing._support.alignment import aligned
from pyflossing._support.devices import numbers_of
from pyflossing.gradients import by_autograd
from pyflossing.gradients.by_autograd import (
    FLOSSED,
    FlossingGradient,
    require_finite_gradients,
    require_finite_logarithms,
)
from pyflossing.gradients.frames import frames_along
from pyflossing.gradients.kernel.library import kernel_for
from pyflossing.gradients.kernel.passes import FrameChain, States
from pyflossing.gradients.memory import Room, fresh, reused
from pyflossing.gradients.qr_adjoint import qr_adjoint
from pyflossing.gradients.training_pass import drive
from pyflossing.gradients.trajectory_pass import TrajectoryPass, flat
from pyflossing.model.loss import Parameters
from pyflossing.model.networks import BUILT_IN, BuiltIn, Network
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
        ws, J, b = (aligned(getattr(parameters, name).detach()) for name in FLOSSED)
        inputs = aligned(inputs[:n_steps])
        transient = transient_steps(n_steps)
        kernel = kernel_for(len(J), ws, J, b, x, Q, inputs)
        if kernel is not None and _fit(network, ws, J, b, x, Q, inputs, transient):  # type: ignore[arg-type]
            result = _compiled(kernel, network, (ws, J, b), x, Q, inputs, transient, target)  # type: ignore[arg-type]
            if result is not None:
                return result
        chain = SpectrumPass(network, J, x, Q, drive(ws, b, inputs[:, None, :]), reused, transient)  # type: ignore[arg-type]
        if not torch.isfinite(chain.logs).all():  # a decomposition in every step says in which one
            chain = SpectrumPass(network, J, x, Q, drive(ws, b, inputs[:, None, :]))  # type: ignore[arg-type]
            require_finite_logarithms(chain.logs)
        exponents, loss, weights = _loss(chain.logs, transient, target)
        h_bar, J_bar, _ = chain.adjoint(weights)
        by_name = {"ws": h_bar.T @ inputs / inputs.shape[1], "J": J_bar, "b": h_bar.sum(dim=0)}
        require_finite_gradients(by_name)
        return FlossingGradient(exponents, loss, by_name)


def _loss(logs: Tensor, transient: int, target: float) -> tuple[Tensor, float, Tensor]:
    """Exponents (k,), the loss, and its derivatives by the logarithms (T, k): specification (7.3), (8.1), (8.2)."""
    exponents = logs[transient:].mean(dim=0)
    distance = exponents - target
    weights = torch.zeros_like(logs)
    weights[transient:] = distance * (2 / (len(distance) * (len(logs) - transient)))
    return exponents, float((distance**2).mean()), weights


def _fit(
    network: BuiltIn, ws: Tensor, J: Tensor, b: Tensor, x: Tensor, Q: Tensor, inputs: Tensor, transient: int
) -> bool:
    """Whether all shapes belong together and a step counts; of others torch says what is wrong."""
    n, k, (steps, channels) = len(J), Q.shape[1], inputs.shape
    n_states = network.n_states(n)
    shapes = ((ws, (n, channels)), (J, (n, n)), (b, (n,)), (x, (n_states,)), (Q, (n_states, k)))
    return all(array.shape == shape for array, shape in shapes) and 0 < k <= n_states and transient < steps


def _compiled(
    kernel: Any,
    network: BuiltIn,
    parameters: tuple[Tensor, Tensor, Tensor],
    x: Tensor,
    Q: Tensor,
    inputs: Tensor,
    transient: int,
    target: float,
) -> FlossingGradient | None:
    """By the compiled kernel; None if a logarithm is not finite."""
    ws, J, b = parameters
    states = States(kernel, network, ws, J, b, None, x[:, None].contiguous(), inputs[:, None, :])
    blocks = (_SPREAD, _LONGEST_BLOCK, _widest_spread(J.dtype))
    frames = FrameChain(kernel, network, J, Q.contiguous(), states, transient, target, *blocks)
    if not frames.finite:
        return None
    J_bar, bars = frames.adjoint()
    result = states.adjoint(None, bars, J_bar)
    by_name = {"ws": result.ws, "J": result.J, "b": result.b}
    if not result.finite:
        require_finite_gradients(by_name)
    return FlossingGradient(frames.exponents, frames.loss, by_name)


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
    the logarithms of the block before allow; one of more than twice the steps that its own allow is taken again.

    Nor do they change if a block's triangle R is any that leaves a well-conditioned frame A R^-1, as long as the frames
    are orthonormal where the sum begins and ends: what one block has too much the next has too little. In between R is
    Cholesky's of the Gram matrix, at half the cost of a QR decomposition.

    Specification (8.2) to (8.11).

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
        self._chain = frames_along(network, J, self._states.states, Q, room)
        self._triangles: dict[int, Tensor] = {}
        frames = self._chain.frames
        n_steps = len(frames) - 1
        self.logs = frames.new_zeros(n_steps, len(frames[0]))
        widest = _widest_spread(frames.dtype)
        begin, length, n = 0, 1, 0
        while n < n_steps:
            A = self._chain.push(n)
            n += 1
            at_an_end = blocks_from is None or n in (blocks_from, n_steps)
            if n < begin + length and not at_an_end:
                continue
            spread = None if at_an_end else self._rescale(n - 1, A, widest)
            if spread is None:
                self._orthonormalise(n - 1, A)
                spread = _spread(self.logs[n - 1])
            steps = n - begin
            allowed = _SPREAD * steps / spread if spread > 0 else _LONGEST_BLOCK
            length = int(min(max(1.0, allowed), _LONGEST_BLOCK))
            if steps > 1 and allowed < steps / 2:  # the block before promised too much
                del self._triangles[n - 1]
                self.logs[n - 1] = 0
                n = begin
            begin = n

    def _orthonormalise(self, n: int, A: Tensor) -> None:
        q_r: Any = torch.linalg.qr(A.T)
        A.T.copy_(q_r.Q)
        self._triangles[n] = q_r.R
        torch.log(torch.diagonal(q_r.R).abs(), out=self.logs[n])

    def _rescale(self, n: int, A: Tensor, widest: float) -> float | None:
        """How far the logarithms are apart; None, and nothing done, if it is too much."""
        factor: Any = torch.linalg.cholesky_ex(A @ A.T)
        L = factor.L
        torch.log(torch.diagonal(L), out=self.logs[n])
        low, high, failed = numbers_of(*torch.aminmax(self.logs[n]), factor.info)
        spread = high - low
        if not spread < widest or failed:
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
    low, high = numbers_of(*torch.aminmax(logs))
    return high - low
