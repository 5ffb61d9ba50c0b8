"""Folders that one process at a time works in."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = ".lock"


class FolderInUse(RuntimeError):
    """Another process is running in the folder."""


@contextmanager
def alone_in(place: Path, names: Iterable[str]) -> Iterator[None]:
    """Hold the folder's lock, which ends with the process however it ends; and clear what a killed one left.

    Args:
        place: the folder, which must exist.
        names: of the files that are written into it (by ``write_atomically``, which may leave temporary ones).

    Raises:
        FolderInUse: another process holds the lock.
        OSError: the folder cannot be written.
    """
    with writing(place / LOCK):
        descriptor = os.open(place / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUse(f"another process is running in {place}") from None
        for name in names:
            for left in place.glob(f".{name}.*"):
                left.unlink()
        yield
    finally:
        os.close(descriptor)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Errors with the name of the file that was meant, not of a temporary one."""
    try:
        yield
    except OSError as error:
        raise type(error)(error.errno, f"cannot write: {error.strerror}", str(path)) from error
