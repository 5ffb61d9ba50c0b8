"""The mode of new files."""

from __future__ import annotations

import os
import threading

_READING = threading.Lock()


def new_file_mode() -> int:
    """What the user's umask leaves of read and write permission for everybody."""
    # The mask can only be read by setting it; until it is set back, files of other threads are more private.
    with _READING:
        mask = os.umask(0o077)
        os.umask(mask)
    return 0o666 & ~mask
