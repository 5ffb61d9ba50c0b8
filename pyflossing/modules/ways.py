"""Which way to differentiate a step works, found out at its first step."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from pyflossing.modules.calling import Step, is_connected, with_graph
from pyflossing.modules.hidden import tolerance
from pyflossing.modules.own_state import same_random
from pyflossing.modules.state import State, StateLayout
from pyflossing.modules.tangent import Push, double_backward, explain, forward_mode, require_adjoint

Method = Literal["auto", "forward", "double_backward", "backward", "adjoint"]
METHODS = ("auto", "forward", "double_backward", "backward", "adjoint")
PLAIN = ("backward", "adjoint")
"""Methods that need plain backward passes only, and cannot be differentiated."""

REFUSALS = (RuntimeError, NotImplementedError, TypeError, UserWarning)
"""What torch raises where a way does not work."""

LARGEST_JACOBIAN = 1024
"""n up to which all Jacobians are formed where directions cannot be pushed; beyond it, the adjoint."""


@dataclass(frozen=True)
class Way:
    """A way that works.

    Attributes:
        name: of the method.
        push: state and directions through one step; None for those that push no directions.
        step: the step, as it is to be called.
    """

    name: str
    push: Push | None
    step: Step


def choose(
    step: Step,
    layout: StateLayout,
    method: Method,
    state: Tensor,
    x: Any,
    V: Tensor,
    *,
    eps: float,
    graph: bool,
    without_no_grad: bool = False,
) -> Way:
    """The first way that works for this step: double backward, forward mode, plain backward passes.

    Double backward comes first because it was as fast or up to three times faster wherever we measured
    (docs/modules.md). Where forward mode works, too, both must agree.

    Args:
        step, layout: the step.
        method: which ways may be taken.
        state, x, V: the first step, and directions to try.
        eps: relative rounding error of the coarsest type in which the step computes.
        graph: whether the spectrum is to be differentiable, for which plain backward passes do not suffice.
        without_no_grad: whether what runs under torch.no_grad counts as a constant, which it is not in forward mode.

    Raises:
        ValueError: none works, or two disagree; with the reasons, and what to do.
    """
    reasons: dict[str, str] = {}
    for name, candidate, push in _ways(step, layout, method, graph):
        if without_no_grad and method == "auto" and name == "forward":
            continue
        try:
            with same_random(state.device):
                if name == "double_backward":
                    require_adjoint(candidate, layout, state, x, V, eps)
            with same_random(state.device):
                following, pushed = push(state, x, V)
        except REFUSALS as error:
            reasons[name] = explain(error)  # of several double backwards the plainest one's reason stays
            continue
        if method == "auto" and name == "double_backward" and not without_no_grad:
            _require_agreement(forward_mode(candidate, layout), state, x, V, following, pushed, eps)
        return Way(name, push, candidate)
    if method in PLAIN or (method == "auto" and not graph):
        try:
            require_gradient(step, layout, state, x)
        except REFUSALS as error:
            reasons["backward"] = explain(error)
        else:
            small = layout.n_states <= LARGEST_JACOBIAN
            return Way(method if method in PLAIN else ("backward" if small else "adjoint"), None, step)
    told = "; ".join(f"{name.replace('_', ' ')}: {reason}" for name, reason in reasons.items())
    raise ValueError(
        f"the step cannot be differentiated with method = {method!r} ({told}). Write the step with differentiable "
        "operations out of place, or give its derivative as jacobian_action(state, x, next_state, V)"
    )


def _ways(step: Step, layout: StateLayout, method: Method, graph: bool) -> Iterator[tuple[str, Step, Push]]:
    if method in ("auto", "double_backward"):
        yield "double_backward", step, double_backward(step, layout)
        yield "double_backward", step, double_backward(step, layout, vectorised=False)
    if method in ("auto", "forward"):
        yield "forward", step, forward_mode(step, layout)
    plain = plain_attention(step)
    if graph and method in ("auto", "double_backward"):
        yield "double_backward", plain, double_backward(plain, layout)
    if method == "forward" or (graph and method == "auto"):
        yield "forward", plain, forward_mode(plain, layout)


def plain_attention(step: Step) -> Step:
    """The step with attention written out in torch's own operations, of which all derivatives are known."""

    def call(state: State, x: Any) -> State:
        with _written_out():
            return step(state, x)

    return call


@contextmanager
def _written_out() -> Iterator[None]:
    backends: Any = getattr(torch.nn, "attention", None)
    if backends is not None and hasattr(backends, "sdpa_kernel"):
        with backends.sdpa_kernel(backends.SDPBackend.MATH):
            yield
    else:  # torch 2.2
        with torch.backends.cuda.sdp_kernel(enable_flash=False, enable_math=True, enable_mem_efficient=False):
            yield


def require_gradient(step: Step, layout: StateLayout, state: Tensor, x: Any) -> None:
    """Take one plain backward pass through the step.

    Raises:
        RuntimeError: the next state does not depend on the state by differentiable operations.
    """
    if not is_connected(*with_graph(step, layout, state, x)):
        raise RuntimeError("the next state does not require grad with respect to the state")


def _require_agreement(
    forward: Callable[[Tensor, Any, Tensor], tuple[Tensor, Tensor]],
    state: Tensor,
    x: Any,
    V: Tensor,
    following: Tensor,
    pushed: Tensor,
    eps: float,
) -> None:
    """Refuse to choose between two derivatives.

    Where even the next states differ, the step has drawn other random numbers, and nothing can be said.

    Raises:
        ValueError: forward mode works, too, and gives another one.
    """
    try:
        with warnings.catch_warnings(), same_random(state.device):
            warnings.simplefilter("ignore")
            also, other = forward(state, x, V)
    except REFUSALS:
        return
    if float((also - following).abs().max()) > tolerance(eps) * float(following.abs().max()):
        return
    scale = float(torch.maximum(pushed.abs().max(), other.abs().max()))
    apart = float((pushed - other).abs().max())
    if apart > tolerance(eps) * scale:  # false for NaN, which is somebody else's complaint
        raise ValueError(
            f"double backward and forward mode differ by {apart / scale:.2g} of the largest derivative: a hook on a "
            "tensor, torch.no_grad() or a backward pass of its own makes the gradient another than the derivative. "
            "Choose method='double_backward' for the one with which the step is trained, or method='forward'; "
            "check_jacobian shows both"
        )
