"""The private folder that holds a fetched Julia, and the lock that guards it."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from parity.obtain.model import Say, expanded

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


def is_private(folder: Path) -> bool:
    """Tell whether a folder is a real one, of this user, that nobody else can write to."""
    try:
        seen = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.getuid() and not seen.st_mode & 0o022


def writable_folder(say: Say) -> Path:
    """Create the preferred cache folder, or the fallback when it cannot be written."""
    preferred = preferred_folder()
    if preferred is None:
        reason = "There is no home folder for a cache"
    else:
        try:
            preferred.mkdir(parents=True, exist_ok=True)
            # Trying is the only sure test: for root, permission bits say nothing.
            with tempfile.TemporaryFile(dir=preferred):
                return preferred
        except OSError as error:
            reason = f"The cache folder {preferred} cannot be written ({error.strerror})"
    fallback = fallback_folder()
    try:
        fallback.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise FolderError(f"{reason}, and neither can {fallback} ({error.strerror})") from error
    if not is_private(fallback):
        raise FolderError(f"{reason}, and {fallback} belongs to, or is open to, somebody else")
    say(f"{reason}; using {fallback} instead.")
    return fallback


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
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Waiting for another process that is fetching Julia ({path}) ...")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)
