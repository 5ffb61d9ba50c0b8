"""A spectrum to be computed: arguments checked, the first step tried, and blocks of steps taken."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from pyflossing._support.alignment import aligned
from pyflossing._support.arguments import require_choice, require_finite, require_integer
from pyflossing._support.errors import NonFiniteError
from pyflossing._support.threads import suitable_threads
from pyflossing.model.spectrum import transient_steps
from pyflossing.modules.ahead import Advance, Ahead, fastest, step_by_step
from pyflossing.modules.calling import eagerly, is_layered, unwrap
from pyflossing.modules.first_step import FirstStep
from pyflossing.modules.frame import Frame, starting_frame
from pyflossing.modules.logs import Logs, RoundingWarning, decomposed, doubtful
from pyflossing.modules.result import LyapunovSpectrum, SpectrumSettings
from pyflossing.modules.stacked import plain_jacobian
from pyflossing.modules.state import State, StateLayout, input_at, inputs_in
from pyflossing.modules.steps import JacobianAction, layout_of, require_inputs, time_first
from pyflossing.modules.ways import METHODS, PLAIN, Method

_FIRST_STEPS = 8
"""How many steps are looked at for a state of their own."""

Block = tuple[int, int]
"""First step, and step after the last, from 0."""


@dataclass(frozen=True)
class Problem:
    """A spectrum to be computed, ready to be run, in one go or by stretches.

    Attributes:
        first: what the first step told: how directions are pushed.
        advance_one: the same for one step of the run.
        layout: of the state.
        state: flat, (*batch, n).
        inputs: converted, time first.
        frame: (*batch, n, k).
        settings: the numbers.
    """

    first: FirstStep
    advance_one: Advance
    layout: StateLayout
    state: Tensor
    inputs: Any
    frame: Tensor
    settings: SpectrumSettings

    @classmethod
    @torch.inference_mode(False)
    def of(
        cls,
        step: Any,
        state: State,
        inputs: Any,
        k: int | None,
        *,
        n_steps: int | None = None,
        transient: int | None = None,
        qr_every: int = 1,
        time_step: float = 1.0,
        dtype: torch.dtype | None = None,
        frame: Frame = 1,
        batched: bool = True,
        batch_dim: int | None = None,
        batch_first: bool | None = None,
        input_first: bool | None = None,
        method: Method = "auto",
        through_no_grad: bool | None = None,
        jacobian_action: JacobianAction | None = None,
        differentiable: bool = False,
        truncate: int | None = None,
        known: FirstStep | None = None,
    ) -> Problem:
        """Check the arguments of :func:`lyapunov_spectrum`, and how the first step can be differentiated.

        Args:
            known: what an earlier problem with the same step found; the first step is not tried again.
        """
        require_choice("method", method, METHODS)
        if differentiable and method in PLAIN:
            raise ValueError(
                f"method = {method!r} is not allowed with differentiable=True: plain backward passes have no gradient; "
                "take 'auto', in which attention is written out in operations that have one"
            )
        layout = layout_of(step, state, batched=batched, dtype=dtype, batch_dim=batch_dim)
        k = layout.n_states if k is None else require_integer("k", k, 1, layout.n_states)
        if batch_first is None and is_layered(step) and batched:
            batch_first = bool(unwrap(step).batch_first)
        series = time_first(inputs_in(inputs, dtype), layout, batch_first)
        n_steps = require_inputs(series, None if n_steps is None else require_integer("n_steps", n_steps, minimum=1))
        if transient is None:
            transient = transient_steps(n_steps)
            if n_steps <= transient:
                raise ValueError(
                    f"n_steps = {n_steps} is not allowed: of n steps the first 10 + ceil(n/10) do not count, so it "
                    "must be >= 13; for short runs take finite_time_exponents, which need no transient, or say "
                    "transient=0"
                )
        transient = require_integer("transient", transient, 0, n_steps - 1)
        qr_every = require_integer("qr_every", qr_every, minimum=1)
        if truncate is not None:
            truncate = require_integer("truncate", truncate, minimum=1)
        unit = require_finite("time_step", time_step)
        if unit <= 0:
            raise ValueError(f"time_step = {time_step!r} is not allowed: it must be a number > 0")
        flat = aligned(layout.flatten(layout.convert(state), "state:").detach())
        if not bool(flat.isfinite().all()):
            raise ValueError("state is not allowed: it must be finite")
        directions, words = starting_frame(frame, layout, k, flat.device)
        first_inputs = [input_at(series, t) for t in range(min(_FIRST_STEPS, n_steps))]
        with eagerly(), suitable_threads(layout.n_states):
            first = FirstStep.of(
                step, layout, flat, first_inputs, dtype=dtype, input_first=input_first, method=method,
                through_no_grad=through_no_grad, jacobian_action=jacobian_action, graph=differentiable, known=known,
            )  # fmt: skip
            way = first.way
            if way.name == "adjoint" and 2 * transient >= n_steps:
                raise ValueError(
                    f"transient = {transient} is not allowed with method = 'adjoint' and n_steps = {n_steps}: it is "
                    "left out at both ends, so that less than half of the steps may be transient"
                )
            advance: Advance
            if differentiable or way.name in ("jacobian_action", "adjoint") or first.draws:
                push = way.push if way.push is not None else plain_jacobian(way.step, layout)
                advance, words_of_evaluation = step_by_step(push, series), "step by step"
            else:
                with torch.no_grad():
                    # not GRUCell, whose one call takes less time than its operations one by one
                    pure = isinstance(unwrap(step), (nn.RNNCell, nn.LSTMCell, nn.RNNBase))
                    advance, words_of_evaluation = fastest(
                        way, layout, flat, directions, series, n_steps, first.eps, pure=pure
                    )
        settings = SpectrumSettings(
            k, layout.n_states, n_steps, transient, qr_every, unit, way.name, words,
            str(layout.dtype).removeprefix("torch."), str(flat.device), truncate, words_of_evaluation,
        )  # fmt: skip
        return cls(first, advance, layout, flat, series, directions, settings)

    def block_ends(self) -> list[int]:
        """The steps after which a QR follows: in the transient, at its end, after it, and at the very end."""
        s = self.settings
        before, after = range(s.qr_every, s.transient, s.qr_every), range(s.transient, s.n_steps, s.qr_every)
        return [*before, *[end for end in after if end > 0], s.n_steps]

    def stretches(self, longest: int | None) -> Iterator[list[Block]]:
        """Blocks in the stretches between cuts of the gradient, or whatever else comes at least ``longest`` steps."""
        stretch: list[Block] = []
        start = 0
        for end in self.block_ends():
            stretch.append((start, end))
            start = end
            if longest is not None and end - stretch[0][0] >= longest:
                yield stretch
                stretch = []
        if stretch:
            yield stretch

    def advance(self, state: Tensor, frame: Tensor, blocks: list[Block]) -> tuple[Tensor, Tensor, Logs]:
        """State and frame after the blocks, and the logarithms of those that count.

        Raises:
            NonFiniteError: naming the last step of the block (from 1).
        """
        logs = Logs(self.first.eps, self.report)
        every = self.settings.qr_every
        if every == 1 and isinstance(self.advance_one, Ahead) and not torch.is_grad_enabled():
            state, frame, blocks = self._along(self.advance_one, state, frame, blocks, logs)
        for first, end in blocks:
            while True:
                following, turned, Rs = self._block(state, frame, first, end, every)
                if every == 1 or not any(doubtful(R, self.first.eps) for R in Rs):
                    break
                every = max(1, every // 2)  # rounding eats the trailing directions: decompose more often
            state, frame = following, turned
            logs.add_sum(Rs, state, end, counts=first >= self.settings.transient)
        logs.flush()
        return state, frame, logs

    def _along(
        self, ahead: Ahead, state: Tensor, frame: Tensor, blocks: list[Block], logs: Logs
    ) -> tuple[Tensor, Tensor, list[Block]]:
        """Many blocks of one step at once, as far as this works, but for the last, whose frame is to be orthonormal."""
        while len(blocks) > 1:
            first = blocks[0][0]
            found = ahead.along(first, state, frame, len(blocks) - 1)
            if found is None:
                break
            states, (frame, diagonals, lengths) = found
            logs.add_many(diagonals, lengths, states, first, max(0, self.settings.transient - first))
            state, blocks = states[-1], blocks[len(states) :]
        return state, frame, blocks

    def _block(
        self, state: Tensor, frame: Tensor, first: int, end: int, every: int
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        if end - first == 1:  # most blocks, in a tight loop
            state, frame = self.advance_one(first, state, frame)
            frame, R = decomposed(frame)
            return state, frame, [R]
        Rs = []
        for start in range(first, end, every):
            for t in range(start, min(start + every, end)):
                state, frame = self.advance_one(t, state, frame)
            frame, R = decomposed(frame)
            Rs.append(R)
        return state, frame, Rs

    def result(
        self, logs: Tensor, lost: Tensor | None, state: Tensor, frame: Tensor, n_steps: int, last: int | None = None
    ) -> LyapunovSpectrum:
        """The spectrum of all counted logarithms.

        Args:
            logs: (n_blocks, *batch, k), in the order of time.
            lost: (*batch, k), how many of them are rounding errors.
            state, frame: at the end.
            n_steps: steps taken.
            last: the last one that counts, by default the last.
        """
        s = replace(self.settings, n_steps=n_steps)
        last = n_steps if last is None else last
        ends = [end for end in sorted({0, *self.block_ends()}) if s.transient <= end <= last]
        lengths = torch.tensor(ends, device=logs.device).diff()
        exponents = logs.sum(dim=0) / (int(lengths.sum()) * s.time_step)
        gone = None if lost is None else lost > 0
        if gone is not None and bool(gone.any()):
            exponents = torch.where(gone, torch.nan, exponents)
            warn_of_rounding(gone, self.layout.dtype, self.first.eps)
        return LyapunovSpectrum(exponents, logs, lengths, self.layout.unflatten(state.detach()), frame.detach(), s)

    def report(self, state: Tensor, diagonal: Tensor, end: int) -> None:
        """Raise the NonFiniteError of the block that ends with step ``end``, from its state and diagonal of R."""
        finite = state.isfinite().all(dim=-1)
        culprit = "state" if not bool(finite.all()) else "tangent"
        bad = ~finite if culprit == "state" else ~(diagonal < torch.inf).all(dim=-1)
        where = f" in example {int(bad.nonzero()[0])} of {bad.numel()}, counted from 0" if bad.dim() else ""
        if culprit == "state":
            advice = "the trajectory diverges: check the step, its inputs and the size of the state at the start"
        elif self.settings.qr_every > 1:
            advice = f"directions grow too far between QR decompositions: lower qr_every = {self.settings.qr_every}"
        else:
            advice = "the step has no finite derivative there: look for sqrt, log, norms or divisions at zero"
        raise NonFiniteError(f"the {culprit} is not finite{where}; {advice}", quantity=culprit, step=end)


def require_gradients(what: str) -> None:
    """Refuse what is to be differentiated where nothing is.

    Raises:
        ValueError: under torch.no_grad() or torch.inference_mode().
    """
    if not torch.is_grad_enabled():
        raise ValueError(
            f"{what} is not allowed under torch.no_grad() or torch.inference_mode(), where nothing has a gradient: "
            "call it outside"
        )


def warn_of_rounding(gone: Tensor, dtype: torch.dtype, eps: float) -> None:
    """Say which exponents are NaN, and what to do."""
    index = gone.reshape(-1, gone.shape[-1]).any(dim=0).nonzero()[:, 0]
    first = int(index[0])
    advice = f"take k <= {first}" if first else "the whole derivative is rounding"
    if dtype == torch.float32 and eps <= torch.finfo(torch.float32).eps:
        advice = f"compute with dtype=torch.float64, or {advice}"
    elif eps > torch.finfo(dtype).eps:
        advice = f"the step computes in a coarser type than its state's: compute in {dtype} throughout, or {advice}"
    warnings.warn(
        f"{len(index)} exponents, the first of them number {first + 1}, are NaN: in some step what is left of their "
        "direction is rounding error (the derivative has a lower rank, or they shrink faster than numbers of this type "
        f"can tell); {advice}",
        RoundingWarning,
        stacklevel=4,
    )
