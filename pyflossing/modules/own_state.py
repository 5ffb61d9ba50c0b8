"""What a module keeps between calls: found, refused, and put back after steps that were only tried."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pyflossing.modules.calling import Step
from pyflossing.modules.state import StateLayout, cloned


def same_random(device: torch.device) -> AbstractContextManager[None]:
    """Random numbers drawn within are drawn again afterwards."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


@contextmanager
def untouched(step: Any, device: torch.device) -> Iterator[None]:
    """Steps taken within leave random streams and what the step's modules keep (buffers, attributes) as they were."""
    kept = [_Kept(part) for module in _modules_of(step) for part in module.modules()]
    with same_random(device):
        try:
            yield
        finally:
            for one in kept:
                one.restore()


def require_no_own_state(step: Step, layout: StateLayout, flat: Tensor, x: Any, first: Tensor) -> None:
    """Refuse a step that gives another result when it is taken again from the same state, with the same random numbers.

    Args:
        step, layout, flat, x: the step, and where it is taken.
        first: what it gave, with the random state that is the present one.

    Raises:
        ValueError: the step keeps a state of its own.
    """
    with torch.no_grad():
        again = layout.flatten(step(cloned(layout.unflatten(flat)), x))
    if first.isfinite().all() and bool((again - first).abs().max() > 100 * torch.finfo(first.dtype).eps * _size(first)):
        raise ValueError(
            "the step gives another result when it is taken again from the same state with the same input: it keeps a "
            "state of its own (snntorch's init_hidden=True, neurons of spikingjelly, an attribute that changes), in "
            "which no directions can be pushed. Give all that changes as the state: init_hidden=False and the membrane "
            "as state, or a function that sets the module's state, steps, and returns what it then is"
        )


def _size(values: Tensor) -> float:
    return max(float(values.abs().max()), torch.finfo(values.dtype).tiny)


def _modules_of(step: Any) -> list[nn.Module]:
    """The modules that a step is, or that a function refers to."""
    if isinstance(step, nn.Module):
        return [step]
    if isinstance(step, functools.partial):
        found: list[Any] = [step.func, *step.args, *step.keywords.values()]
    else:
        code, names = getattr(step, "__code__", None), getattr(step, "__globals__", {})
        found = [getattr(step, "__self__", None), *(getattr(step, "__defaults__", None) or ())]
        found += [names[name] for name in (code.co_names if code else ()) if name in names]
        for cell in getattr(step, "__closure__", None) or ():
            try:
                found.append(cell.cell_contents)
            except ValueError:  # not filled yet
                continue
    return [part for part in found if isinstance(part, nn.Module)]


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
