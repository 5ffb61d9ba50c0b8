"""The private folder that holds a fetched Julia, and the lock that guards it."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from parity.obtain.model import Say, expanded
from parity.obtain.trust import weakness

CACHE_VARIABLE = "PYFLOSSING_CACHE"


class FolderError(Exception):
    """No folder can hold a fetched Julia; the message says why."""


def preferred_folder() -> Path | None:
    """Return the cache folder that the user's settings name, or None without a home folder."""
    own = os.environ.get(CACHE_VARIABLE)
    if own:
        return expanded(own)
    general = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if general.is_absolute():
        return general / "pyflossing"
    home = expanded("~")
    # Service accounts name a home folder that does not exist; making one up would surprise.
    return home / ".cache" / "pyflossing" if home.is_dir() else None


def fallback_folder() -> Path:
    """Return the folder that is used when the preferred one cannot be written."""
    return Path(tempfile.gettempdir(), f"pyflossing-{os.getuid()}")


def is_named() -> bool:
    """Tell whether the user has named the cache folder; then no other one is looked at or used."""
    return bool(os.environ.get(CACHE_VARIABLE))


def writable_folder(say: Say) -> Path:
    """Create the preferred cache folder, or the fallback when it cannot be written or others can write to it."""
    preferred = preferred_folder()
    if preferred is None:
        reason = "There is no home folder for a cache"
    else:
        reason = _unusable(preferred)
        if not reason:
            return preferred
    if is_named():
        raise FolderError(f"{reason}, and {CACHE_VARIABLE} names it, so that no other is used")
    fallback = fallback_folder()
    problem = _unusable(fallback)
    if problem:
        raise FolderError(f"{reason}. {problem}")
    say(f"{reason}; using {fallback} instead.")
    return fallback


def require_safe_if_named() -> None:
    """Raise a FolderError if the user has named a cache folder in which somebody else could plant files."""
    preferred = preferred_folder()
    if is_named() and preferred is not None and (problem := _unsafe(preferred)):
        raise FolderError(f"{problem}, and {CACHE_VARIABLE} names it, so that no other is used")


def _unsafe(folder: Path) -> str:
    found = weakness(folder)
    return (
        f"The cache folder {folder} cannot be used, because somebody else could plant files: {found}" if found else ""
    )


def _unusable(folder: Path) -> str:
    """Make a folder; tell what is wrong with it, or ""."""
    try:
        for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
            # Whatever the umask allows, others must not be able to plant a Julia.
            missing.mkdir(mode=0o755, exist_ok=True)
        # Trying is the only sure test: for root, permission bits say nothing.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return f"The cache folder {folder} cannot be written ({error.strerror})"
    return _unsafe(folder)


def require_space(folder: Path, needed: int) -> None:
    """Raise a FolderError unless the disk that holds the folder has so many bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        detail = f"{folder} has {free / 1e6:.0f} MB free; about {needed / 1e6:.0f} MB are needed"
        raise FolderError(detail)


@contextmanager
def locked(path: Path, say: Say) -> Iterator[int]:
    """Hold the lock file and yield its descriptor.

    A child that inherits the descriptor holds the lock as long as it lives, so that after a
    ``kill -9`` nobody works on the files that an orphan still writes.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise FolderError(
            f"The lock file {path} cannot be opened, and links are not followed ({error.strerror})"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Waiting for another process that is fetching Julia ({path}) ...")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)
