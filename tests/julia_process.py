"""Looking at the processes of a connection to Julia, in several test files."""

from __future__ import annotations

import os
import time
from pathlib import Path

# Generous for a loaded machine; what is waited for takes well under two seconds.
SOON = 8.0


def children(pid):
    """The process ids of the children of a process."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def descendants(pid):
    """All processes below a process, the nearest first."""
    found = children(pid)
    for child in found:
        found += children(child)
    return found


def julia_of(guard):
    """The process that a guard has started: Julia, or the worker that holds it."""
    wait_until(lambda: children(guard), "the guard has started nothing")
    return children(guard)[0]


def is_gone(pid):
    """Whether a process has ended."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return True
    # An orphan that nobody has collected yet; our own children would be our fault.
    return state == "Z" and parent != str(os.getpid())


def wait_until(condition, complaint="it did not happen", seconds=SOON):
    """Poll a condition to a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, complaint
        time.sleep(0.01)


def wait_until_gone(pid, seconds=SOON):
    """Poll until a process has ended."""
    wait_until(lambda: is_gone(pid), f"process {pid} is still there", seconds)
