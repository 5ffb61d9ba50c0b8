"""Products of the port whose Float32 operands are rounded to fewer bits, as some hardware and settings do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dispatch_mode import UncompiledMode

import parity
import pyflossing
from pyflossing.gradients.trajectory_pass import TrajectoryPass

_PORT, _HARNESS = (str(Path(package.__file__).parent) for package in (pyflossing, parity))
_PRODUCTS = {
    getattr(torch.ops.aten, name) for name in ("mm", "bmm", "mv", "dot", "addmm", "addmm_", "addmv", "baddbmm")
}
BITS = {"bfloat16": 7, "TF32": 10}
"""Bits of the mantissa that stay."""


def rounded(x: Any, bits: int) -> Any:
    """A Float32 array or tensor with fewer bits in its mantissa; anything else as it is."""
    if isinstance(x, torch.Tensor):
        return torch.from_numpy(rounded(x.detach().numpy(), bits)) if x.dtype == torch.float32 else x
    if not isinstance(x, np.ndarray) or x.dtype != np.float32:
        return x
    dropped = 23 - bits
    raw = np.ascontiguousarray(x).view(np.uint32).astype(np.uint64) + (1 << (dropped - 1))
    return (raw >> dropped << dropped).astype(np.uint32).view(np.float32).reshape(x.shape)


def _site() -> str:
    """The function of the port that asks for a product, as "module.function"; "" if the harness asks for it."""
    frame = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_HARNESS):
            return ""
        if file.startswith(_PORT):
            return f"{Path(file).stem}.{frame.f_code.co_name}"
        frame = frame.f_back
    return ""


class _Products(UncompiledMode):
    def __init__(self, bits: int, chosen: Callable[[str], bool], seen: set[str]) -> None:
        super().__init__()
        self.bits, self.chosen, self.seen = bits, chosen, seen

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in _PRODUCTS:
            site = _site()
            if site:
                self.seen.add(site)
            if site and self.chosen(site):
                kept = 1 if "add" in func.__name__ else 0  # what is added to
                args = (*args[:kept], *(rounded(x, self.bits) for x in args[kept:]))
        return func(*args, **(kwargs or {}))


@contextmanager
def lost_precision(monkeypatch: pytest.MonkeyPatch, rounding: str, chosen: Callable[[str], bool]) -> Iterator[set[str]]:
    """Round the operands of the products at the ``chosen`` sites; gives the sites of all that were asked for."""
    bits, seen = BITS[rounding], set()
    true = TrajectoryPass.__init__

    def init(self: TrajectoryPass, *args: Any, **kwargs: Any) -> None:
        true(self, *args, **kwargs)
        product = self._product

        def low(a: Any, b: Any, **rest: Any) -> Any:
            site = _site()
            seen.add(site)
            return product(rounded(a, bits), rounded(b, bits), **rest) if chosen(site) else product(a, b, **rest)

        if self._xp is np:  # torch's products are seen by the mode
            self._product = low

    with monkeypatch.context() as patched, _Products(bits, chosen, seen):
        patched.setattr(TrajectoryPass, "__init__", init)
        yield seen
