"""How many threads torch computes with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

UNITS_FOR_THREADS = 256
"""Where more threads begin to pay: with two, N = 160 took 0.98 to 1.4 times as long, N = 320 0.79 to 0.85 times."""


@contextmanager
def suitable_threads(n_units: int) -> Iterator[None]:
    """Torch on one thread for small networks, on the caller's number for large ones; the setting is restored."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if n_units < UNITS_FOR_THREADS else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
