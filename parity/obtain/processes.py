"""Running a program so that nothing of it stays behind when it is stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from parity.guard import CANNOT_START, guarded

#: How long the output of a killed process group may take to arrive.
_GRACE = 5.0
#: How long a guard may take to kill everything.
_GUARD_GRACE = 1.0
_HEAD, _TAIL = 3, 5


@dataclass(frozen=True)
class Outcome:
    """How a program ended; ``status`` is None when it had to be stopped at the time-out."""

    status: int | None
    output: str
    errors: str
    timeout: float

    @property
    def ending(self) -> str:
        """How it ended, in words that complete "the program ..."."""
        if self.status is None:
            return f"gave no answer within {self.timeout:g} s and was stopped"
        # A launcher script reports the signal that ended its child as 128 + its number.
        number = -self.status if self.status < 0 else self.status - 128
        name = _signal_name(number)
        if name is not None:
            return f"crashed with signal {name}"
        return f"ended with exit status {self.status}"

    @property
    def excerpt(self) -> str:
        """The beginning and the end of what it wrote, the error output if there is any."""
        # Julia puts the message before the stack trace, Python and apt put it at the end.
        lines = (self.errors.strip() or self.output.strip()).splitlines()
        if len(lines) > _HEAD + _TAIL:
            lines = [*lines[:_HEAD], "...", *lines[-_TAIL:]]
        return "\n".join(lines)

    @property
    def account(self) -> str:
        """How it ended, and an excerpt of what it wrote."""
        return f"{self.ending}:\n{self.excerpt}" if self.excerpt else self.ending


def run(
    command: Sequence[str | os.PathLike[str]],
    *,
    timeout: float,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    keep_open: Sequence[int] = (),
) -> Outcome:
    """Run a command in a process group of its own and end the group at a time-out or interrupt.

    ``environment`` takes the place of the current one. ``keep_open`` lists file descriptors that the
    command inherits. An OSError says that the command could not be started.
    """
    return _run([os.fspath(word) for word in command], timeout, environment, folder, tuple(keep_open))


def run_guarded(command: Sequence[str], *, timeout: float, environment: Mapping[str, str]) -> Outcome:
    """The same under a guard: the command and its descendants also end when this process is killed."""
    theirs, ours = os.pipe()
    life = os.fdopen(ours, "wb")
    try:
        words, inner = guarded(command, environment, theirs)
        outcome = _run(words, timeout, inner, None, (theirs,), life.close)
    finally:
        os.close(theirs)
        life.close()
    if outcome.status is not None and outcome.errors.startswith(CANNOT_START):
        raise OSError(outcome.errors.strip().rpartition(": ")[2])
    return outcome


def _run(
    command: Sequence[str],
    timeout: float,
    environment: Mapping[str, str] | None,
    folder: Path | None,
    keep_open: tuple[int, ...],
    tell_guard: Callable[[], None] | None = None,
) -> Outcome:
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=folder,
        pass_fds=keep_open,
        start_new_session=True,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    with process:
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            _end_group(process, tell_guard)
            output, errors = _rest(process)
            return Outcome(None, output, errors, timeout)
        except BaseException:
            # The group does not receive the terminal's Ctrl-C: it is in a session of its own.
            _end_group(process, tell_guard)
            raise
    return Outcome(process.returncode, output, errors, timeout)


def _end_group(process: subprocess.Popen[str], tell_guard: Callable[[], None] | None) -> None:
    if tell_guard is not None:
        # It also finds those that have left the group.
        tell_guard()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GUARD_GRACE)
            return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _rest(process: subprocess.Popen[str]) -> tuple[str, str]:
    try:
        return process.communicate(timeout=_GRACE)
    except subprocess.TimeoutExpired:
        # A descendant that left the group still holds the pipes; what it writes does not matter.
        return "", ""


def _signal_name(number: int) -> str | None:
    try:
        return signal.Signals(number).name
    except ValueError:
        return None
