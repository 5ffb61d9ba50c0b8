"""What a module keeps between calls: found, refused, and put back after steps that were only tried."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from pyflossing.modules.calling import Step, is_connected, with_graph
from pyflossing.modules.state import StateLayout, cloned


def same_random(device: torch.device) -> AbstractContextManager[None]:
    """Random numbers drawn within are drawn again afterwards."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


@contextmanager
def untouched(step: Any, device: torch.device) -> Iterator[None]:
    """Steps taken within leave random streams and what the step's modules keep (buffers, attributes) as they were."""
    kept = [_Kept(module) for module in _modules_of(step)]
    with same_random(device):
        try:
            yield
        finally:
            for one in kept:
                one.restore()


def require_no_own_state(step: Step, layout: StateLayout, flat: Tensor, inputs: Sequence[Any]) -> None:
    """Refuse a step that keeps a state of its own.

    It is known by three signs: the same state gives another result when steps have been taken in between, which are the
    first ones in their order, and then backwards; the same at once, as long as what is kept differs most; and a
    derivative of the second step with respect to the first one's state, although its own state was cut off, which shows
    also what is below a threshold.

    Args:
        step, layout, flat: the step, and where the first one is taken.
        inputs: of the first steps.

    Raises:
        ValueError: the step keeps a state of its own.
    """
    if _remembers(step, layout, flat, inputs) or _reaches_back(step, layout, flat, inputs):
        raise ValueError(
            "the step gives another result when it is taken again from the same state with the same input: it keeps a "
            "state of its own (snntorch's init_hidden=True, neurons of spikingjelly, an attribute that changes), in "
            "which no directions can be pushed. Give all that changes as the state: init_hidden=False and the membrane "
            "as state, or a function that sets the module's state, steps, and returns what it then is"
        )


def _remembers(step: Step, layout: StateLayout, flat: Tensor, inputs: Sequence[Any]) -> bool:
    """Whether steps taken again give other results."""

    def taken(t: int) -> Tensor:
        set_random_state(streams[t], flat.device)
        return layout.flatten(step(cloned(layout.unflatten(states[t])), inputs[t]))

    states, streams = [flat], []
    with torch.no_grad(), same_random(flat.device):
        for t in range(len(inputs)):
            streams.append(random_state(flat.device))
            states.append(taken(t))
            if t == 0 and _differ(taken(0), states[1]):
                return True
        return any(_differ(taken(t), states[t + 1]) for t in reversed(range(len(inputs))))


def _reaches_back(step: Step, layout: StateLayout, flat: Tensor, inputs: Sequence[Any]) -> bool:
    """Whether a step's result hangs together with the state before the one it was given."""
    try:
        with same_random(flat.device):
            before, middle = with_graph(step, layout, flat, inputs[0])
            _, after = with_graph(step, layout, middle, inputs[min(1, len(inputs) - 1)])  # cut off from the first
            return is_connected(before, after)
    except (RuntimeError, NotImplementedError):  # its graph cannot be followed; numbers have to tell
        return False


def _differ(one: Tensor, other: Tensor) -> bool:
    if not bool(other.isfinite().all()):
        return False
    size = max(float(other.abs().max()), torch.finfo(other.dtype).tiny)
    return bool((one - other).abs().max() > 100 * torch.finfo(other.dtype).eps * size)


def random_state(device: torch.device) -> Tensor:
    """Where the device's stream of random numbers is."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def set_random_state(state: Tensor, device: torch.device) -> None:
    """Put the device's stream there."""
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)


_MOST_PARTS = 10_000


def _modules_of(step: Any) -> list[nn.Module]:
    """The modules that a step is or refers to: in closures, globals, arguments, attributes and containers."""
    found: list[nn.Module] = []
    seen: set[int] = set()
    waiting = [step]
    while waiting and len(seen) < _MOST_PARTS:
        part = waiting.pop(0)
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, nn.Module):
            found += [module for module in part.modules() if all(module is not other for other in found)]
        waiting += _parts_of(part)
    return found


def _parts_of(part: Any) -> list[Any]:
    """What something holds that may be a module, or hold one."""
    if isinstance(part, (Tensor, str, bytes, int, float, complex, type, ModuleType)):
        return []
    if isinstance(part, dict):
        return list(part.values())
    if isinstance(part, (list, tuple, set, frozenset)):
        return list(part)
    if isinstance(part, functools.partial):
        return [part.func, *part.args, *part.keywords.values()]
    if isinstance(part, MethodType):
        return [part.__self__, part.__func__]
    return _parts_of_function(part) if isinstance(part, FunctionType) else list(getattr(part, "__dict__", {}).values())


def _parts_of_function(part: FunctionType) -> list[Any]:
    found = [*(part.__defaults__ or ()), *(part.__kwdefaults__ or {}).values(), *vars(part).values()]
    found += [part.__globals__[name] for name in _names_in(part.__code__) if name in part.__globals__]
    for cell in part.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:  # not filled yet
            continue
    return found


def _names_in(code: CodeType) -> set[str]:
    """The names that a function's code asks for, functions within it included."""
    inner = [_names_in(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*inner)


class _Kept:
    """One module's attributes and buffers, and the numbers in their tensors."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.values = {name: _copied(value) for name, value in vars(module).items() if name != "_modules"}
        self.numbers = [
            (tensor, tensor.detach().clone())
            for value in vars(module).values()
            for tensor in (value.values() if isinstance(value, dict) else [value])
            if isinstance(tensor, Tensor) and not isinstance(tensor, nn.Parameter) and not tensor.is_inference()
        ]

    def restore(self) -> None:
        present = vars(self.module)
        for name in [name for name in present if name != "_modules" and name not in self.values]:
            del present[name]
        for name, value in self.values.items():
            if isinstance(value, (dict, list)) and isinstance(present.get(name), type(value)):
                held: Any = present[name]  # the same container, to which others may refer
                held.clear()
                held.update(value) if isinstance(value, dict) else held.extend(value)
            else:
                present[name] = value
        with torch.no_grad():
            for tensor, numbers in self.numbers:
                if not torch.equal(tensor, numbers):  # kernels of batch normalisation write without a trace
                    tensor.copy_(numbers)


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, (dict, list)) else value
