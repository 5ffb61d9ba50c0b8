"""What counts as a step: ``step(state, x) -> state``, one of torch's cells, or a built-in network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pyflossing.model.networks import Network
from pyflossing.modules.state import State, StateLayout, convert, leaves_of

Step = Callable[[State, Any], State]
"""The state after one step from the present state and the input, which is None without inputs."""

JacobianAction = Callable[[State, Any, State, Tensor], Tensor]
"""D V from state, input, next state and the flat directions V (*batch, n, k); same shape as V."""


def as_step(step: Any, dtype: torch.dtype | None = None) -> Step:
    """The function ``step(state, x)`` that a cell, a module or a function stands for.

    Args:
        step: a ``torch.nn`` cell (RNNCell, GRUCell, LSTMCell: they take the input first, and are called so); any other
            module or function, called as ``step(state, x)``.
        dtype: type in which a module's parameters and buffers are used; the module itself stays as it is.

    Raises:
        ValueError: nothing to call, or a layer for whole sequences.
    """
    if isinstance(step, nn.RNNBase):
        raise ValueError(
            f"step = {type(step).__name__}(...) is not allowed: it runs over a whole sequence; give one step, such as "
            f"torch.nn.{type(step).__name__}Cell, or a function that calls one cell per layer"
        )
    if not callable(step):
        raise ValueError(f"step = {step!r} is not allowed: it must be a function step(state, x) or a torch.nn cell")
    call = _in_type(step, dtype) if isinstance(step, nn.Module) else step
    if isinstance(step, nn.RNNCellBase):
        return lambda state, x: call(x, state)
    return call


def _in_type(module: nn.Module, dtype: torch.dtype | None) -> Callable[..., Any]:
    """The module itself, or calls with converted parameters, through which gradients reach its own ones."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    other = {name for name, t in tensors.items() if t.is_floating_point() and t.dtype != dtype}
    if dtype is None or not other:
        return module

    def call(*arguments: Any) -> Any:
        current = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        return functional_call(module, {name: current[name].to(dtype) for name in other}, arguments)

    return call


def network_step(network: Network, J: Tensor) -> tuple[Step, JacobianAction]:
    """Step and hand-written Jacobian action of a built-in network with recurrent weights J (N, N).

    States are rows here, (B, n_states), and inputs (B, N) are the units' whole input u, the bias included. The action
    is the published one: see :mod:`pyflossing.model.networks` for where it departs from the step's derivative.
    """

    def step(state: Tensor, u: Tensor) -> Tensor:
        return network.step(state.mT, u.mT, J).mT

    def action(state: Tensor, u: Tensor, state_next: Tensor, V: Tensor) -> Tensor:
        return network.jacobian_action(state, state_next, J, V)

    return step, action


def require_out_of_place(step: Step, layout: StateLayout, flat: Tensor, x: Any) -> None:
    """Take one step without tangents, to refuse what would give wrong ones.

    Raises:
        ValueError: the step changes its state in place, or returns another structure, shape or type.
    """
    with torch.no_grad():
        state = convert(layout.unflatten(flat.detach().clone()), torch.clone)
        leaves = list(leaves_of(state))
        # whatever dict or list the step gets, it may fill anew: what counts is whether the tensors change
        versions = [leaf._version for _, leaf in leaves]
        try:
            following = step(state, x)
        except RuntimeError as error:
            if "dtype" in str(error) or "scalar type" in str(error):
                raise ValueError(
                    f"the step does not work in {layout.dtype} ({error}): give state, inputs and parameters one type, "
                    "for instance with module.to(dtype)"
                ) from error
            raise
    layout.flatten(following)
    for (name, leaf), version in zip(leaves, versions, strict=True):
        if leaf._version != version:
            raise ValueError(
                f"the step changes {name} in place, which would change the trajectory while tangents are taken: return "
                "new tensors (h = h + d, not h += d), or clone the state first"
            )


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
