"""A stand-in for a GPU, where there is none: tensors that call themselves "cuda:0", and behave so, but lie on the CPU.

What a GPU would refuse is refused: a call that mixes the two devices, a tensor as numpy's array. Tensors are moved only
where the program moves them, and each transfer is counted. The numbers are real, so that a whole run goes through every
branch that it takes, and can be compared with the CPU's. (torch's own FakeTensorMode has no numbers, and its tensors
cannot be indexed where torch is built without CUDA.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from dispatch_mode import UncompiledMode
from torch.overrides import TorchFunctionMode

GPU = torch.device("cuda", 0)
NAME = "stand-in GPU"
_READ = {
    torch.Tensor.item, torch.Tensor.tolist, torch.Tensor.__float__, torch.Tensor.__int__, torch.Tensor.__bool__,
    torch.Tensor.__index__, torch.equal, torch.nonzero, torch.Tensor.nonzero,
}  # fmt: skip
"""Calls that wait for the numbers."""
_FROM_NUMBERS = {torch.tensor, torch.as_tensor, torch.Tensor.new_tensor}
"""Calls that move Python's numbers."""
_REFUSED = {torch.Tensor.numpy, torch.Tensor.__array__, torch.Tensor.data_ptr}
_INDEXING = {torch.Tensor.__getitem__, torch.Tensor.__setitem__}


class OnGPU(torch.Tensor):
    """A tensor on the stand-in."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func == torch.Tensor.device.__get__:
            return GPU
        if func == torch.Tensor.is_cuda.__get__:
            return True
        if func is torch.Tensor.untyped_storage or func in _REFUSED:
            raise RuntimeError(f"{func} of a tensor on {GPU}")
        return super().__torch_function__(func, types, args, kwargs or {})


def put(x: torch.Tensor) -> OnGPU:
    """A copy on the stand-in, not counted."""
    with torch._C.DisableTorchFunctionSubclass():
        return x.detach().clone().as_subclass(OnGPU)


def back(x: torch.Tensor) -> torch.Tensor:
    """A copy on the CPU, not counted."""
    with torch._C.DisableTorchFunctionSubclass():
        return x.as_subclass(torch.Tensor).clone()


def _tensors(given: Any) -> Iterator[torch.Tensor]:
    """Those among a call's arguments; torch's tree_leaves takes ten times as long."""
    if isinstance(given, torch.Tensor):
        yield given
    elif isinstance(given, tuple | list):
        for one in given:
            yield from _tensors(one)
    elif isinstance(given, dict):
        yield from _tensors([*given.values()])


class StandIn(TorchFunctionMode):
    """While it is entered, "cuda" is the stand-in.

    Attributes:
        transfers: how many of "to the GPU", "to the CPU" and "reads" (of numbers, such as ``float(x)``) there were.
        on_cpu: functions that were called with tensors of the CPU alone, or made one.
        operations: torch's own operations of which an argument was on the GPU, such as "aten.mm.out", while
            ``records`` is true: it takes time.
    """

    records = False

    def __init__(self) -> None:
        super().__init__()
        self.transfers: Counter[str] = Counter()
        self.on_cpu: Counter[str] = Counter()
        self.operations: set[str] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.Tensor.to, torch.Tensor.cpu, torch.Tensor.cuda):
            return self._moved(func, *args, **kwargs)
        if getattr(func, "__name__", "") == "__get__":  # of an attribute
            return func(*args, **kwargs)
        tensors = list(_tensors((args, kwargs)))
        on_gpu = [isinstance(x, OnGPU) for x in tensors]
        if any(on_gpu) and not all(on_gpu):
            raise RuntimeError(
                f"{func} mixes tensors of {GPU} and of the CPU: "
                + ", ".join(f"{tuple(x.shape)} on {x.device}" for x in tensors)
            )
        makes_on_gpu = "device" in kwargs and torch.device(kwargs["device"]).type == "cuda"
        if makes_on_gpu:
            kwargs["device"] = "cpu"
        if any(on_gpu) and func in _READ:
            self.transfers["reads"] += 1
        if (any(on_gpu) or makes_on_gpu) and func in _FROM_NUMBERS:
            self.transfers["to the GPU"] += 1
        if not any(on_gpu) and not makes_on_gpu:
            self.on_cpu[getattr(func, "__name__", str(func))] += 1
        with _Operations(self.operations) if self.records else nullcontext():
            found = func(*args, **kwargs)
        return put(found) if makes_on_gpu else found

    def _moved(self, func: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        given = [*args, *kwargs.values()]
        places = [torch.device(one) for one in given if isinstance(one, str | torch.device)]
        others = [one for one in given if isinstance(one, torch.Tensor)]
        dtypes = [one for one in given if isinstance(one, torch.dtype)] + [other.dtype for other in others]
        from_gpu = isinstance(x, OnGPU)
        to_gpu = from_gpu
        if func in (torch.Tensor.cpu, torch.Tensor.cuda):
            to_gpu = func is torch.Tensor.cuda
        for place in [*places, *(other.device for other in others)]:
            to_gpu = place.type == "cuda"
        converted = x
        for dtype in dtypes:
            converted = torch.Tensor.type(x, dtype) if x.dtype != dtype else x
        if to_gpu == from_gpu:
            return converted
        self.transfers["to the GPU" if to_gpu else "to the CPU"] += 1
        return put(converted) if to_gpu else back(converted)


class _Operations(UncompiledMode):
    def __init__(self, seen: set[str]) -> None:
        super().__init__()
        self._seen = seen

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(isinstance(x, OnGPU) for x in _tensors((args, kwargs or {}))):
            self._seen.add(str(func))
        return func(*args, **(kwargs or {}))


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """A machine with one GPU, for the program under test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: True)
        patch.setattr(torch.cuda, "device_count", lambda: 1)
        patch.setattr(torch.cuda, "current_device", lambda: 0)
        patch.setattr(torch.cuda, "get_device_name", lambda device=None: NAME)
        patch.setattr(torch.cuda, "get_rng_state", lambda device=None: torch.zeros(1, dtype=torch.uint8))
        patch.setattr(torch.cuda, "set_rng_state", lambda state, device=None: None)
        with StandIn() as mode:
            yield mode
