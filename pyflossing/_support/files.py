"""Reading files that may be anything, and writing files so that a reader never meets half of one."""

from __future__ import annotations

import codecs
import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pyflossing._support.arguments import require_path
from pyflossing._support.umask import new_file_mode
from pyflossing._support.words import plain

TEMPORARY = ".pyflossing"
"""The end of temporary files' names, by which they are known as ours."""
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def write_atomically(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write to a temporary file in the same folder, flush it to disk, then rename it over ``path``.

    Args:
        path: the file.
        content: all of it.
        durable: whether it must outlive a loss of power, for which the disk is waited for.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=TEMPORARY, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        Path(name).chmod(new_file_mode())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise


@contextmanager
def opened(path: str | Path) -> Iterator[BinaryIO]:
    """A regular file, open for reading; pipes and devices, which may have no end or never begin, are refused.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: it is no regular file.
    """
    # without O_NONBLOCK a pipe would be waited for until somebody writes into it
    descriptor = os.open(require_path("path", path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError(f"{plain(str(path))} is not a regular file")
        yield stream


def read_text(path: str | Path, most: int) -> str:
    """A text file in UTF-8, or in UTF-16 with a byte-order mark, as PowerShell writes it.

    Args:
        path: the file.
        most: bytes that it may have.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: it is no regular file, too large, or no text.
    """
    with opened(path) as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{plain(str(path))} is too large: it has more than {most} bytes")
    try:
        return content.decode("utf-16" if content.startswith(_UTF16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        said = f"neither text in UTF-8 nor in UTF-16 with a byte-order mark (byte {error.start} is invalid)"
        raise ValueError(f"{plain(str(path))} is {said}") from None
