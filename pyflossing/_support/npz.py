"""Reading npz files that may be damaged, or none."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyflossing._support.errors import DamagedFileError

DAMAGE = (
    ValueError,
    TypeError,
    OSError,
    EOFError,
    KeyError,
    IndexError,
    AttributeError,
    NotImplementedError,  # a damaged byte can ask zipfile for a compression that it does not know
    RuntimeError,  # or for a password
    MemoryError,  # or numpy for an array that no memory holds
    OverflowError,
    zipfile.BadZipFile,
    zipfile.zlib.error,  # type: ignore[attr-defined]
)
"""What zipfile and numpy raise when they read damaged bytes."""


def read_npz(path: str | Path, what: str) -> dict[str, npt.NDArray[Any]]:
    """All arrays of an npz file; nothing is unpickled.

    Args:
        path: the file.
        what: "result" or the like, for the message.

    Raises:
        OSError: there is no such file, or it cannot be read.
        DamagedFileError: a ValueError: it is no npz, or damaged.
    """
    content = Path(path).read_bytes()
    if not content.startswith(b"PK"):  # numpy would offer to unpickle it
        raise DamagedFileError(f"{path} is not a {what} of pyflossing, or it is damaged (no npz file)")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except DAMAGE as error:
        raise DamagedFileError(f"{path} is not a {what} of pyflossing, or it is damaged ({error})") from error
