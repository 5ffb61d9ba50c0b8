"""What a Julia that we start sees of the user's environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

# Where packages lie and how they are reached; everything else steers a Julia that the user starts by hand.
_KEPT = ("JULIA_DEPOT_PATH", "JULIA_PKG_", "JULIA_SSL_", "JULIA_SSH_", "JULIA_NO_VERIFY_HOSTS")
LIBRARIES = "LD_LIBRARY_PATH"


def for_julia(additions: Mapping[str, str] | None = None) -> dict[str, str]:
    """The current environment without the settings of another Julia (JULIA_BINDIR, JULIA_LOAD_PATH, ...).

    `additions` are complete values that replace the present ones; an empty one removes the variable.
    """
    kept = {name: value for name, value in os.environ.items() if not _steers_julia(name)}
    both = {**kept, **(additions or {})}
    return {name: value for name, value in both.items() if value or name not in (additions or {})}


def without_libraries() -> dict[str, str]:
    """The addition that removes LD_LIBRARY_PATH: libraries for one Julia would be loaded in the place of another's."""
    return {LIBRARIES: ""} if LIBRARIES in os.environ else {}


def _steers_julia(name: str) -> bool:
    return name.startswith("JULIA_") and not name.startswith(_KEPT)
