"""Fetching packages and their dependencies with apt, and unpacking them, without installing them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from parity.obtain import processes

# Every Debian has these, and the C library must match the machine's own loader.
_LEFT_TO_THE_MACHINE = frozenset(["libc6", "libcrypt1", "dpkg", "tar", "perl-base", "debconf", "gcc-10-base"])
_LISTED = re.compile(r"^'[^']*' (?P<name>[^_ ]+)_(?P<version>[^_ ]+)_\S+\.deb ", re.MULTILINE)

_UPDATE_TIMEOUT = 300.0
_DOWNLOAD_TIMEOUT = 1800.0
_UNPACK_TIMEOUT = 300.0


class ArchiveError(Exception):
    """Packages could not be fetched or unpacked; the message says why."""


@dataclass(frozen=True)
class Archive:
    """apt with a private state in ``work`` and a single source; ``keep_open`` goes to its processes."""

    work: Path
    keep_open: Sequence[int] = ()

    def open(self, stanza: str) -> None:
        """Make the private state and read the source's package lists."""
        for name in ("state/lists/partial", "cache/archives/partial", "debs"):
            (self.work / name).mkdir(parents=True)
        (self.work / "status").touch()
        (self.work / "only.sources").write_text(stanza, encoding="utf-8")
        updated = self._apt("update", timeout=_UPDATE_TIMEOUT)
        # Its exit status says little: apt ends with 0 when it cannot reach a mirror, and with 100
        # when a hook of the machine's own configuration fails.
        if not any((self.work / "state" / "lists").glob("*Packages*")):
            raise ArchiveError(f"apt-get update {updated.account}")

    def closure(self, package: str) -> dict[str, str]:
        """Return the versions of a package and of what it needs beyond the base system."""
        listing = self._apt("install", "-y", "--no-install-recommends", "--print-uris", package)
        found = {
            match["name"]: unquote(match["version"])
            for match in _LISTED.finditer(listing.output)
            if match["name"] not in _LEFT_TO_THE_MACHINE
        }
        if listing.status != 0 or package not in found:
            raise ArchiveError(f"apt-get install --print-uris {package} {listing.account}")
        return found

    def unpack(self, packages: Sequence[str], root: Path) -> None:
        """Download packages (apt checks their signatures) and unpack them into a folder."""
        debs = self.work / "debs"
        downloaded = self._apt("download", *packages, timeout=_DOWNLOAD_TIMEOUT, folder=debs)
        files = sorted(debs.glob("*.deb"))
        if downloaded.status != 0 or len(files) != len(packages):
            raise ArchiveError(f"apt-get download {downloaded.account}")
        root.mkdir()
        for file in files:
            command = ["dpkg", "-x", str(file), str(root)]
            unpacked = processes.run(command, timeout=_UNPACK_TIMEOUT, keep_open=self.keep_open)
            if unpacked.status != 0:
                raise ArchiveError(f"dpkg -x {file.name} {unpacked.account}")

    def _apt(self, *words: str, timeout: float = 60.0, folder: Path | None = None) -> processes.Outcome:
        # The rest of the machine's configuration stays in force: proxies live there.
        settings = {
            "Dir::Etc::sourcelist": self.work / "only.sources",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State": self.work / "state",
            "Dir::State::lists": self.work / "state" / "lists",
            "Dir::State::status": self.work / "status",
            "Dir::Cache": self.work / "cache",
            "Dir::Cache::archives": self.work / "cache" / "archives",
            # As root, apt would otherwise download as a user who cannot enter a private folder.
            "APT::Sandbox::User": "root",
        }
        command = ["apt-get", "-q"]
        for name, value in settings.items():
            command += ["-o", f"{name}={value}"]
        return processes.run(
            [*command, *words],
            timeout=timeout,
            environment={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
            folder=folder,
            keep_open=self.keep_open,
        )
