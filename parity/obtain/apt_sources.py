"""Reading the package sources that apt uses, in both of their formats."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_ONE_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s*)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<components>.*)$")
_FALSE = frozenset({"no", "false", "without", "off", "disable", "0"})
# apt passes over other names, such as those that editors leave behind.
_PART_NAME = re.compile(r"^[\w.-]+\.(list|sources)$", re.ASCII)


@dataclass(frozen=True)
class Source:
    """An enabled source of binary packages; option names are those of the deb822 format, lower case."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    options: Mapping[str, str]


def read_sources(apt_folder: Path) -> list[Source]:
    """Read sources.list and the parts in sources.list.d; what cannot be read is left out."""
    found: list[Source] = []
    parts = apt_folder / "sources.list.d"
    try:
        names = sorted(path for path in parts.iterdir() if _PART_NAME.match(path.name))
    except OSError:
        names = []
    for path in [apt_folder / "sources.list", *names]:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        found.extend(parse_deb822(text) if path.suffix == ".sources" else parse_one_line(text))
    return found


def parse_one_line(text: str) -> list[Source]:
    """Parse the ``deb [options] uri suite components`` format."""
    found = []
    for line in text.splitlines():
        match = _ONE_LINE.match(line.partition("#")[0].strip())
        if match is None:
            continue
        options = dict(_one_line_options(match["options"] or ""))
        components = tuple(match["components"].split())
        found.append(Source((match["uri"],), (match["suite"],), components, options))
    return found


def _one_line_options(text: str) -> Iterator[tuple[str, str]]:
    # The two formats name one option differently.
    names = {"arch": "architectures"}
    for word in text.split():
        name, equals, value = word.partition("=")
        if equals:
            yield names.get(name.lower(), name.lower()), value.strip('"').replace(",", " ")


def parse_deb822(text: str) -> list[Source]:
    """Parse the format of .sources files: stanzas of fields."""
    found = []
    for fields in _stanzas(text.splitlines()):
        words = {name: tuple(value.split()) for name, value in fields.items()}
        disabled = fields.get("enabled", "yes").strip().lower() in _FALSE
        if disabled or "deb" not in words.get("types", ()):
            continue
        uris, suites = words.get("uris", ()), words.get("suites", ())
        if uris and suites:
            known = {"types", "uris", "suites", "components", "enabled"}
            options = {name: value for name, value in fields.items() if name not in known}
            found.append(Source(uris, suites, words.get("components", ()), options))
    return found


def _stanzas(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    name = ""
    for line in lines:
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield fields
            fields, name = {}, ""
        elif line[0] in " \t":
            # Kept as it is: the value may be a key block, where line ends matter.
            if name:
                fields[name] += "\n" + line
        else:
            name, colon, value = line.partition(":")
            name = name.strip().lower() if colon else ""
            if name:
                fields[name] = value.strip()
    if fields:
        yield fields
