"""What counts as a step: ``step(state, x) -> state``, a torch cell or layered module, or a built-in network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from pyflossing.model.networks import Network
from pyflossing.modules.calling import Step, choose_order, in_order, is_layered, layered, unwrap
from pyflossing.modules.state import State, StateLayout, cloned
from pyflossing.modules.tree import leaves_of

JacobianAction = Callable[[State, Any, State, Tensor], Tensor]
"""D V from state, input, next state and the flat directions V (*batch, n, k); same shape as V."""


def layout_of(
    step: Any, state: State, *, batched: bool, dtype: torch.dtype | None, batch_dim: int | None
) -> StateLayout:
    """The layout of a step's state; without ``batch_dim`` examples are where that kind of step has them."""
    if batch_dim is None:
        batch_dim = 1 if is_layered(step) else 0
    return StateLayout.of(state, batched=batched, dtype=dtype, batch_dim=batch_dim if batched else 0)


def as_step(
    step: Any, layout: StateLayout, flat: Tensor, x: Any, dtype: torch.dtype | None, input_first: bool | None = None
) -> Step:
    """The function ``step(state, x)`` that a cell, a module or a function stands for.

    Args:
        step: a ``torch.nn`` cell or layered module, another module, or a function.
        layout, flat, x: state and input of the first step, to try how it is called.
        dtype: type in which a module's parameters and buffers are used; the module itself stays as it is.
        input_first: whether the step takes the input first; None: to be found out.

    Raises:
        ValueError: nothing to call, or in an order that cannot be told.
    """
    step = unwrap(step)
    if not callable(step):
        raise ValueError(f"step = {step!r} is not allowed: it must be a function step(state, x) or a torch module")
    call = _in_type(step, dtype) if isinstance(step, nn.Module) else step
    if isinstance(step, nn.RNNBase):
        return layered(step, call)

    def works(first: bool) -> bool:
        try:
            with torch.no_grad():
                state = cloned(layout.unflatten(flat))
                layout.flatten(in_order(step, call, first, without_input=x is None)(state, x))
        except (RuntimeError, ValueError, TypeError, AttributeError, IndexError, KeyError):
            return False
        return True

    first = choose_order(step, input_first, works, without_input=x is None)
    return in_order(step, call, first, without_input=x is None)


def _in_type(module: nn.Module, dtype: torch.dtype | None) -> Callable[..., Any]:
    """The module itself, or calls with converted parameters, through which gradients reach its own ones."""
    if isinstance(module, torch.jit.ScriptModule):
        return module

    def tensors() -> dict[str, Tensor]:
        return {**dict(module.named_parameters()), **dict(module.named_buffers())}

    other = {name for name, t in tensors().items() if dtype and t.is_floating_point() and t.dtype != dtype}
    frozen = {name for name, t in tensors().items() if t.is_inference()}
    if not other | frozen:
        return module
    # no graph may hold what was made in inference mode, and it cannot be trained
    copies = {name: t.clone() for name, t in tensors().items() if name in frozen}

    def call(*arguments: Any) -> Any:
        current = {**tensors(), **copies}
        chosen = {name: current[name].to(dtype) if name in other else current[name] for name in other | frozen}
        return functional_call(module, chosen, arguments)

    return call


class _AllFloat64(TorchFunctionMode):
    """Lets ``.float()`` mean Float64 within a step that is computed in Float64: libraries make spikes that way."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.float:
            return args[0].double()
        if func is Tensor.to and torch.float32 in args:
            args = tuple(torch.float64 if a is torch.float32 else a for a in args)
        return func(*args, **(kwargs or {}))


def widened(step: Step) -> Step:
    """A step in which ``.float()`` and ``.to(torch.float32)`` mean Float64."""

    def call(state: State, x: Any) -> State:
        with _AllFloat64():
            return step(state, x)

    return call


def network_step(network: Network, J: Tensor) -> tuple[Step, JacobianAction]:
    """Step and hand-written Jacobian action of a built-in network with recurrent weights J (N, N).

    States are rows here, (B, n_states), and inputs (B, N) are the units' whole input u, the bias included. The action
    is the network's own: see :mod:`pyflossing.model.networks` for where it departs from the step's derivative.
    """

    def step(state: Tensor, u: Tensor) -> Tensor:
        return network.step(state.mT, u.mT, J).mT

    def action(state: Tensor, u: Tensor, state_next: Tensor, V: Tensor) -> Tensor:
        return network.jacobian_action(state, state_next, J, V)

    return step, action


def require_out_of_place(step: Step, layout: StateLayout, flat: Tensor, x: Any) -> Tensor:
    """Take one step without tangents, to refuse what would give wrong ones; return the flat next state.

    Raises:
        ValueError: the step changes its state in place, or returns another structure, shape or type.
    """
    with torch.no_grad():
        state = cloned(layout.unflatten(flat.detach().clone()))
        leaves = list(leaves_of(state))
        # whatever dict or list the step gets, it may fill anew: what counts is whether the tensors change
        versions = [leaf._version for _, leaf in leaves]
        following = step(state, x)
        result = layout.flatten(following)
    for (name, leaf), version in zip(leaves, versions, strict=True):
        if leaf._version != version:
            raise ValueError(
                f"the step changes {name} in place, which would change the trajectory while tangents are taken: return "
                "new tensors (h = h + d, not h += d), or clone the state first"
            )
    return result


def require_inputs(inputs: Any, n_steps: int | None) -> int:
    """The number of steps that inputs, time first, and ``n_steps`` ask for.

    Raises:
        ValueError: neither is given, they contradict each other, or tensors have different lengths.
    """
    if inputs is None:
        if n_steps is None:
            raise ValueError("n_steps = None is not allowed without inputs: it must be an integer >= 1")
        return n_steps
    series = list(leaves_of(inputs, "inputs"))
    if not series or series[0][1].dim() == 0:
        raise ValueError("inputs have no time dimension: the first dimension of every tensor is time")
    length = series[0][1].shape[0]
    for name, tensor in series:
        if tensor.dim() == 0 or tensor.shape[0] != length:
            raise ValueError(
                f"{name} has shape {tuple(tensor.shape)}, but {series[0][0]} has {length} steps: the first dimension "
                "of every tensor is time"
            )
    if n_steps is not None and n_steps > length:
        raise ValueError(f"n_steps = {n_steps} is not allowed: the inputs have {length} steps")
    return length if n_steps is None else n_steps


def time_first(inputs: Any, layout: StateLayout, batch_first: bool | None) -> Any:
    """Inputs with time as the first dimension.

    Args:
        inputs: tensors (T, B, ...) or, batch first, (B, T, ...).
        layout: of the state, with the number of examples.
        batch_first: which of the two; None: time first, unless that looks wrong.

    Raises:
        ValueError: they look batch first, or could be either.
    """
    if inputs is None or not layout.batch or batch_first is False:
        return inputs
    if batch_first:
        return cloned(inputs, lambda t: t.transpose(0, 1) if t.dim() > 1 else t)
    size = layout.batch[0]
    for name, tensor in leaves_of(inputs, "inputs"):
        if tensor.dim() < 2 or tensor.shape[0] != size:
            continue
        if size == 1 and (tensor.dim() < 3 or tensor.shape[1] == 1):
            continue  # a single step, or a single example, in either order
        told = f"{name} has shape {tuple(tensor.shape)} and the state {size} examples"
        if tensor.shape[1] == size:
            raise ValueError(
                f"{told}: which dimension is time cannot be told; say batch_first=False if it is the first, "
                "batch_first=True if it is the second"
            )
        raise ValueError(
            f"{told}: the first dimension is time; say batch_first=True for inputs (B, T, ...), or batch_first=False "
            "if they are (T, ...) nevertheless"
        )
    return inputs
