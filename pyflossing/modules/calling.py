"""How a step is called: what is wrapped around it, whether the input comes first, and whole layered modules."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from pyflossing.modules.state import State, StateLayout

Step = Callable[[State, Any], State]
"""The state after one step from the present state and the input, which is None without inputs."""


def on_flat(step: Step, layout: StateLayout) -> Callable[[Tensor, Any], Tensor]:
    """The step as a function of flat states (*batch, n)."""
    return lambda flat, x: layout.flatten(step(layout.unflatten(flat), x))


def with_graph(step: Step, layout: StateLayout, flat: Tensor, x: Any) -> tuple[Tensor, Tensor]:
    """A flat state that requires gradients, and the next one, with the graph between them."""
    with torch.enable_grad():
        origin = flat.detach().requires_grad_()
        return origin, layout.flatten(step(layout.unflatten(origin), x))


def is_connected(origin: Tensor, following: Tensor) -> bool:
    """Whether a graph leads from one tensor to the other; zeros may also be a derivative's honest value."""
    if not following.requires_grad:
        return False
    with torch.enable_grad():
        return torch.autograd.grad(following.sum(), origin, allow_unused=True)[0] is not None


_INPUTS = {"input", "inputs", "x", "xt", "x_t", "inp", "input_", "input_tensor", "u", "current", "token", "tokens"}
_TIMES = {"t", "time", "tick", "clock"}
_STATES = {
    *("state", "states", "hidden", "hx", "h", "h0", "h_0", "h_t", "ht", "hc", "h_prev", "hidden_state", "carry"),
    *("hidden_states", "prev_state", "previous_state", "prev_hidden", "mem", "memory", "cell_state", "init_states"),
}
_CELLS = {"RNNCell", "GRUCell", "LSTMCell"}


def eagerly() -> AbstractContextManager[Any]:
    """What torch.compile has made runs uncompiled within, as compiled code has no second derivative.

    Nothing is done where torch's compiler was never loaded, which would take a second, and before torch 2.6.
    """
    if "torch._dynamo" not in sys.modules or not hasattr(torch.compiler, "set_stance"):
        return nullcontext()
    stance: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
    return stance


def unwrap(step: Any) -> Any:
    """The module or function inside torch.compile, DataParallel and the like, whose values are the same."""
    while True:
        if isinstance(step, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            step = step.module
        elif isinstance(step, nn.Module) and isinstance(getattr(step, "_orig_mod", None), nn.Module):
            step = step._orig_mod
        elif callable(getattr(step, "_torchdynamo_orig_callable", None)):
            step = step._torchdynamo_orig_callable
        else:
            return step


def is_layered(step: Any) -> bool:
    """Whether it is one of torch's recurrent modules for whole sequences, whose state is (layers, B, H)."""
    return isinstance(unwrap(step), nn.RNNBase)


@contextmanager
def _without_onednn() -> Iterator[None]:
    settings: Any = torch.backends.mkldnn
    before, settings.enabled = settings.enabled, False
    try:
        yield
    finally:
        settings.enabled = before


def layered(module: nn.RNNBase, call: Callable[..., Any]) -> Step:
    """One step of all layers of torch's RNN, GRU or LSTM, on the state that it takes and returns itself.

    It runs without oneDNN, whose LSTM is one operation that torch cannot vectorise.

    Raises:
        ValueError: the module also runs backwards in time.
    """
    if module.bidirectional:
        raise ValueError(
            "step = a bidirectional module is not allowed: it has no step in time; give a module with "
            "bidirectional=False"
        )

    def step(state: State, x: Any) -> State:
        if x is None:
            raise ValueError(f"inputs = None is not allowed: {type(module).__name__} needs them; give zeros")
        batched = (state if isinstance(state, torch.Tensor) else state[0]).dim() == 3
        with _without_onednn():
            return call(x.unsqueeze(1 if batched and module.batch_first else 0), state)[1]

    return step


def argument_names(step: Any) -> tuple[str, ...] | None:
    """The names of the positional arguments that a call may give, None where they cannot be told."""
    try:
        target = step.forward if isinstance(step, nn.Module) else step
        if isinstance(step, functools.partial) and isinstance(step.func, nn.Module):
            target = functools.partial(step.func.forward, *step.args, **step.keywords)
        if isinstance(step, torch.jit.ScriptModule):
            return tuple(argument.name for argument in getattr(target, "schema").arguments)[1:]  # noqa: B009
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError, AttributeError, RuntimeError):
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return tuple(p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))


def says_input_first(step: Any) -> bool | None:
    """Whether a step takes the input before the state, by its kind or its arguments' names; None: they do not tell."""
    if isinstance(step, nn.RNNCellBase) or getattr(step, "original_name", None) in _CELLS:
        return True
    names = argument_names(step)
    if names is None:
        return None
    if len(names) < 2:
        return False
    first, second = (name.lower() for name in names[:2])
    if first in _TIMES or (first in _INPUTS and second in _STATES):
        return True
    if second.startswith("_") or second in _TIMES or (second in _INPUTS and first not in _INPUTS):
        return False
    return False if first in _STATES and second not in _STATES else None


def in_order(step: Any, call: Callable[..., Any], input_first: bool, *, without_input: bool) -> Step:
    """``call`` as a function of state and input."""
    if without_input and not input_first:
        names = argument_names(step)
        if names is not None and len(names) == 1:
            return lambda state, x: call(state)
    if input_first:
        return lambda state, x: call(x, state)
    return call


def choose_order(step: Any, input_first: bool | None, works: Callable[[bool], bool], *, without_input: bool) -> bool:
    """Whether the input comes first.

    Args:
        step: unwrapped.
        input_first: what the caller says.
        works: whether a call in that order gives a state like the one that went in.
        without_input: whether there are no inputs.

    Raises:
        ValueError: neither the caller nor names nor sizes tell.
    """
    if input_first is not None:
        return input_first
    said = says_input_first(step)
    module = isinstance(step, nn.Module)
    if said and not module and not without_input:
        raise ValueError(
            f"step takes {argument_names(step)[:2]}, which reads like input first, but a function is called as "  # type: ignore[index]
            "step(state, x): say input_first=True, or input_first=False if its first argument is the state"
        )
    if said is not None:
        return said
    if without_input or not (module or argument_names(step) is None):
        return False
    state_first, other = works(False), works(True)
    if state_first and other:
        raise ValueError(
            f"step = {type(step).__name__}(...) can be called as (state, input) and as (input, state), and its "
            "arguments' names do not tell which: say input_first=True or input_first=False"
        )
    return other
