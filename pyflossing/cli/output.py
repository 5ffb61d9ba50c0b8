"""Writing to standard output: lines as they are, whatever the terminal's width, and JSON documents."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from pyflossing._support.json import standard_json
from pyflossing._support.words import plain


def write_line(text: str = "") -> None:
    """Write a line, or several, at once; what a terminal would obey instead of printing it is escaped."""
    if sys.stdout is not None:
        sys.stdout.write(plain(text, keep="\n") + "\n")
        sys.stdout.flush()


def write_json(document: Mapping[str, Any]) -> None:
    """Write one JSON document; see ``standard_json``."""
    write_line(standard_json(document))


def write_table(rows: Mapping[str, str]) -> None:
    """Write names and values in two columns."""
    width = max(map(len, rows), default=0)
    for name, value in rows.items():
        write_line(f"{name:{width}}  {value}".rstrip())


def on_terminal() -> bool:
    """Whether standard output is a terminal, on which a line can be rewritten."""
    return sys.stdout is not None and sys.stdout.isatty()
