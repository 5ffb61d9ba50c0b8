"""The code of documentation pages, for the tests that run it."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


class Block(NamedTuple):
    """A fenced block: its language ("python", "sh", "text") and its text."""

    language: str
    text: str


def blocks(page: Path, *languages: str) -> list[Block]:
    """The page's blocks of these languages, in order."""
    found = re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [Block(*block) for block in found if block[0] in languages]


def named(name: str) -> Any:
    """What a dotted name stands for: a module, or something in one."""
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        try:
            found = import_module(".".join(parts[:n]))
        except ModuleNotFoundError:
            continue
        for part in parts[n:]:
            found = getattr(found, part)
        return found
    raise AssertionError(f"there is no {name}")


def without_numbers(text: str) -> list[str]:
    """The lines of a text, every number a #: numbers depend on the machine."""
    return [re.sub(r"[-+]?\d[\d.]*", "#", line) for line in text.splitlines()]
