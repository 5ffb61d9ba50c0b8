"""Reading TOML that may be anything."""

from __future__ import annotations

import re
import sys
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MOST_BYTES = 2**20
"""Of a TOML file."""
_MOST_PARTS = 32
# a string or a comment, so that what it holds is not taken for a key
_OTHER = re.compile(
    r'"""(?:[^\\]|\\.)*?(?:"""|\Z)|' + r"'''.*?(?:'''|\Z)|" + r'"(?:[^"\\\n]|\\.)*"?|' + r"'[^'\n]*'?|#[^\n]*",
    re.DOTALL,
)
_DOTTED = re.compile(r"[\w. \t-]+")


def toml_tables(text: str) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises:
        ValueError: it is no TOML, or nested too deep.
    """
    # the time that the parser takes for a key grows with the square of its parts
    for found in _DOTTED.finditer(_OTHER.sub("s", text)):
        if found.group().count(".") > _MOST_PARTS:
            raise ValueError(f"this is not TOML of ours: a key has more than {_MOST_PARTS} parts")
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except RecursionError:
        raise ValueError("this is not TOML of ours: it is nested too deep") from None
    except ValueError as error:  # besides its own kind, numbers with too many digits and days that no month has
        raise ValueError(f"this is not TOML: {error}") from error
