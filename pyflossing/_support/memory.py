"""What this machine's memory holds: sizes that it cannot hold are refused before any work."""

from __future__ import annotations

import math
import os
import resource
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pyflossing._support.arguments import FieldError

_GROUPS = Path("/sys/fs/cgroup")


@cache
def machine_bytes() -> int:
    """Memory that a process may have here: the machine's, or less where its container or its shell sets a limit."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in _limit_files():
        try:
            limits.append(int(path.read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such group, or no limit ("max")
            continue
    own = resource.getrlimit(resource.RLIMIT_AS)[0]
    return min(limits if own == resource.RLIM_INFINITY else [*limits, own])


def _limit_files() -> Iterator[Path]:
    """Where Linux tells the limits of the control groups that this process is in, of both versions."""
    yield _GROUPS / "memory" / "memory.limit_in_bytes"
    yield _GROUPS / "memory.max"
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        place = Path(line.split(":", 2)[-1].strip("/"))
        for group in (place, *place.parents):
            yield _GROUPS / group / "memory.max"
            yield _GROUPS / "memory" / group / "memory.limit_in_bytes"


def require_memory(what: str, sizes: Mapping[str, int], needed: Callable[..., int]) -> None:
    """Refuse sizes of which the machine's memory cannot hold even the largest arrays.

    Args:
        what: takes the memory, as a noun in the plural.
        sizes: by the caller's names, positive.
        needed: a lower bound of the bytes, of the sizes in their order.

    Raises:
        ValueError: naming the size that is too large, its value, and the bytes that are needed and there.
    """
    total = needed(*sizes.values())
    if total <= machine_bytes():
        return
    without = {name: needed(*{**sizes, name: min(1, sizes[name])}.values()) for name in sizes}
    enough = [one for one in without if without[one] <= machine_bytes()]
    name = max(enough, key=lambda one: sizes[one]) if enough else min(without, key=lambda one: without[one])
    there = f"this machine has {in_words(machine_bytes())}"
    raise FieldError(name, sizes[name], f"{what} would take at least {in_words(total)} of memory; {there}")


def require_array_memory(name: str, value: Any, shape: tuple[int, ...], bytes_each: int = 8) -> None:
    """Refuse the shape of an array that memory cannot hold, however many of its lengths are zero.

    Raises:
        ValueError: naming ``name``, ``value``, and the bytes that are needed and there.
    """
    total = bytes_each * math.prod(max(1, length) for length in shape)
    if total > machine_bytes():
        there = f"this machine has {in_words(machine_bytes())}"
        raise FieldError(name, value, f"it would take at least {in_words(total)} of memory; {there}")


def in_words(n_bytes: int) -> str:
    """1.5 GB, and the like."""
    for exponent, unit in enumerate(("B", "kB", "MB", "GB", "TB", "PB", "EB")):
        if n_bytes < 1000 ** (exponent + 1):
            return f"{n_bytes / 1000**exponent:.3g} {unit}"
    return f"10^{len(str(n_bytes)) - 1} B" if n_bytes.bit_length() < 10_000 else "more than 10^3000 B"
