"""Choosing the sources that mirror Debian, and pointing a copy of them at the release with Julia."""

from __future__ import annotations

from collections.abc import Iterable

from parity.obtain.apt_sources import Source

#: The newest Debian release that holds Julia.
RELEASE = "bullseye"

_CODENAMES = frozenset({"buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid"})
_ALIASES = frozenset({"oldoldstable", "oldstable", "stable", "testing", "unstable"})
# What says how to reach and trust the mirror; everything else speaks of the suite that is left behind.
_KEPT_OPTIONS = (
    "signed-by",
    "trusted",
    "architectures",
    "check-valid-until",
    "check-date",
    "allow-insecure",
    "allow-weak",
    "by-hash",
)


def release_stanzas(sources: Iterable[Source]) -> list[str]:
    """Write a deb822 stanza for the release with Julia for each likely mirror, likeliest first."""
    ranked: dict[str, int] = {}
    for source in sources:
        if "main" in source.components and _names_debian(source.suites):
            for uri in source.uris:
                if not uri.startswith("cdrom:"):
                    ranked.setdefault(_stanza(uri, source), _likelihood(uri, source))
    # Vendors also use Debian's release names and "main"; sorting is stable, so the order of files stays.
    return sorted(ranked, key=lambda stanza: -ranked[stanza])


def _names_debian(suites: Iterable[str]) -> bool:
    return any(suite.rstrip("/") in _CODENAMES | _ALIASES for suite in suites)


def _likelihood(uri: str, source: Source) -> int:
    signed_by_debian = "debian-archive" in source.options.get("signed-by", "")
    return 2 * signed_by_debian + (uri.rstrip("/").rpartition("/")[2] == "debian")


def _stanza(uri: str, source: Source) -> str:
    lines = ["Types: deb", f"URIs: {uri}", f"Suites: {RELEASE}", "Components: main"]
    lines += [f"{name.title()}: {source.options[name]}" for name in _KEPT_OPTIONS if name in source.options]
    return "\n".join(lines) + "\n"
