"""What the computation of a spectrum gives back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from pyflossing.modules import statistics
from pyflossing.modules.state import State


@dataclass(frozen=True)
class SpectrumSettings:
    """How a spectrum was computed.

    Attributes:
        n_exponents: k.
        n_states: n, the numbers in the state of one example.
        n_steps: all steps, the transient included.
        transient: first steps that do not count.
        qr_every: steps between QR decompositions.
        time_step: time per step; exponents are in 1/time.
        method: "forward", "double_backward", "backward", "adjoint" or "jacobian_action".
        frame: where the starting frame is from.
        dtype: of states and directions.
        device: on which they lay.
        truncate: steps after which gradients are cut, None for never.
        evaluation: "recorded" or "stacked", where the derivative is taken for many steps at once, or "step by step".
    """

    n_exponents: int
    n_states: int
    n_steps: int
    transient: int
    qr_every: int
    time_step: float
    method: str
    frame: str
    dtype: str
    device: str
    truncate: int | None = None
    evaluation: str = "step by step"


@dataclass(frozen=True, eq=False)
class LyapunovSpectrum:
    """Finite-time Lyapunov exponents of a batch of B examples, or of a single one (then without the dimension B).

    Attributes:
        exponents: (B, k), 1/step, or 1/time with a time_step; in the order of the frame's columns, which is that of
            decreasing exponents once the frame has aligned; Float64. Differentiable if that was asked for.
        logs: (n_blocks, B, k), log |R_ii| of each counted block between two QR decompositions, not divided by its
            length; -inf where a direction is zero.
        block_lengths: (n_blocks,), steps per block: qr_every, and what remains in the last one.
        final_state: the state after the last step, to continue from.
        final_frame: the frame there, (B, n, k).
        settings: how all this was computed.
    """

    exponents: Tensor
    logs: Tensor
    block_lengths: Tensor
    final_state: State
    final_frame: Tensor
    settings: SpectrumSettings

    @cached_property
    def standard_error(self) -> Tensor:
        """(B, k): error of the time average, from blocks of whole blocks (:func:`statistics.standard_error`).

        It tells how far the average over these steps may lie from that over other, equally long stretches; not the
        bias of a transient that was too short. NaN with fewer than two full blocks.
        """
        full = self.block_lengths == self.settings.qr_every
        unit = self.settings.qr_every * self.settings.time_step
        return statistics.standard_error(self.logs.detach()[full] / unit)

    def convergence(self) -> tuple[Tensor, Tensor]:
        """Counted time (n_blocks,) and the exponents as they would be had it ended there, (n_blocks, B, k)."""
        time = self.block_lengths.cumsum(0) * self.settings.time_step
        return time, self.logs.detach().cumsum(0) / time.reshape(-1, *[1] * (self.logs.dim() - 1))

    def kaplan_yorke_dimension(self) -> Tensor:
        """(B,): see :func:`statistics.kaplan_yorke_dimension`; NaN where k exponents do not suffice."""
        return statistics.kaplan_yorke_dimension(self.exponents.detach(), self.settings.n_states)

    def entropy_rate(self) -> Tensor:
        """(B,): sum of the positive exponents, see :func:`statistics.entropy_rate`."""
        return statistics.entropy_rate(self.exponents.detach())

    def __repr__(self) -> str:
        s = self.settings
        batch = f"{self.exponents.shape[0]} examples, " if self.exponents.dim() > 1 else ""
        largest = torch.amax(self.exponents.detach()).item()
        return (
            f"<LyapunovSpectrum: {batch}{s.n_exponents} of {s.n_states} exponents from "
            f"{s.n_steps - s.transient} steps, largest {largest:.4g}, {s.method}>"
        )
