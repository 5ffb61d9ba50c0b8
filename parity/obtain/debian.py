"""A Julia from Debian's archive, unpacked into a private folder without root."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from parity.obtain import fingerprint
from parity.obtain.apt_sources import read_sources
from parity.obtain.archive import Archive, ArchiveError
from parity.obtain.debian_mirror import RELEASE, release_stanzas
from parity.obtain.environment import LIBRARIES
from parity.obtain.folders import (
    CACHE_VARIABLE,
    FolderError,
    fallback_folder,
    is_named,
    locked,
    preferred_folder,
    require_safe_if_named,
    require_space,
    writable_folder,
)
from parity.obtain.local import VARIABLE
from parity.obtain.model import Attempt, JuliaInstallation, Say, dotted, expanded
from parity.obtain.probe import probe
from parity.obtain.trust import weakness

ORIGIN = "Debian archive"
NAME = "julia-1.5.3-debian"
_PARTIAL = f".{NAME}.partial-"
_STAMP = "packages.json"
#: Package lists, packages and the unpacked files, together, at the worst moment.
_NEEDED_BYTES = 500_000_000
_OTHERWISE = f"install Julia 1.5 or newer and put it on PATH, or set {VARIABLE}"


class UnusableError(Exception):
    """There is no Julia that works, and nothing to make one from; the message says why."""

    def __init__(self, detail: str, remedy: str = _OTHERWISE) -> None:
        super().__init__(detail)
        self.remedy = remedy


def obtain(*, download: bool, say: Say, timeout: float, apt_folder: Path = Path("/etc/apt")) -> Attempt:
    """Use the Julia fetched earlier, or fetch it; ``timeout`` is that of the version probe."""
    try:
        found = _fetched_earlier_or_fetched(download, say, timeout, apt_folder)
    except UnusableError as error:
        return Attempt(ORIGIN, None, str(error), error.remedy)
    except FolderError as error:
        remedy = f"set {CACHE_VARIABLE} to a folder that only you can write, with enough space, or {_OTHERWISE}"
        return Attempt(ORIGIN, None, str(error), remedy)
    except ArchiveError as error:
        return Attempt(ORIGIN, None, str(error), _OTHERWISE)
    except OSError as error:
        return Attempt(ORIGIN, None, f"fetching failed: {error}", _OTHERWISE)
    return Attempt(ORIGIN, found, f"Julia {dotted(found.version)} at {found.executable}", "")


def _fetched_earlier_or_fetched(download: bool, say: Say, timeout: float, apt_folder: Path) -> JuliaInstallation:
    seen = ""
    for folder in _folders():
        if (folder / NAME).exists():
            try:
                return _installation(folder / NAME, timeout)
            except UnusableError as error:
                seen = f"what was fetched earlier cannot be used: {error}"
    # Nobody is told to fetch where that cannot work.
    problem, stanzas = _mirrors(apt_folder)
    if problem:
        raise UnusableError(f"{seen}; and {problem}" if seen else problem)
    if not download:
        require_safe_if_named()
        remedy = f"let `python -m parity` fetch it (72 MB), or {_OTHERWISE}"
        raise UnusableError(f"{seen or 'nothing was fetched earlier'}, and this look-up downloads nothing", remedy)
    folder = writable_folder(say)
    with locked(folder / f"{NAME}.lock", say) as lock:
        return _reuse_or_fetch(folder, stanzas, lock, say, timeout)


def _folders() -> list[Path]:
    preferred = preferred_folder()
    if is_named() and preferred is not None:
        return [preferred]
    return [folder for folder in (preferred, fallback_folder()) if folder is not None]


def _mirrors(apt_folder: Path) -> tuple[str, list[str]]:
    """What prevents fetching, or ""; and the sources to fetch from."""
    absent = [tool for tool in ("apt-get", "dpkg") if shutil.which(tool) is None]
    if absent:
        return f"this machine has no {' and no '.join(absent)}", []
    stanzas = release_stanzas(read_sources(apt_folder))
    return ("" if stanzas else f"the sources in {apt_folder} name no mirror of Debian"), stanzas


def _reuse_or_fetch(folder: Path, stanzas: Sequence[str], lock: int, say: Say, timeout: float) -> JuliaInstallation:
    """Fetch Julia unless another process has just done so; the lock must be held."""
    for stale in folder.glob(f"{_PARTIAL}*"):
        shutil.rmtree(stale, ignore_errors=True)
    final, partial = folder / NAME, folder / f"{_PARTIAL}{os.getpid()}"
    replaced = partial.with_name(f"{partial.name}-replaced")
    try:
        if final.exists():
            try:
                return _installation(final, timeout)
            except UnusableError as error:
                say(f"The Julia fetched earlier cannot be used and is fetched again: {error}")
        require_space(folder, _NEEDED_BYTES)
        partial.mkdir(mode=0o700)
        packages = _fetch(partial, stanzas, lock, say)
        (partial / _STAMP).write_text(json.dumps(packages, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        fingerprint.keep(partial)
        _installation(partial, timeout)
        # Only now, when the new one is known to work, does the old one go.
        if final.exists():
            final.rename(replaced)
        partial.rename(final)
        return _installation(final, timeout)
    finally:
        # Also after Ctrl-C; the children have been ended by then.
        for leftover in (partial, replaced):
            shutil.rmtree(leftover, ignore_errors=True)


def _fetch(partial: Path, stanzas: Sequence[str], lock: int, say: Say) -> dict[str, str]:
    """Unpack Julia and what it needs from the first mirror that holds it; return the versions."""
    failures = []
    for stanza in stanzas:
        work = partial / "work"
        archive = Archive(work, keep_open=[lock])
        try:
            say("Reading the package lists of Debian's archive ...")
            archive.open(stanza)
            packages = archive.closure("julia")
            say(f"Fetching Julia 1.5.3 from Debian's archive ({len(packages)} packages, 72 MB) ...")
            archive.unpack(sorted(packages), partial / "root")
            return packages
        except ArchiveError as error:
            failures.append(str(error))
            shutil.rmtree(partial / "root", ignore_errors=True)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    raise ArchiveError(f"Debian {RELEASE} cannot be fetched:\n" + "\n".join(failures))


def _installation(folder: Path, timeout: float) -> JuliaInstallation:
    """Describe the Julia unpacked in a folder, after it has passed all checks and the version probe."""
    planted = weakness(folder) or fingerprint.difference(folder)
    if planted:
        raise UnusableError(f"it was not run, because {planted}")
    executable = folder / "root" / "usr" / "bin" / "julia"
    # The folder of the machine's architecture is the one that holds Julia's own libraries.
    own = next((folder / "root" / "usr" / "lib").glob("*/julia"), None)
    if own is None:
        raise UnusableError(f"{folder} holds no Julia libraries")
    libraries = [own.parent, own, folder / "root" / "lib" / own.parent.name]
    before = os.environ.get(LIBRARIES)
    search_path = ":".join([*map(str, libraries), *([before] if before else [])])
    environment = {LIBRARIES: search_path}
    if not expanded("~").is_dir() and not os.environ.get("HOME"):
        # Julia does not start for a user without an account and without a home folder.
        environment["HOME"] = str(folder.parent)
    seen = probe(executable, environment=environment, timeout=timeout)
    if seen.version is None or seen.problem:
        raise UnusableError(seen.problem)
    return JuliaInstallation(executable, environment, seen.version, ORIGIN)
