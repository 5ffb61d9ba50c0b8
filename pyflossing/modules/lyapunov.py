"""Finite-time Lyapunov spectra of any differentiable step, per example along its inputs.

Source: the QR method of Benettin et al., Meccanica 15, 9 (1980), and Shimada & Nagashima, Prog. Theor. Phys. 61, 1605
(1979); differentiated as in Engelken, "Gradient flossing", NeurIPS 2023 (arXiv 2312.17306).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyflossing._support.alignment import aligned
from pyflossing._support.arguments import require_choice, require_finite, require_integer
from pyflossing._support.errors import NonFiniteError
from pyflossing.model.spectrum import require_counted_steps, transient_steps
from pyflossing.modules.frame import Frame, starting_frame
from pyflossing.modules.result import LyapunovSpectrum, SpectrumSettings
from pyflossing.modules.state import State, StateLayout, convert, input_at, inputs_in
from pyflossing.modules.steps import JacobianAction, as_step, require_inputs, require_out_of_place
from pyflossing.modules.tangent import METHODS, Method, Push, choose, given_action


def lyapunov_spectrum(
    step: Any,
    state: State,
    inputs: Any = None,
    k: int | None = None,
    *,
    n_steps: int | None = None,
    transient: int | None = None,
    qr_every: int = 1,
    time_step: float = 1.0,
    dtype: torch.dtype | None = None,
    frame: Frame = 1,
    batched: bool = True,
    method: Method = "auto",
    jacobian_action: JacobianAction | None = None,
    differentiable: bool = False,
    truncate: int | None = None,
) -> LyapunovSpectrum:
    """The leading k finite-time Lyapunov exponents of every example of a batch, in one pass.

    Each step costs one evaluation of the step and k JVPs that run as one; the full Jacobian is never formed.

    Args:
        step: ``step(state, x) -> state``, a function or module, or a ``torch.nn`` cell. It acts on each example by
            itself, and returns a state like the one it got, made anew.
        state: at the start: a tensor, or a tuple, list or dict of tensors, each (B, ...).
        inputs: a tensor (T, ...), or a tuple, list or dict of such; ``step`` gets entry t. None: it gets None.
        k: number of exponents, 1 to n; all n by default, n being the numbers in one example's state.
        n_steps: steps to take; by default as many as there are inputs.
        transient: first steps that do not count; 10 + ceil(n_steps / 10) by default, as in the original.
        qr_every: steps between QR decompositions. Larger is cheaper; directions must not collapse in between.
        time_step: time per step, if exponents are wanted in 1/time.
        dtype: in which to compute, Float32 or Float64; state, inputs and a module's parameters are converted. The
            state's own by default.
        frame: the orthonormal directions to start with: a seed of Julia 1.5's stream, a ``torch.Generator``, or the
            directions themselves, (n, k) or (B, n, k).
        batched: whether tensors of the state have a leading dimension of examples; without it results lack B.
        method: how directions are pushed: "double_backward" (works for an ``autograd.Function`` with a backward only),
            "forward" (forward-mode AD), or "auto": the first of these that works.
        jacobian_action: ``action(state, x, next_state, V)``, D V written by hand, with V and the result (B, n, k), rows
            in the order of the state's tensors, each flattened. Replaces ``method``.
        differentiable: whether exponents carry gradients, through QR, directions and trajectory.
        truncate: cut these gradients at the first QR at least so many steps after the start or the last cut.

    Raises:
        ValueError: an argument out of range; a step that cannot be differentiated, changes its state in place, mixes
            the examples of a batch, or changes structure, shape or type of its state.
        NonFiniteError: a state or direction that is not finite, naming the step (from 1).
    """
    problem = Problem.of(step, state, inputs, k, n_steps=n_steps, transient=transient, qr_every=qr_every,
        time_step=time_step, dtype=dtype, frame=frame, batched=batched, method=method, jacobian_action=jacobian_action,
        truncate=truncate)  # fmt: skip
    with torch.set_grad_enabled(differentiable):
        logs = []
        flat, directions = problem.state, problem.frame
        for stretch in problem.stretches():
            flat, directions, found = problem.advance(flat.detach(), directions.detach(), stretch)
            logs += found
    return problem.result(torch.stack(logs), flat, directions)


@dataclass(frozen=True)
class Problem:
    """A spectrum to be computed: everything checked and converted, ready to be run, in one go or by stretches.

    Attributes:
        push: state and directions through one step.
        layout: of the state.
        state: flat, (*batch, n).
        inputs: converted.
        frame: (*batch, n, k).
        settings: the numbers.
    """

    push: Push
    layout: StateLayout
    state: Tensor
    inputs: Any
    frame: Tensor
    settings: SpectrumSettings

    @classmethod
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
        method: Method = "auto",
        jacobian_action: JacobianAction | None = None,
        truncate: int | None = None,
    ) -> Problem:
        """Check the arguments of :func:`lyapunov_spectrum`, and how the first step can be differentiated."""
        require_choice("method", method, METHODS)
        layout = StateLayout.of(state, batched=batched, dtype=dtype)
        k = layout.n_states if k is None else require_integer("k", k, 1, layout.n_states)
        n_steps = require_inputs(inputs, None if n_steps is None else require_integer("n_steps", n_steps, minimum=1))
        if transient is None:
            require_counted_steps("n_steps", n_steps)
            transient = transient_steps(n_steps)
        transient = require_integer("transient", transient, 0, n_steps - 1)
        qr_every = require_integer("qr_every", qr_every, minimum=1)
        if truncate is not None:
            truncate = require_integer("truncate", truncate, minimum=1)
        unit = require_finite("time_step", time_step)
        if unit <= 0:
            raise ValueError(f"time_step = {time_step!r} is not allowed: it must be a number > 0")
        flat = aligned(layout.flatten(convert(state, lambda t: t.to(layout.dtype)), "state:").detach())
        if not bool(flat.isfinite().all()):
            raise ValueError("state is not allowed: it must be finite")
        series = inputs_in(inputs, dtype)
        directions, words = starting_frame(frame, layout, k, flat.device)
        function, x = as_step(step, dtype), input_at(series, 0)
        require_out_of_place(function, layout, flat, x)
        probe = _probe(layout, directions)
        if jacobian_action is not None:
            name, push = "jacobian_action", given_action(function, layout, jacobian_action)
        else:
            name, push = choose(function, layout, method, flat, x, probe)
        settings = SpectrumSettings(k, layout.n_states, n_steps, transient, qr_every, unit, name, words,
            str(layout.dtype).removeprefix("torch."), str(flat.device), truncate)  # fmt: skip
        problem = cls(push, layout, flat, series, directions, settings)
        _require_examples_apart(problem, probe, x)
        return problem

    def block_ends(self) -> list[int]:
        """The steps after which a QR follows: in the transient, at its end, after it, and at the very end."""
        s = self.settings
        before, after = range(s.qr_every, s.transient, s.qr_every), range(s.transient, s.n_steps, s.qr_every)
        return [*before, *[end for end in after if end > 0], s.n_steps]

    def stretches(self) -> Iterator[list[tuple[int, int]]]:
        """Blocks (first step, step after the last), from 0, in the stretches between cuts of the gradient."""
        stretch: list[tuple[int, int]] = []
        start = 0
        for end in self.block_ends():
            stretch.append((start, end))
            start = end
            if self.settings.truncate is not None and end - stretch[0][0] >= self.settings.truncate:
                yield stretch
                stretch = []
        if stretch:
            yield stretch

    def advance(
        self, state: Tensor, frame: Tensor, blocks: list[tuple[int, int]]
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """State and frame after the blocks, and log |R_ii| (*batch, k), Float64, of those that count.

        Raises:
            NonFiniteError: naming the last step of the block (from 1).
        """
        logs = []
        for first, end in blocks:
            for t in range(first, end):
                state, frame = self.push(state, input_at(self.inputs, t), frame)
            q_r: Any = torch.linalg.qr(frame)
            frame, diagonal = q_r.Q, torch.diagonal(q_r.R, dim1=-2, dim2=-1).abs().double()
            if not bool((diagonal.detach() < math.inf).all()):  # false for NaN, too
                self._report(state, diagonal, end)
            if first >= self.settings.transient:
                logs.append(torch.log(diagonal))
        return state, frame, logs

    def result(self, logs: Tensor, state: Tensor, frame: Tensor) -> LyapunovSpectrum:
        """The spectrum of all counted logarithms (n_blocks, *batch, k)."""
        s = self.settings
        ends = [s.transient, *[end for end in self.block_ends() if end > s.transient]]
        lengths = torch.tensor(ends, device=logs.device).diff()
        exponents = logs.sum(dim=0) / ((s.n_steps - s.transient) * s.time_step)
        return LyapunovSpectrum(
            exponents, logs, lengths, self.layout.unflatten(state.detach()), frame.detach(), self.settings
        )

    def _report(self, state: Tensor, diagonal: Tensor, end: int) -> None:
        finite = state.isfinite().all(dim=-1)
        culprit = "state" if not bool(finite.all()) else "tangent"
        bad = ~finite if culprit == "state" else ~(diagonal < math.inf).all(dim=-1)
        where = f" in example {int(bad.nonzero()[0])} of {bad.numel()}, counted from 0" if bad.dim() else ""
        if culprit == "state":
            advice = "the trajectory diverges: check the step, its inputs and the size of the state at the start"
        elif self.settings.qr_every > 1:
            advice = f"directions grow too far between QR decompositions: lower qr_every = {self.settings.qr_every}"
        else:
            advice = "the step has no finite derivative there: look for sqrt, log, norms or divisions at zero"
        raise NonFiniteError(f"the {culprit} is not finite{where}; {advice}", quantity=culprit, step=end)


def _probe(layout: StateLayout, frame: Tensor) -> Tensor:
    """Directions for a first push: one, and with several examples the same for every other example only."""
    one = frame.sum(dim=-1, keepdim=True)
    if not layout.batch or layout.batch[0] == 1:
        return one
    mask = torch.arange(layout.batch[0], device=frame.device) % 2 == 0
    return torch.cat([one, torch.where(mask[:, None, None], one, 0)], dim=-1)


def _require_examples_apart(problem: Problem, probe: Tensor, x: Any) -> None:
    """Refuse steps whose directions would be wrong without a word.

    Raises:
        ValueError: an example's next state depends on another example, or none depends on its state at all.
    """
    with torch.no_grad():
        _, pushed = problem.push(problem.state, x, probe)
    if probe.shape[-1] == 2:
        both, alone = pushed[::2].unbind(-1)
        tolerance = 1e3 * torch.finfo(pushed.dtype).eps * (1 + both.abs().max())
        if bool(((both - alone).abs() > tolerance).any()):
            raise ValueError(
                "the step mixes the examples of a batch (batch normalisation? a sum over the wrong dimension?): call "
                "module.eval(), or compute one example at a time"
            )
    if problem.settings.method == "forward" and not bool(pushed.any()):
        with torch.enable_grad():
            state = problem.state.detach().requires_grad_()
            # a matter of the graph: zeros may also be a derivative's honest value
            following, _ = problem.push(state, x, probe)
            connected = following.requires_grad and (
                torch.autograd.grad(following.sum(), state, allow_unused=True)[0] is not None
            )
        if not connected:
            raise ValueError(
                "the next state does not depend on the state by differentiable operations: look for detach(), "
                "torch.no_grad() and comparisons in the step; spikes need a surrogate gradient"
            )
