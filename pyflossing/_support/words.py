"""Values and foreign text as they stand in messages: short, on one line, without control characters."""

from __future__ import annotations

import re
import reprlib
from typing import Any

LONGEST = 100
"""Characters of a value that a message shows at most."""

_MOST_BITS = 300  # 91 digits; Python refuses to print an integer of 4300


class _Short(reprlib.Repr):
    """``repr`` that takes no longer for a large value than for a small one."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother = 4, 2 * LONGEST, 2 * LONGEST
        self.maxtuple = self.maxlist = self.maxdict = self.maxset = self.maxfrozenset = self.maxarray = 20

    def repr_int(self, x: int, level: int) -> str:
        if x.bit_length() > _MOST_BITS:
            return f"an integer of {x.bit_length()} bits"
        return repr(x)

    def repr_bytes(self, x: bytes, level: int) -> str:
        return repr(x[: self.maxstring])

    repr_bytearray = repr_bytes


_SHORT = _Short()


def shown(value: Any) -> str:
    """``repr(value)``, or as much of it as fits 100 characters, on one line."""
    try:
        text = _SHORT.repr(value)
    except Exception:  # a class of the caller's may do anything in its __repr__
        text = f"<{type(value).__name__}>"
    return shortened(text)


def shortened(text: str) -> str:
    """As much of a text as fits 100 characters, on one line."""
    # whatever comes out has no more characters than went in, but for those that are escaped
    line = plain(re.sub(r"\s*\n\s*", " ", text[: 2 * LONGEST].strip()))
    return line if len(line) <= LONGEST and len(text) <= 2 * LONGEST else line[: LONGEST - 3] + "..."


def plain(text: str, keep: str = "") -> str:
    """The text with everything that a terminal would not print, but obey or hide, as escapes: "\\x1b" and the like."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text)
