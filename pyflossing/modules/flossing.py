"""An episode of flossing on anybody's own parameters, with their optimiser."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from pyflossing._support.arguments import require_choice, require_finite, require_integer
from pyflossing._support.errors import NonFiniteError
from pyflossing._support.norms import euclidean_norm, scaled
from pyflossing._support.threads import suitable_threads
from pyflossing.model.spectrum import SIDES, Side, flossing_loss
from pyflossing.modules.calling import eagerly
from pyflossing.modules.first_step import FirstStep
from pyflossing.modules.logs import Logs, RoundingWarning, added
from pyflossing.modules.problem import Problem, require_gradients
from pyflossing.modules.result import LyapunovSpectrum
from pyflossing.modules.state import State

Sample = Callable[[int], tuple[State, Any]]
"""State and inputs (time first, or None) for one epoch, counted from 1."""


@dataclass(frozen=True, eq=False)
class FlossingHistory:
    """What an episode of n flossing epochs saw, always before the update.

    Attributes:
        exponents: (n, B, k), 1/step (1/time with a time_step), Float64; (n, k) for a single example.
        loss: (n,), their mean squared distance from the target.
        gradient_norm: (n,), Euclidean, over all parameters, before clipping.
        last: the last epoch's spectrum, with its error bars.
    """

    exponents: Tensor
    loss: Tensor
    gradient_norm: Tensor
    last: LyapunovSpectrum


def floss(
    step: Any,
    parameters: Iterable[Tensor],
    optimiser: Optimizer,
    sample: Sample,
    n_epochs: int,
    k: int | None = None,
    *,
    target: float | Tensor = 0.0,
    side: Side = "both",
    clip_norm: float | None = None,
    callback: Callable[[int, LyapunovSpectrum], None] | None = None,
    **settings: Any,
) -> FlossingHistory:
    """Move the leading k exponents towards the target by gradient descent on :func:`flossing_loss`.

    To be called before training, or between its epochs. Gradients that the optimiser's parameters held are cleared, at
    the start and at the end, and parameters other than ``parameters`` are left alone.

    Args:
        step: as in :func:`lyapunov_spectrum`.
        parameters: what may change, without those that are frozen (``requires_grad=False``); the optimiser must hold
            them, and may hold more.
        optimiser: the caller's own. Not LBFGS, which evaluates several times per step.
        sample: gives state and inputs for an epoch (from 1); both without gradients.
        n_epochs: updates to make.
        k: number of exponents; all by default.
        target, side: as in :func:`flossing_loss`.
        clip_norm: largest Euclidean norm of the whole gradient; None for no clipping, as in the original.
        callback: called in every epoch, before the update, with its number and its spectrum.
        **settings: further arguments of :func:`lyapunov_spectrum`. With ``truncate`` each epoch runs twice, once for
            the exponents and once, stretch by stretch, for the gradients, so that memory holds the graph of one stretch
            only; a step that draws noise of its own must then get it with the inputs instead.

    Raises:
        ValueError: as :func:`lyapunov_spectrum`; or an argument out of range, or a parameter without influence.
        NonFiniteError: a state, direction, exponent or gradient is not finite; the parameters are as before the update.
    """
    require_gradients("floss")
    chosen = _checked(parameters, optimiser)
    require_choice("side", side, SIDES)
    require_integer("n_epochs", n_epochs, minimum=1)
    if "differentiable" in settings:
        raise ValueError("differentiable is not allowed here: flossing always differentiates")
    if clip_norm is not None and require_finite("clip_norm", clip_norm) <= 0:
        raise ValueError(f"clip_norm = {clip_norm!r} is not allowed: it must be a number > 0, or None")
    exponents: list[Tensor] = []
    losses: list[Tensor] = []
    norms: list[Tensor] = []
    known: FirstStep | None = None
    for epoch in range(1, n_epochs + 1):
        problem = Problem.of(step, *sample(epoch), k, differentiable=True, known=known, **settings)
        known = problem.first
        if exponents and exponents[0].shape != (*problem.layout.batch, problem.settings.n_exponents):
            raise ValueError(f"sample({epoch}) gives another batch size or state size than sample(1): keep it the same")
        optimiser.zero_grad(set_to_none=True)
        try:
            with eagerly(), suitable_threads(problem.settings.n_states):
                spectrum, loss, gradients = _gradients(problem, chosen, target, side)
        except NonFiniteError as error:
            raise NonFiniteError(
                error.message, quantity=error.quantity, step=error.step, flossing_epoch=epoch
            ) from None
        if callback is not None:
            callback(epoch, spectrum)
        norm = euclidean_norm(*(g.double() for g in gradients))
        if not math.isfinite(norm) and not all(bool(g.isfinite().all()) for g in gradients):
            raise NonFiniteError(
                "the gradient is not finite: exponents that coincide or directions that collapse have none; take fewer "
                "exponents, or truncate",
                quantity="gradient",
                flossing_epoch=epoch,
            )
        if clip_norm is not None and norm > clip_norm:
            gradients = scaled(gradients, clip_norm, norm)
        for parameter, gradient in zip(chosen, gradients, strict=True):
            parameter.grad = gradient.clone()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        exponents.append(spectrum.exponents)
        losses.append(loss)
        norms.append(torch.tensor(norm, dtype=torch.float64, device=loss.device))
    return FlossingHistory(torch.stack(exponents), torch.stack(losses), torch.stack(norms), spectrum)


def _gradients(
    problem: Problem, parameters: list[Tensor], target: float | Tensor, side: Side
) -> tuple[LyapunovSpectrum, Tensor, list[Tensor]]:
    """Spectrum, loss, and the gradient of every parameter."""
    stretches = list(problem.stretches(problem.settings.truncate))
    starts: list[tuple[Tensor, Tensor]] = []
    logs: list[Logs] = []
    lost: Tensor | None = None
    state, frame = problem.state, problem.frame
    whole = len(stretches) == 1  # then the graph of the first run serves
    for stretch in stretches:
        starts.append((state, frame))
        with torch.set_grad_enabled(whole):
            state, frame, found = problem.advance(state, frame, stretch)
        logs.append(found)
        lost = added(lost, found.lost)
    everything = torch.stack([log for found in logs for log in found.logs])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RoundingWarning)  # an error follows
        spectrum = problem.result(everything.detach(), lost, state, frame, problem.settings.n_steps)
    exponents = spectrum.exponents.clone().requires_grad_()
    loss = flossing_loss(exponents, target, side)
    if not math.isfinite(float(loss.detach())):
        raise NonFiniteError(
            "an exponent is -inf or NaN because its direction collapsed to zero length, or to rounding errors: take "
            "fewer exponents",
            quantity="exponent",
        )
    (weight,) = torch.autograd.grad(loss, exponents)
    weight = weight / ((problem.settings.n_steps - problem.settings.transient) * problem.settings.time_step)
    total: list[Tensor | None] = [None] * len(parameters)
    for start, stretch, seen in zip(starts, stretches, logs, strict=True):
        if not seen.logs:
            continue  # the transient counts for nothing
        found = seen if whole else problem.advance(*start, stretch)[2]
        inner = (torch.stack(found.logs) * weight).sum()
        parts = torch.autograd.grad(inner, parameters, allow_unused=True) if inner.requires_grad else ()
        total = [_sum(a, b) for a, b in zip(total, parts, strict=True)] if parts else total
    missing = [i for i, gradient in enumerate(total) if gradient is None]
    if len(missing) == len(parameters):
        raise ValueError("parameters have no influence on the exponents: does the step use these very tensors?")
    return (
        spectrum,
        loss.detach(),
        [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, total, strict=True)],
    )


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        return b if a is None else a
    return a + b


def _checked(parameters: Iterable[Tensor], optimiser: Optimizer) -> list[Tensor]:
    if isinstance(parameters, Tensor) or not isinstance(parameters, Iterable):
        raise ValueError("parameters is not allowed: it must be a list of tensors, such as module.parameters()")
    given = list(parameters)
    chosen = [parameter for parameter in given if parameter.requires_grad]
    if not chosen:
        found = "all are frozen: set requires_grad for some" if given else "it must hold at least one tensor"
        raise ValueError(f"parameters = {'[...]' if given else '[]'} is not allowed: {found}")
    if isinstance(optimiser, torch.optim.LBFGS):
        raise ValueError("optimiser = LBFGS is not allowed: it must make one update per gradient, as Adam and SGD do")
    held = {id(p) for group in optimiser.param_groups for p in group["params"]}
    for i, parameter in enumerate(given):
        if parameter.requires_grad and id(parameter) not in held:
            raise ValueError(f"parameters[{i}] is not held by the optimiser, which could not change it")
    return chosen
