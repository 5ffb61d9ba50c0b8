"""Programs of Python started in milliseconds, by a process that has imported torch already.

``subprocess.run([*python(), "-m", "pyflossing"])`` gives what ``subprocess.run([sys.executable, "-m", "pyflossing"])``
gives: a small client passes its words, folder, environment and standard streams on to the server, which forks; the
child runs the program from its first line, and the client ends as the program did. Ctrl-C and other requests to end
are passed on, too. Only numpy and torch are there already: each program imports pyflossing, typer and rich by itself.

The client makes a real start where the environment differs in what is read as Python or torch begin
(``client.READ_AT_START``), where the words are options of Python, and where a standard stream is closed. Tests write
``sys.executable``, or ``real=True``, where the start itself, the modules that are loaded, the process's id, group or
limits, or its death is the subject: of ``train``, ``sweep``, ``figure`` and the report there are such starts, too.
``test_warm`` compares both ways, and with PYFLOSSING_REAL_STARTS=1 all starts are real, as they are where there is no
Linux.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shlex
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

_HERE = Path(__file__).parent
_BESIDE = Path(sys.executable).parent
_SHARED = "FAST_STARTS"
"""The variable with the folder of the server that pytest-xdist's workers share."""
REAL = os.environ.get("PYFLOSSING_REAL_STARTS") == "1" or not hasattr(os, "pidfd_open")


def python() -> tuple[str, ...]:
    """The words in place of ``sys.executable``."""
    return (sys.executable,) if REAL else (sys.executable, "-I", "-S", str(_HERE / "client.py"), str(_folder() / "s"))


def commands() -> Path:
    """A folder with the commands ``python`` and ``pyflossing`` that start so, to be put into PATH."""
    return _BESIDE if REAL else _folder()


def share() -> None:
    """Start a server for the processes that this one will start, too."""
    if not REAL:
        os.environ[_SHARED] = str(_folder())


@cache
def _folder() -> Path:
    """Of the server, which serves the process that started it until its end, and removes the folder."""
    if _SHARED in os.environ:
        return Path(os.environ[_SHARED])
    folder = Path(tempfile.mkdtemp(prefix="warm", dir="/tmp"))  # a short name, as sockets need
    ready, told = os.pipe()
    server = subprocess.Popen(
        [sys.executable, _HERE / "server.py", folder / "s", str(told)],
        stdin=subprocess.PIPE,  # it ends with the other end
        pass_fds=[told],
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        cwd="/",
    )
    os.close(told)
    assert os.read(ready, 1), "there are no warm starts"
    os.close(ready)
    atexit.register(_end, server)
    for name, script in (("python", ()), ("pyflossing", (_BESIDE / "pyflossing",))):
        words = shlex.join([sys.executable, "-I", "-S", str(_HERE / "client.py"), str(folder / "s"), *map(str, script)])
        (folder / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        (folder / name).chmod(0o755)
    return folder


def _end(server: subprocess.Popen[bytes]) -> None:
    server.stdin.close()  # type: ignore[union-attr]
    with contextlib.suppress(subprocess.TimeoutExpired):  # where a process of the tests still holds that end
        server.wait(5)
