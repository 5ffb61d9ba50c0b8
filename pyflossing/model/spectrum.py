"""Finite-time Lyapunov spectra of the built-in networks, and the loss of flossing; differentiable.

Source: specification, sections 7 and 8, after Engelken, "Gradient flossing", NeurIPS 2023 (arXiv 2312.17306): the
orthonormal frame is pushed by the (surrogate) Jacobian and reorthonormalised by a QR decomposition in every step.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from pyflossing._support.alignment import aligned
from pyflossing._support.arguments import FieldError, require_choice, require_integer
from pyflossing.julia_random import MersenneTwister
from pyflossing.model.networks import Network

Side = Literal["both", "expanding", "contracting"]
SIDES = ("both", "expanding", "contracting")
"""Which exponents the loss of flossing moves: all, those above the target, those below it."""


class HasExponents(Protocol):
    """A spectrum, such as :class:`pyflossing.LyapunovSpectrum`."""

    def for_loss(self) -> Tensor:
        """The exponents, 1/step, any shape; a backward pass through them says so if they carry no gradients."""


def transient_steps(n_steps: int) -> int:
    """Steps of the frame that do not count: 10 + ceil(n_steps / 10), as in the original; specification (7.2)."""
    return 10 - (-n_steps // 10)


COUNTED_STEPS = "of n steps the first 10 + ceil(n / 10) do not count, so it must be at least 13"


def require_counted_steps(name: str, n_steps: int) -> None:
    """Refuse a number of steps of which none counts.

    Raises:
        ValueError: naming ``name``; the original returns NaN there.
    """
    if require_integer(name, n_steps) <= transient_steps(n_steps):
        raise FieldError(name, n_steps, COUNTED_STEPS)


def initial_frame(n_states: int, n_exponents: int, seed: int, like: Tensor | None = None) -> Tensor:
    """The orthonormal frame (n_states, n_exponents) in which a spectrum starts: Q of Float32 normals from ``seed``.

    Args:
        n_states: size of the network's state.
        n_exponents: number of directions, 0 to n_states.
        seed: of Julia 1.5's MersenneTwister, 0 to 2^63 - 1.
        like: a tensor with the type and device of the result; Float32 on the CPU by default.

    Raises:
        ValueError: a size or seed out of range.
    """
    rows = require_integer("n_states", n_states, minimum=1)
    columns = require_integer("n_exponents", n_exponents, 0, rows)
    generator = MersenneTwister(require_integer("seed", seed, 0, 2**63 - 1))
    normals = generator.randn((rows, columns), np.float32)
    # Householder QR with LAPACK's signs, computed in Float64 and rounded once.
    q = aligned(torch.from_numpy(np.linalg.qr(normals.astype(np.float64)).Q))
    return q.float() if like is None else q.to(like)


def logarithms(network: Network, J: Tensor, x: Tensor, Q: Tensor, drive: Tensor, n_steps: int) -> Tensor:
    """log |R_ii| of every step, shape (n_steps, k), along one trial: specification (7.1).

    Args:
        network: the network.
        J: recurrent weights (N, N).
        x: state at the start, (n_states,).
        Q: orthonormal frame at the start, (n_states, k).
        drive: u, the units' input in every step including the bias, (>= n_steps, N).
        n_steps: steps to take.

    Returns:
        the logarithms; -inf where a direction collapsed.
    """
    rows = []
    J, x, Q = aligned(J), aligned(x), aligned(Q)
    for n in range(n_steps):
        x_next = network.step(x[:, None], drive[n][:, None], J)[:, 0]
        q_r: Any = torch.linalg.qr(network.jacobian_action(x, x_next, J, Q))
        Q, x = q_r.Q, x_next
        rows.append(torch.log(torch.abs(torch.diagonal(q_r.R))))
    return torch.stack(rows)


def spectrum(network: Network, J: Tensor, x: Tensor, Q: Tensor, drive: Tensor, n_steps: int) -> Tensor:
    """The first k Lyapunov exponents (1/step) along one trial, in the order of the frame's columns, not sorted.

    Specification (7.3). Arguments as in :func:`logarithms`.

    Raises:
        ValueError: no step counts (n_steps <= 10 + ceil(n_steps / 10)).
    """
    require_counted_steps("n_steps", n_steps)
    return logarithms(network, J, x, Q, drive, n_steps)[transient_steps(n_steps) :].mean(dim=0)


def flossing_loss(exponents: Tensor | HasExponents, target: float | Tensor = 0.0, side: Side = "both") -> Tensor:
    """Mean squared distance of the exponents (1/step) from ``target``, in 1/step^2: specification (8.1).

    Args:
        exponents: any shape, such as (k,) or (B, k); or a spectrum, whose exponents are taken.
        target: 1/step, one for all or one each.
        side: "both", the published loss; or, ours, only the distance of the exponents above the target ("expanding") or
            below it ("contracting"), where the others count as zeros in the same mean.

    Raises:
        ValueError: another side.
    """
    require_choice("side", side, SIDES)
    difference = (exponents if isinstance(exponents, Tensor) else exponents.for_loss()) - target
    if side == "expanding":
        difference = torch.relu(difference)
    elif side == "contracting":
        difference = torch.relu(-difference)
    return (difference**2).mean()
