"""Whether only this user and root can change what a path holds; nothing else is ever run."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

_MOST_LINKS = 40


def weakness(path: Path) -> str:
    """What lets somebody else change what is found at `path`, or "" where nothing does.

    Looks at every folder and every link on the way. A folder such as /tmp, where everybody may make files and
    nobody may replace those of others, is safe on the way but not as the end. What does not exist is safe.
    """
    current, names = Path("/"), [name for name in reversed(path.absolute().parts) if name != "/"]
    found = entry_weakness(current, on_the_way=bool(names))
    links = 0
    while names and not found:
        name = names.pop()
        entry = current.parent if name == ".." else current / name
        try:
            found = entry_weakness(entry, on_the_way=bool(names))
            if entry.is_symlink():
                links += 1
                target = Path(os.readlink(entry))  # noqa: PTH115 (the link's own text)
                names += [part for part in reversed(target.parts) if part != "/"]
                current = Path("/") if target.is_absolute() else current
            else:
                current = entry
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f"{entry} cannot be examined ({error.strerror})"
        if links > _MOST_LINKS:
            return f"{path} goes through too many links"
    return found


def tree_weakness(folder: Path) -> str:
    """The same for all that lies below a folder; links count by their owner."""
    for entry in _entries(folder):
        found = entry_weakness(entry, on_the_way=False)
        if found:
            return found
    return ""


def entry_weakness(entry: Path, *, on_the_way: bool) -> str:
    """What is wrong with the owner or the mode of one file, folder or link."""
    seen = entry.lstat()
    if seen.st_uid not in (0, os.getuid()):
        return f"{entry} belongs to {_user(seen.st_uid)}"
    if stat.S_ISLNK(seen.st_mode) or (on_the_way and seen.st_mode & stat.S_ISVTX):
        return ""
    by_group = seen.st_mode & stat.S_IWGRP and not _is_own_group(seen.st_gid)
    if seen.st_mode & stat.S_IWOTH or by_group:
        return f"{entry} can be written by other users (its mode is {stat.S_IMODE(seen.st_mode):04o})"
    return ""


def _entries(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield Path(parent, name)


def _is_own_group(gid: int) -> bool:
    """Many systems give each user a group of the user's name, whose members may write by default."""
    own = _user(os.getuid())
    try:
        group = grp.getgrgid(gid)
    except KeyError:
        return False
    return group.gr_name in (own, "root") and set(group.gr_mem) <= {own, "root"}


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
