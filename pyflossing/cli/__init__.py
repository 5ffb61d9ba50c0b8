"""The command ``pyflossing`` (extra ``cli``). Each command is a module; torch is loaded when one needs it."""

from __future__ import annotations

import io
import sys


def main() -> None:
    """Run the command line; ends the process with the exit codes of ``pyflossing.cli.errors``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # neither None nor a test's
            stream.reconfigure(errors="backslashreplace")  # a folder's name may not be in the terminal's encoding
    try:
        import rich  # noqa: F401, PLC0415
        import typer  # noqa: F401, PLC0415
    except ImportError as error:
        sys.stderr.write(f"pyflossing: the command line needs more: pip install 'pyflossing[cli]' ({error})\n")
        sys.exit(2)
    try:
        from pyflossing.cli.app import app  # noqa: PLC0415

        app()
    except KeyboardInterrupt:  # before a command has begun
        sys.exit(130)
    except Exception as error:  # nor has one begun here
        from pyflossing.cli.errors import tell  # noqa: PLC0415

        sys.exit(tell(error, debug="--debug" in sys.argv))
