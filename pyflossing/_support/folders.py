"""Folders that one process at a time works in."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pyflossing._support.files import TEMPORARY
from pyflossing._support.words import plain, shortened

LOCK = ".lock"


class FolderInUse(RuntimeError):
    """Another process is running in the folder."""


@contextmanager
def alone_in(place: Path, names: Iterable[str]) -> Iterator[None]:
    """Hold the folder's lock, which ends with the process however it ends; and clear what a killed one left.

    Args:
        place: the folder, which must exist.
        names: of the files that are written into it, by ``write_atomically``, whose temporary files are cleared.

    Raises:
        FolderInUse: another process holds the lock.
        OSError: the folder cannot be written.
    """
    with writing(place / LOCK):
        descriptor = os.open(place / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUse(f"another process is running in {place}") from None
        for name in names:
            for left in place.glob(f".{name}.*{TEMPORARY}"):
                left.unlink()
        yield
    finally:
        os.close(descriptor)


def others_in(place: Path, ours: Collection[str] = ()) -> list[str]:
    """Names of what a folder, if there is one, holds besides a lock, temporary files of ours, and the named ones."""
    if not place.is_dir():
        return []
    found = [entry.name for entry in place.iterdir()]
    return sorted(name for name in found if name not in (LOCK, *ours) and not _is_temporary(name))


def require_no_others(place: Path, what: str, ours: Collection[str] = ()) -> None:
    """Refuse a folder in which ``what`` would stand among other files, or take their place.

    Raises:
        FileExistsError: naming some of the files.
    """
    others = others_in(place, ours)
    if others:
        some = shortened(", ".join(others))
        raise FileExistsError(
            f"{plain(str(place))} holds files that are not a {what}'s ({some}): choose an empty folder, or a new one"
        )


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith(TEMPORARY)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Errors with the name of the file that was meant, not of a temporary one."""
    try:
        yield
    except OSError as error:
        raise type(error)(error.errno, f"cannot write: {error.strerror}", str(path)) from error
