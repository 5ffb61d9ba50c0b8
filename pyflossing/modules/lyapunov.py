"""Finite-time Lyapunov spectra of any differentiable step, per example along its inputs.

Source: the QR method of Benettin et al., Meccanica 15, 9 (1980), and Shimada & Nagashima, Prog. Theor. Phys. 61, 1605
(1979); differentiated as in Engelken, "Gradient flossing", NeurIPS 2023 (arXiv 2312.17306).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pyflossing._support.arguments import require_finite
from pyflossing._support.threads import suitable_threads
from pyflossing.modules.adjoint import adjoint_spectrum
from pyflossing.modules.calling import eagerly
from pyflossing.modules.frame import Frame
from pyflossing.modules.hidden import tolerance
from pyflossing.modules.logs import added
from pyflossing.modules.problem import Problem, require_gradients
from pyflossing.modules.result import LyapunovSpectrum
from pyflossing.modules.state import State
from pyflossing.modules.statistics import standard_error
from pyflossing.modules.steps import JacobianAction
from pyflossing.modules.ways import Method

_FIRST_LOOK = 100
_LOOK_EVERY = 64


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
    batch_dim: int | None = None,
    batch_first: bool | None = None,
    input_first: bool | None = None,
    method: Method = "auto",
    through_no_grad: bool | None = None,
    jacobian_action: JacobianAction | None = None,
    differentiable: bool = False,
    truncate: int | None = None,
    until: float | None = None,
) -> LyapunovSpectrum:
    """The leading k finite-time Lyapunov exponents of every example of a batch, in one pass.

    The first step is tried before the run, and what would give wrong numbers is refused. Small states run on one
    thread.

    Args:
        step: ``step(state, x) -> state``, a function or module, a ``torch.nn`` cell, or ``nn.RNN``, ``nn.GRU`` or
            ``nn.LSTM``, of which all layers take one step. It acts on each example by itself, and returns a state like
            the one it got, made anew.
        state: at the start: a tensor, or a tuple, list, dict, dataclass or registered pytree of tensors, each (B, ...).
            Complex numbers count as two. Of half types directions are Float32.
        inputs: a tensor (T, ...), or a structure of such; ``step`` gets entry t. None: it gets None.
        k: number of exponents, 1 to n; all n by default, n being the numbers in one example's state.
        n_steps: steps to take; by default as many as there are inputs.
        transient: first steps that do not count; 10 + ceil(n_steps / 10) by default, as in the original. 0 for runs of
            few steps, for which :func:`finite_time_exponents` needs no frame to align.
        qr_every: steps between QR decompositions. Larger is cheaper for large states, not for n <= 64; where rounding
            would eat trailing directions further ones are put in between.
        time_step: time per step, if exponents are wanted in 1/time.
        dtype: in which to compute, Float32 or Float64; state, inputs and a module's parameters are converted. The
            state's own by default.
        frame: the orthonormal directions to start with: a seed of Julia 1.5's stream, a ``torch.Generator``, or the
            directions themselves, (n, k) or (B, n, k).
        batched: whether tensors of the state have a dimension of examples; without it results lack B.
        batch_dim: which dimension that is: 0, for ``nn.RNN``, ``nn.GRU`` and ``nn.LSTM`` 1.
        batch_first: whether inputs are (B, T, ...); None: time first, but refused where that looks wrong. Layered
            modules tell themselves.
        input_first: whether a step is called as ``step(x, state)``; None: by its kind and its arguments' names.
        method: "double_backward" (works for an ``autograd.Function`` with a backward only), "forward" (forward-mode
            AD), "backward" (all Jacobians, from n plain backward passes), "adjoint" (k directions pulled back from the
            end, one plain backward pass per step), or "auto": the first of these that works, if others agree.
        through_no_grad: whether what a step does under ``torch.no_grad()`` is differentiated; None: refused if it
            makes a difference.
        jacobian_action: ``action(state, x, next_state, V)``, D V written by hand, with V and the result (B, n, k), rows
            in the order of the state's tensors, each flattened. Replaces ``method``.
        differentiable: whether exponents carry gradients, through QR, directions and trajectory.
        truncate: cut these gradients at the first QR at least so many steps after the start or the last cut.
        until: stop as soon as all standard errors are at most this, in the exponents' unit, after at least 100 counted
            blocks; ``n_steps`` is then the most that is taken, and ``settings.n_steps`` what was.

    Returns:
        the spectrum; NaN, with a warning, for exponents of which rounding leaves nothing.

    Raises:
        ValueError: an argument out of range; a step that cannot be differentiated, changes its state in place, keeps a
            state of its own, mixes the examples of a batch, or changes structure, shape or type of its state.
        NonFiniteError: a state or direction that is not finite, naming the step (from 1).
    """
    if differentiable:
        require_gradients("differentiable=True")
    if until is not None:
        if require_finite("until", until) <= 0:
            raise ValueError(f"until = {until!r} is not allowed: it must be a number > 0")
        if differentiable or method == "adjoint":
            raise ValueError("until is not allowed with differentiable=True or method='adjoint', which need all steps")
    problem = Problem.of(
        step, state, inputs, k, n_steps=n_steps, transient=transient, qr_every=qr_every, time_step=time_step,
        dtype=dtype, frame=frame, batched=batched, batch_dim=batch_dim, batch_first=batch_first,
        input_first=input_first, method=method, through_no_grad=through_no_grad, jacobian_action=jacobian_action,
        differentiable=differentiable, truncate=truncate,
    )  # fmt: skip
    with torch.inference_mode(False), eagerly(), suitable_threads(problem.settings.n_states):
        if problem.settings.method == "adjoint":
            return adjoint_spectrum(problem, tolerance(problem.first.eps))
        with torch.set_grad_enabled(differentiable):
            logs: list[Tensor] = []
            lost: Tensor | None = None
            flat, directions = problem.state, problem.frame
            longest, look = (problem.settings.truncate, None) if until is None else (_LOOK_EVERY, _FIRST_LOOK)
            for stretch in problem.stretches(longest):
                flat, directions, found = problem.advance(flat.detach(), directions.detach(), stretch)
                logs += found.logs
                lost = added(lost, found.lost)
                if look is not None and until is not None and len(logs) >= look:
                    look = max(len(logs) + 1, int(1.2 * len(logs)))
                    unit = qr_every * time_step
                    if bool((standard_error(torch.stack(logs[:-1])) / unit <= until).all()):
                        break
        return problem.result(torch.stack(logs), lost, flat, directions, stretch[-1][1])
