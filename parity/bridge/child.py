"""A child process with a request and a response pipe, of which nothing is left behind when it ends."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import BinaryIO

from parity.bridge.errors import JuliaConnectionError
from parity.guard import guarded

_TAIL_BYTES, _TAIL_LINES = 16_000, 80  # the trace of a crash has fifty lines
#: How often a wait for data looks whether the child is still there.
_LONGEST_POLL = 0.2
#: How long the guard may take to kill and collect everything.
_GUARD_GRACE = 1.0
#: Memory is taken as the data arrive, not as the message announces.
_PIECE = 1 << 24


class Child:
    """Runs `command`, with the numbers of its two pipe ends appended, under a guard in a process group of its own.

    The guard (`parity.guard`) kills it and its descendants when this process ends in whatever way. What the command
    prints goes to an unnamed file, so that it can neither disturb the answers nor block on a full pipe. `read` and
    `write` raise EOFError when the child is gone and TimeoutError when `deadline` (a time of the monotonic clock)
    has passed.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.last_output = ""
        self._owner = os.getpid()
        self._exit_code: int | None = None
        self._output: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 (closed by end)
        theirs_in, self._request = os.pipe()
        self._response, theirs_out = os.pipe()
        theirs_life, self._life = os.pipe()
        theirs = (theirs_in, theirs_out, theirs_life)
        try:
            os.set_blocking(self._request, False)
            os.set_blocking(self._response, False)
            words = [*command, str(theirs_in), str(theirs_out)]
            words, environment = guarded(words, environment, theirs_life)
            self._process = subprocess.Popen(
                words,
                env=environment,
                pass_fds=theirs,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                start_new_session=True,
            )
        except BaseException as error:
            self._close_files()
            if isinstance(error, OSError):
                raise JuliaConnectionError(f"cannot start {command[0]}: {error}") from error
            raise
        finally:
            # Once the child holds the only other ends, its death is an end of file here.
            for end in theirs:
                os.close(end)

    @property
    def pid(self) -> int:
        """The process id of the guard, which is also the id of the process group."""
        return self._process.pid

    def write(self, data: bytes | memoryview, deadline: float | None) -> None:
        """Write all of `data`."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._request, rest) :]
            except BlockingIOError:
                if self._has_ended():
                    raise EOFError from None
                _wait(self._request, select.POLLOUT, deadline)
            except BrokenPipeError:
                raise EOFError from None

    def read(self, size: int, deadline: float | None) -> bytearray:
        """Read exactly `size` bytes."""
        data = bytearray()
        while len(data) < size:
            start = len(data)
            data.extend(bytes(min(size - start, _PIECE)))
            with memoryview(data) as whole:
                self._fill(whole[start:], deadline)
        return data

    def has_said_more(self) -> bool:
        """Whether bytes have arrived that nobody has asked for."""
        poll = select.poll()
        poll.register(self._response, select.POLLIN)
        return any(event & select.POLLIN for _, event in poll.poll(0))

    def _fill(self, rest: memoryview, deadline: float | None) -> None:
        while rest:
            # Asked first: what a process wrote before it ended can still be read.
            ended = self._has_ended()
            try:
                count = os.readv(self._response, [rest])
            except BlockingIOError:
                if ended:  # though a descendant may still hold the pipe
                    raise EOFError from None
                _wait(self._response, select.POLLIN, deadline)
                continue
            if count == 0:
                raise EOFError
            rest = rest[count:]

    def end(self, grace: float) -> None:
        """Close the request pipe, wait `grace` seconds for the child to end, kill what is left, clean up."""
        if self._output.closed:
            return
        if os.getpid() != self._owner:  # a forked copy of the parent must leave the parent's Julia alone
            self._close_files()
            return
        if self._request >= 0:
            os.close(self._request)
            self._request = -1
        self._await_exit(time.monotonic() + grace)
        os.close(self._life)
        self._life = -1
        self._await_exit(time.monotonic() + _GUARD_GRACE)
        self.kill()
        self._exit_code = self._process.wait()
        self.last_output = self._tail()
        self._close_files()

    def kill(self) -> None:
        """Make the whole group die; safe while another thread waits for an answer, which then fails."""
        # The group id cannot have passed to a stranger as long as nobody has waited for the leader.
        if self._exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def how_it_ended(self) -> str:
        """The exit code, or the name of the signal that ended the child."""
        code = self._exit_code or 0
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name

    def _has_ended(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None

    def _await_exit(self, deadline: float) -> None:
        while not self._has_ended() and time.monotonic() < deadline:
            time.sleep(0.005)

    def _tail(self) -> str:
        # The file offset is shared with whatever still writes, hence pread.
        start = max(0, os.fstat(self._output.fileno()).st_size - _TAIL_BYTES)
        text = os.pread(self._output.fileno(), _TAIL_BYTES, start).decode(errors="replace")
        return "\n".join(text.strip().splitlines()[-_TAIL_LINES:])

    def _close_files(self) -> None:
        for end in (self._request, self._response, self._life):
            if end >= 0:
                os.close(end)
        self._request = self._response = self._life = -1
        self._output.close()


def _wait(fd: int, event: int, deadline: float | None) -> None:
    """Wait for the event for a moment; TimeoutError if the deadline has passed."""
    remaining = _LONGEST_POLL if deadline is None else min(deadline - time.monotonic(), _LONGEST_POLL)
    if remaining <= 0:
        raise TimeoutError
    poll = select.poll()
    poll.register(fd, event)
    # Rounded up, so that the last wait is not a busy one.
    poll.poll(int(remaining * 1000) + 1)
