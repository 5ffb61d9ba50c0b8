"""The hashes of the files that were fetched, kept beside them, so that nothing changed or planted is run."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from parity.obtain.trust import tree_weakness

_LIST = "files.json"


def keep(folder: Path) -> None:
    """Write down what the folder `root` inside `folder` holds."""
    text = json.dumps(_fingerprints(folder / "root"), indent=0, sort_keys=True) + "\n"
    temporary = folder / f".{_LIST}.{os.getpid()}"
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(folder / _LIST)
    finally:
        temporary.unlink(missing_ok=True)


def difference(folder: Path) -> str:
    """What differs from what was written down, or "": a changed, missing or additional file, or a foreign owner."""
    found = tree_weakness(folder)
    if found:
        return found
    try:
        kept = json.loads((folder / _LIST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        # Fetched before hashes were kept; by owner and mode, nobody else can have touched it since.
        keep(folder)
        return ""
    except (OSError, ValueError) as error:
        return f"{folder / _LIST} cannot be read ({error})"
    seen = _fingerprints(folder / "root")
    if kept == seen:
        return ""
    if not isinstance(kept, dict):
        return f"{folder / _LIST} is no list of files"
    names = sorted(name for name in {*kept, *seen} if kept.get(name) != seen.get(name))
    what = "is missing" if names[0] not in seen else "was not there" if names[0] not in kept else "has changed"
    others = f", and {len(names) - 1} other files differ" if len(names) > 1 else ""
    return f"{folder / 'root' / names[0]} {what} since it was fetched{others}"


def _fingerprints(root: Path) -> dict[str, str]:
    """By relative path: the SHA-256 of a file, the target of a link."""
    found = {}
    for parent, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(parent, name)
            if path.is_symlink():
                found[path.relative_to(root).as_posix()] = f"link to {os.readlink(path)}"  # noqa: PTH115
            elif path.is_file():
                found[path.relative_to(root).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
