"""What a command's errors become: one line on stderr and an exit code; a traceback only where it is asked for."""

from __future__ import annotations

import inspect
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from pyflossing._support.errors import DamagedFileError, NonFiniteError
from pyflossing._support.words import plain

FAILED, WRONG, IN_USE, BUG, INTERRUPTED, PIPE_CLOSED = 1, 2, 3, 4, 130, 141

_EXTRAS = {
    "matplotlib": "pictures need matplotlib: pip install 'pyflossing[plot]'",
    "joblib": "several processes need joblib: pip install 'pyflossing[sweep]'; --jobs 1 does not",
    "distributed": "a scheduler needs Dask distributed: pip install 'pyflossing[cluster]'",
}
"""What to say when a package is missing."""
_Debug = Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")]


class Refused(Exception):
    """A command ends with a message, which may have lines, and an exit code."""

    def __init__(self, message: str, code: int = WRONG) -> None:
        super().__init__(message)
        self.code = code


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """The command with its errors told in one line, and with an option ``--debug``."""

    @wraps(command)
    def run(*args: Any, debug: bool = False, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
            if sys.stdout is not None:
                sys.stdout.flush()
        except (typer.Exit, typer.Abort, typer.BadParameter):  # how a command ends
            raise
        except BrokenPipeError:
            forget_stdout()
            raise typer.Exit(PIPE_CLOSED) from None
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one would break into the end of the process
            complain("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            raise typer.Exit(tell(error, debug=debug)) from None

    given = inspect.signature(command, eval_str=True)
    option = inspect.Parameter("debug", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=_Debug)
    run.__signature__ = given.replace(parameters=[*given.parameters.values(), option])  # type: ignore[attr-defined]
    return run


def tell(error: Exception, *, debug: bool) -> int:
    """Write an error to stderr, where it is asked for after its traceback; its exit code."""
    if debug and sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(plain("".join(traceback.format_exception(error)), keep="\n"))
    message, code = _told(error)
    complain(message)
    return code


def complain(message: str) -> None:
    """Write a message to stderr; where that is a terminal that is gone, nobody reads it."""
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(f"pyflossing: {plain(message, keep=chr(10))}\n")
            sys.stderr.flush()


def forget_stdout() -> None:
    """Nobody reads stdout any more: let nothing else, Python's own flush at the end included, fail on it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def require_file(path: Path, what: str) -> Path:
    """The path of an existing regular file.

    Raises:
        Refused: there is none, or it is a folder, a pipe or a device.
    """
    if path.is_dir():
        raise Refused(f"{path} is a folder; {what} is wanted")
    if not path.exists():
        raise Refused(f"there is no file {path}")
    if not path.is_file():
        raise Refused(f"{path} is not a regular file; {what} is wanted")
    return path


def _told(error: Exception) -> tuple[str, int]:  # noqa: PLR0911 - a table
    """What a user reads of an error, and the exit code."""
    if isinstance(error, Refused):
        return str(error), error.code
    said = " ".join(str(error).split())
    if isinstance(error, NonFiniteError | DamagedFileError):
        return said, FAILED
    if isinstance(error, ValueError):
        return said, WRONG
    if isinstance(error, ImportError) and error.name in _EXTRAS:
        return _EXTRAS[error.name], WRONG
    if isinstance(error, ImportError):
        return f"the installation is incomplete: {said}", WRONG
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.strerror and error.filename is not None else ""
        return place + (error.strerror or said), FAILED
    # torch's own words, of the machine and of a GPU
    if isinstance(error, MemoryError) or "can't allocate memory" in said or "CUDA out of memory" in said:
        return (
            "not enough free memory: use smaller settings, or fewer processes (--jobs)",
            FAILED,
        )
    kind = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return f"unexpected error, probably a bug ({kind}); --debug shows where it comes from", BUG
