"""What a step does under torch.no_grad, and in which types it computes: both are seen by watching one step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from pyflossing._support.norms import euclidean_norm
from pyflossing.modules.calling import Step, with_graph
from pyflossing.modules.own_state import same_random
from pyflossing.modules.state import State, StateLayout, cloned


class _GradAlwaysOn(TorchFunctionMode):
    """Ignores torch.no_grad, and counts how often it was asked for."""

    asked = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch._C._set_grad_enabled and not args[0]:
            self.asked += 1
            return None
        return func(*args, **(kwargs or {}))


def through_no_grad(step: Step) -> Step:
    """The same step, differentiated also where it says torch.no_grad()."""

    def call(state: State, x: Any) -> State:
        if not torch.is_grad_enabled():
            return step(state, x)
        with _GradAlwaysOn():
            return step(state, x)

    return call


def hides_gradient(step: Step, layout: StateLayout, state: Tensor, x: Any) -> bool:
    """Whether the derivative of this step, by a plain backward pass, lacks something that runs under torch.no_grad."""
    watch = _GradAlwaysOn()
    with torch.no_grad(), watch:
        step(cloned(layout.unflatten(state)), x)
    if not watch.asked:
        return False

    def gradient(function: Step) -> Tensor:
        random = torch.Generator().manual_seed(1)
        with same_random(state.device):
            origin, following = with_graph(function, layout, state, x)
            w = torch.randn(following.shape, generator=random, dtype=following.dtype).to(following.device)
            if not following.requires_grad:
                return torch.zeros_like(origin)
            (found,) = torch.autograd.grad(following, origin, w, allow_unused=True)
        return torch.zeros_like(origin) if found is None else found

    plain = gradient(step)
    try:
        whole = gradient(through_no_grad(step))
    except RuntimeError:  # what runs there writes into parameters, or into given tensors: it is no part of the state
        return False
    return euclidean_norm(plain - whole) > 1e-3 * euclidean_norm(whole)


class _Types(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the floating types of all results, and whether any is made in inference mode."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: set[torch.dtype] = set()
        self.inference = False

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # which would load torch's compiler, for a second

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.inference |= torch.is_inference_mode_enabled()
        for part in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(part, Tensor) and part.is_floating_point():
                self.found.add(part.dtype)
        return result


def rounding(step: Step, layout: StateLayout, state: Tensor, x: Any) -> float:
    """Relative rounding error of the coarsest type in which the step computes: Float32 for spikes, bf16 in autocast.

    A step whose types cannot be watched counts as computing in the state's own type.

    Raises:
        ValueError: part of the step runs in inference mode, where its derivative would be lost without a trace.
    """
    watch = _Types()
    try:
        with torch.no_grad(), watch:
            step(cloned(layout.unflatten(state)), x)
    except (RuntimeError, NotImplementedError, TypeError):
        watch.found.clear()
    if watch.inference:
        raise ValueError(
            "part of the step runs under torch.inference_mode(), of which there is no derivative: write "
            "torch.no_grad() there, and say whether that part counts with through_no_grad=True or through_no_grad=False"
        )
    own = torch.zeros((), dtype=layout.own).abs().dtype
    return max(torch.finfo(dtype).eps for dtype in {*watch.found, own})


def tolerance(eps: float) -> float:
    """How far two ways to compute the same derivative may differ, relative; what one leaves out is no small part."""
    return min(1e3 * eps, 0.25)
