"""Where the passes' large arrays come from.

The kernel has to clear every page of a fresh array, which took a fifth of a training epoch at the README's sizes. So a
pass whose arrays nobody sees after it takes those of the pass before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from torch import Tensor, is_inference_mode_enabled

Room = Callable[[str, Sequence[int], Tensor], Tensor]
"""Called with an array's role, its shape, and a tensor that has its type and device."""

_KEPT_BYTES = 2**26
"""Arrays up to this size are kept for the next pass."""


class _Kept(threading.local):
    def __init__(self) -> None:
        self.arrays: dict[str, Tensor] = {}


_kept = _Kept()


def fresh(role: str, shape: Sequence[int], like: Tensor) -> Tensor:
    """A new array."""
    return like.new_empty(*shape)


def reused(role: str, shape: Sequence[int], like: Tensor) -> Tensor:
    """The array that this thread was given for the role the last time, if it fits; else a new one."""
    kept = _kept.arrays.get(role)
    if (
        kept is not None
        and kept.shape == tuple(shape)
        and (kept.dtype, kept.device) == (like.dtype, like.device)
        and kept.is_inference() == is_inference_mode_enabled()
    ):
        return kept
    array = fresh(role, shape, like)
    _kept.arrays.pop(role, None)
    if array.nbytes <= _KEPT_BYTES:
        _kept.arrays[role] = array
    return array
