"""What the computation of a spectrum gives back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pyflossing.modules import statistics
from pyflossing.modules.drawing import draw_exponents
from pyflossing.modules.files import TENSORS, read_spectrum, write_spectrum
from pyflossing.modules.state import State

_FEWEST_BLOCKS = 8


class _WithoutGradient(torch.autograd.Function):
    """The identity, whose backward pass refuses."""

    @staticmethod
    def forward(ctx: Any, exponents: Tensor, _: Tensor) -> Tensor:
        return exponents.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        raise RuntimeError(
            "this spectrum carries no gradients: compute it with differentiable=True, with parameters that require "
            "gradients"
        )


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
        """(B, k): error of the time average, from the spectrum of the blocks (:func:`statistics.standard_error`).

        It tells how far the average over these steps may lie from that over other, equally long stretches; not the
        bias of a transient that was too short. NaN with fewer than 8 full blocks.
        """
        full = self.block_lengths == self.settings.qr_every
        unit = self.settings.qr_every * self.settings.time_step
        series = self.logs.detach()[full] / unit
        if len(series) < _FEWEST_BLOCKS:
            return torch.full_like(self.exponents.detach(), torch.nan)
        return torch.where(self.exponents.detach().isnan(), torch.nan, statistics.standard_error(series))

    def for_loss(self) -> Tensor:
        """(B, k), the exponents; a backward pass says in words if they were not computed with gradients."""
        if self.exponents.requires_grad or not torch.is_grad_enabled():
            return self.exponents
        refusing: Tensor = _WithoutGradient.apply(self.exponents, torch.zeros((), requires_grad=True))  # type: ignore[no-untyped-call]
        return refusing

    def local_exponents(self) -> Tensor:
        """(n_blocks, B, k): growth rate of each counted block, 1/step or 1/time; the exponent is their mean."""
        time = self.block_lengths * self.settings.time_step
        return self.logs.detach() / time.reshape(-1, *[1] * (self.logs.dim() - 1))

    def joined(self, later: LyapunovSpectrum) -> LyapunovSpectrum:
        """This run and its continuation as one, of which all counted blocks count.

        Args:
            later: a run with ``transient=0`` from this one's ``final_state``, ``frame=final_frame`` and the same steps
                between QR decompositions.

        Raises:
            ValueError: ``later`` is no continuation.
        """
        a, b = self.settings, later.settings
        for name in ("n_exponents", "n_states", "qr_every", "time_step", "method"):
            if getattr(a, name) != getattr(b, name):
                raise ValueError(f"later has {name} = {getattr(b, name)!r}, but this run {getattr(a, name)!r}")
        if b.transient or a.method == "adjoint":
            raise ValueError(
                "later is not allowed: a continuation starts with transient=0, and the adjoint's directions end at the "
                "start of its run"
            )
        logs, lengths = torch.cat([self.logs, later.logs]), torch.cat([self.block_lengths, later.block_lengths])
        parts = [part.exponents * part.block_lengths.sum() for part in (self, later)]
        settings = replace(a, n_steps=a.n_steps + b.n_steps)
        exponents = (parts[0] + parts[1]) / lengths.sum()
        return LyapunovSpectrum(exponents, logs, lengths, later.final_state, later.final_frame, settings)

    def save(self, path: str | Path) -> None:
        """Write an npz file, final state and frame included, so that :meth:`load` gives what a run can go on from.

        Raises:
            ValueError: the state is of another structure than tensors, tuples, lists and dicts with string keys.
        """
        write_spectrum(path, asdict(self.settings), {name: getattr(self, name) for name in TENSORS}, self.final_state)

    @staticmethod
    def load(path: str | Path) -> LyapunovSpectrum:
        """Read a file of :meth:`save`, onto the CPU; nothing is unpickled.

        Raises:
            OSError: there is no such file, or it cannot be read.
            DamagedFileError: a ValueError: it is no spectrum, damaged, or of another version.
        """
        settings, tensors, state = read_spectrum(path, [field.name for field in fields(SpectrumSettings)])
        return LyapunovSpectrum(final_state=state, settings=SpectrumSettings(**settings), **tensors)

    def plot(self, ax: Any = None, *, label: str | None = None, color: Any = None) -> Any:
        """Draw exponents over their index with error bars, on matplotlib's axes; None makes a new figure.

        Args:
            ax: the axes.
            label, color: for the legend and the points.

        Returns:
            the axes.

        Raises:
            ImportError: matplotlib (extra ``plot``) is not installed.
        """
        unit = "1/step" if self.settings.time_step == 1 else "1/time"
        return draw_exponents(self.exponents.detach(), self.standard_error, unit, ax, label=label, color=color)

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
        largest = self.exponents.detach().nan_to_num(-torch.inf).amax().item()
        return (
            f"<LyapunovSpectrum: {batch}{s.n_exponents} of {s.n_states} exponents from "
            f"{s.n_steps - s.transient} steps, largest {largest:.4g}, {s.method}>"
        )


if hasattr(torch.serialization, "add_safe_globals"):  # from torch 2.4 on torch.load gives what torch.save has written
    torch.serialization.add_safe_globals([LyapunovSpectrum, SpectrumSettings])
