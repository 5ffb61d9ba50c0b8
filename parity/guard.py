"""Runs a command of which nothing outlives the process that asked for it.

As a program (`python guard.py LIFE_FD COMMAND ARGUMENT...`) it starts the command and waits. When the other end of the
pipe LIFE_FD is closed, on purpose or because its holder was killed, the command and all that descends from it are
killed. A command that ends by itself takes its descendants along, and the guard then ends as the command did: with the
same exit status, or by the same signal. It works from the first moment of a start, whatever the command is.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
from collections.abc import Mapping, Sequence

_PR_SET_CHILD_SUBREAPER = 36
_CANNOT_START = 127
_LIBRARIES, _KEPT_LIBRARIES = "LD_LIBRARY_PATH", "PARITY_GUARD_LD_LIBRARY_PATH"
#: What the guard writes to standard error before it ends with the status 127.
CANNOT_START = "parity guard: cannot start"


def guarded(command: Sequence[str], environment: Mapping[str, str], life: int) -> tuple[list[str], dict[str, str]]:
    """The command line and the environment that run `command` under a guard, which inherits the descriptor `life`."""
    inner = dict(environment)
    # The libraries of a Julia are not for the Python that runs the guard.
    libraries = inner.pop(_LIBRARIES, None)
    if libraries is not None:
        inner[_KEPT_LIBRARIES] = libraries
    if _LIBRARIES in os.environ:
        inner[_LIBRARIES] = os.environ[_LIBRARIES]
    return [sys.executable, "-I", "-S", os.path.abspath(__file__), str(life), *command], inner  # noqa: PTH100


def main(life: int, command: Sequence[str]) -> None:
    """Run the command to its end or to that of the pipe's holder; does not return."""
    _adopt_orphans()
    child = os.fork()
    if child == 0:
        os.close(life)
        _become(command)
    # Else the pipes of the command would seem alive after its death.
    os.closerange(3, life)
    os.closerange(life + 1, 65536)
    awake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker)
    poll = select.poll()
    poll.register(life, select.POLLIN)
    poll.register(awake, select.POLLIN)
    while True:
        # Whatever has ended is collected, adopted orphans too.
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == child:
                    _kill_descendants()
                    _end_as(ended[1])
        if any(descriptor == life for descriptor, _ in poll.poll()):
            _kill_descendants()
            os.killpg(0, signal.SIGKILL)
        os.read(awake, 4096)


def _adopt_orphans() -> None:
    """Linux: a descendant whose parent has ended becomes a child of ours, also in another group or session."""
    if sys.platform == "linux":
        with contextlib.suppress(ImportError, OSError, AttributeError):
            import ctypes  # noqa: PLC0415

            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _become(command: Sequence[str]) -> None:
    environment = dict(os.environ)
    environment.pop(_LIBRARIES, None)
    libraries = environment.pop(_KEPT_LIBRARIES, None)
    if libraries is not None:
        environment[_LIBRARIES] = libraries
    try:
        os.execvpe(command[0], list(command), environment)
    except OSError as error:
        os.write(2, f"{CANNOT_START} {command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(_CANNOT_START)


def _kill_descendants() -> None:
    # The children of what is killed become ours, hence the repetition.
    while children := _children():
        for child in children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
        for child in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)


def _children() -> list[int]:
    me = os.getpid()
    try:
        with open(f"/proc/{me}/task/{me}/children", encoding="ascii") as file:  # noqa: PTH123
            return [int(word) for word in file.read().split()]
    except OSError:  # no Linux: the group is all that is known
        return []


def _end_as(status: int) -> None:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        with contextlib.suppress(ImportError, OSError, ValueError):
            import resource  # noqa: PLC0415

            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the command has dumped its own
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        os._exit(128 + number)
    os._exit(os.WEXITSTATUS(status))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
