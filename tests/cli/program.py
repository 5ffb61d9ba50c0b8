"""The program in a process of its own, with and without a terminal; ``real`` ones begin as a user's (see ``warm``)."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import shlex
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

from warm import python

QUICK = """
n_units = 5
n_epochs = {epochs}
[network]
kind = "tanh"
[task]
kind = "delayed_xor"
delay = 1
[trials]
batch_size = 2
n_steps = 6
[flossing]
n_exponents = 3
n_steps = 14
trial_steps = 16
[flossing.schedule]
kind = "periodic"
before = 4
episode = 3
period = 2
n_episodes = 2
"""


def quick(path: Path, epochs: int = 6) -> Path:
    """A file with the settings of a run of milliseconds."""
    path.write_text(QUICK.format(epochs=epochs))
    return path


def environment(**changes: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    return plain | {"TERM": "xterm", "OMP_NUM_THREADS": "1"} | changes


def _command(real: bool, *arguments: object) -> list[str]:
    return [*([sys.executable] if real else python()), "-m", "pyflossing", *map(str, arguments)]


def typed(line: str) -> str:
    """For a shell: a line that begins with ``pyflossing``, which is on no PATH of the tests'."""
    return line.replace("pyflossing", shlex.join(_command(False)), 1)


def start(*arguments: object, cwd: Path, real: bool = False, **options: object) -> subprocess.Popen[str]:
    """The program, without a terminal."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment()}
    return subprocess.Popen(_command(real, *arguments), cwd=cwd, text=True, **(pipes | options))  # type: ignore[call-overload]


def call(*arguments: object, cwd: Path, **options: object) -> tuple[int, str, str]:
    """Exit code, output and errors of the program."""
    process = start(*arguments, cwd=cwd, **options)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def wait_for(condition, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "what was waited for did not come"
        time.sleep(0.005)


def on_terminal(
    *arguments: object, cwd: Path, real: bool = False, columns: int = 80, after=None, **changes: str
) -> tuple[int, str]:
    """Exit code, and all that the program wrote to a terminal so wide; ``after(process)`` runs beside it."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, columns)) if hasattr(termios, "tcsetwinsize") else _set_size(slave, columns)
    process = subprocess.Popen(
        _command(real, *arguments),
        cwd=cwd,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment(**changes),
        start_new_session=True,
    )
    os.close(slave)
    if after is not None:
        after(process)
    pieces = []
    with contextlib.suppress(OSError):  # the terminal is gone with its last user
        while select.select([master], [], [], 60)[0]:
            piece = os.read(master, 65536)
            if not piece:
                break
            pieces.append(piece)
    os.close(master)
    return process.wait(timeout=60), b"".join(pieces).decode()


def _set_size(descriptor: int, columns: int) -> None:
    import fcntl

    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
