"""Pushing directions through one step: double backward, forward mode, or a Jacobian action that is given.

All work on flat states (*batch, n) and directions (*batch, n, k), and return the next state with the pushed directions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pyflossing._support.norms import euclidean_norm
from pyflossing.modules.calling import Step, on_flat, with_graph
from pyflossing.modules.hidden import tolerance
from pyflossing.modules.state import StateLayout
from pyflossing.modules.steps import JacobianAction

Push = Callable[[Tensor, Any, Tensor], tuple[Tensor, Tensor]]
"""(state, input, directions) -> (next state, pushed directions)."""

_ADVICE = (
    ("scaled_dot_product", "attention has a plain backward pass only: method='backward' or 'adjoint' measure with it"),
    ("setup_context", "it calls an autograd.Function that has no forward mode"),
    ("has no gradient itself", "write backward passes with torch's operations, without @once_differentiable or .data"),
    ("not possible because there exists a Tensor", "write it out of place: h = h * m, not h.mul_(m)"),
    ("in-place", "write it out of place: h = h * m, not h.mul_(m)"),
    ("inplace", "write it out of place: h = h * m, not h.mul_(m)"),
    (".item()", "keep numbers in tensors: torch.where instead of `if`, and no .item()"),
    ("data-dependent", "shapes may not depend on the data: use masks and torch.where"),
    ("dynamic shape", "shapes may not depend on the data: use masks and torch.where"),
    ("does not require grad", "the next state does not depend on the state by differentiable operations"),
)


def forward_mode(step: Step, layout: StateLayout) -> Push:
    """Forward-mode JVPs of all k directions at once; the step itself is evaluated once."""
    function = on_flat(step, layout)

    def push(state: Tensor, x: Any, V: Tensor) -> tuple[Tensor, Tensor]:
        def along(v: Tensor) -> tuple[Tensor, Tensor]:
            pair: Any = torch.func.jvp(lambda s: function(s, x), (state,), (v,))
            return pair[0], pair[1]

        # noise that a step draws is the same for all directions, or it would be no derivative
        # both along the first dimension: torch fails to expand a tangent that does not vary along another one
        following, pushed = torch.vmap(along, in_dims=V.dim() - 1, randomness="same")(V)
        return following[0], pushed.movedim(0, -1)

    return push


def double_backward(step: Step, layout: StateLayout, *, vectorised: bool = True) -> Push:
    """The double-backward trick: the VJP is linear in its cotangent, and its own VJP is the JVP.

    For steps whose ``autograd.Function``s define a backward pass only, which is what most surrogate gradients do.
    Source: Townsend, "A new trick for calculating Jacobian vector products", 2017.

    Args:
        step: the step.
        layout: of its states.
        vectorised: whether the k second passes run as one (a few operations cannot).
    """
    function = on_flat(step, layout)

    def push(state: Tensor, x: Any, V: Tensor) -> tuple[Tensor, Tensor]:
        keep = torch.is_grad_enabled()
        with torch.enable_grad():
            # a view of its own, so that nothing else of a graph counts as the state
            origin = state.view_as(state) if keep and state.requires_grad else state.detach().requires_grad_()
            following = function(origin, x)
            if not following.requires_grad:
                raise RuntimeError("the next state does not require grad")
            cotangent = torch.zeros_like(following, requires_grad=True)
            (vjp,) = torch.autograd.grad(following, origin, cotangent, create_graph=True, allow_unused=True)
            if vjp is None or not vjp.requires_grad:
                raise RuntimeError("the next state does not require grad with respect to the state")
            directions = V.movedim(-1, 0)
            if vectorised:
                (pushed,) = torch.autograd.grad(
                    vjp, cotangent, directions, create_graph=keep, retain_graph=keep, is_grads_batched=True
                )
            else:
                pushed = torch.stack(
                    [
                        torch.autograd.grad(vjp, cotangent, v, create_graph=keep, retain_graph=True)[0]
                        for v in directions
                    ]
                )
        if not keep:
            following, pushed = following.detach(), pushed.detach()
        return following, pushed.movedim(0, -1)

    return push


def require_adjoint(step: Step, layout: StateLayout, state: Tensor, x: Any, V: Tensor, eps: float) -> None:
    """Compare <w, D v> of a double backward with <D' w, v> of a plain backward pass, for one w and one v.

    Where a backward pass is not differentiable itself (once_differentiable, numpy, .data), the second one leaves its
    part out without a word.

    Args:
        step, layout: the step.
        state, x, V: where, and along which direction (the first of V).
        eps: relative rounding error of the coarsest type in which the step computes.

    Raises:
        RuntimeError: they differ.
    """
    random = torch.Generator().manual_seed(1)  # not the caller's stream
    with torch.enable_grad():
        origin, following = with_graph(step, layout, state, x)
        v = V[..., 0].detach()
        w = torch.randn(following.shape, generator=random, dtype=following.dtype).to(following.device).requires_grad_()
        (vjp,) = torch.autograd.grad(following, origin, w, create_graph=True)
        pushed = torch.autograd.grad(vjp, w, v, allow_unused=True)[0] if vjp.requires_grad else None
    pushed = torch.zeros_like(w) if pushed is None else pushed
    terms = vjp.detach() * v
    error = ((w.detach() * pushed.detach()).sum() - terms.sum()).abs()
    # not finite is somebody else's complaint
    scale = euclidean_norm(w.detach()) * euclidean_norm(pushed.detach()) + euclidean_norm(terms)
    if float(error) > tolerance(eps) * scale:
        raise RuntimeError("a backward pass that the step uses has no gradient itself, or not the right one")


def given_action(step: Step, layout: StateLayout, action: JacobianAction) -> Push:
    """A Jacobian action written by hand."""
    function = on_flat(step, layout)

    def push(state: Tensor, x: Any, V: Tensor) -> tuple[Tensor, Tensor]:
        following = function(state, x)
        pushed = action(layout.unflatten(state), x, layout.unflatten(following), V)
        if not isinstance(pushed, Tensor) or pushed.shape != V.shape or pushed.dtype != V.dtype:
            found = (
                f"shape {tuple(pushed.shape)} and type {pushed.dtype}" if isinstance(pushed, Tensor) else type(pushed)
            )
            raise ValueError(
                f"jacobian_action returned {found}: it must return the pushed directions, with V's own shape "
                f"{tuple(V.shape)} and type {V.dtype}"
            )
        return following, pushed

    return push


def explain(error: BaseException) -> str:
    """The first sentence of an error of torch, with what to do where that is known."""
    words = " ".join(str(error).split())
    advice = next((advice for sign, advice in _ADVICE if sign in words), "")
    first = words.split(". ")[0][:200]
    return f"{advice} [{first}]" if advice else first
