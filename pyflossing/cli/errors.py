"""What a command's errors become: one line on stderr and an exit code, no traceback for what a user can cause."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import typer

from pyflossing._support.errors import DamagedFileError, NonFiniteError

FAILED, WRONG, IN_USE, INTERRUPTED, PIPE_CLOSED = 1, 2, 3, 130, 141

_P = ParamSpec("_P")

_EXTRAS = {
    "matplotlib": "pictures need matplotlib: pip install 'pyflossing[plot]'",
    "joblib": "several processes need joblib: pip install 'pyflossing[sweep]'; --jobs 1 does not",
    "distributed": "a scheduler needs Dask distributed: pip install 'pyflossing[cluster]'",
}
"""What to say when a package is missing."""


class Refused(Exception):
    """A command ends with a message and an exit code."""

    def __init__(self, message: str, code: int = WRONG) -> None:
        super().__init__(message)
        self.code = code


def guarded(command: Callable[_P, None]) -> Callable[_P, None]:
    """The command with its errors told in one line."""

    @wraps(command)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            command(*args, **kwargs)
            if sys.stdout is not None:
                sys.stdout.flush()
        except BrokenPipeError:
            forget_stdout()
            raise typer.Exit(PIPE_CLOSED) from None
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one would break into the end of the process
            complain("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except (Refused, ArithmeticError, ValueError, TypeError, ImportError, OSError) as error:
            code = _code(error)
            if code is None:
                raise
            complain(_message(error))
            raise typer.Exit(code) from None

    return run


def complain(message: str) -> None:
    """Write a line to stderr; where that is a terminal that is gone, nobody reads it."""
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(f"pyflossing: {message}\n")
            sys.stderr.flush()


def forget_stdout() -> None:
    """Nobody reads stdout any more: let nothing else, Python's own flush at the end included, fail on it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def require_file(path: Path, what: str) -> Path:
    """The path of an existing file.

    Raises:
        Refused: there is none, or it is a folder.
    """
    if path.is_dir():
        raise Refused(f"{path} is a folder; {what} is wanted")
    if not path.exists():
        raise Refused(f"there is no file {path}")
    return path


def _code(error: Exception) -> int | None:
    """The exit code; None for what only a bug can cause, which keeps its traceback."""
    if isinstance(error, Refused):
        return error.code
    if isinstance(error, NonFiniteError | DamagedFileError):
        return FAILED
    if isinstance(error, ValueError):
        return WRONG
    if isinstance(error, ImportError):
        return WRONG if error.name in _EXTRAS else None
    return FAILED if isinstance(error, OSError) else None


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename is not None else ""
        return f"{place}{error.strerror}"
    if isinstance(error, ImportError):
        return _EXTRAS[error.name or ""]
    return str(error)
