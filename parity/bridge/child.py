"""A child process with a request and a response pipe, of which nothing is left behind when it ends."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from typing import BinaryIO

from parity.bridge.errors import JuliaConnectionError

_TAIL_BYTES, _TAIL_LINES = 16_000, 80  # the trace of a crash has fifty lines
_LONGEST_POLL = 3600.0


class Child:
    """Runs `command`, with the numbers of its two pipe ends appended, in a process group of its own.

    What it prints goes to an unnamed file, so that it can neither disturb the answers nor block on a full
    pipe. `read` and `write` raise EOFError when the child is gone and TimeoutError when `deadline` (a time of
    the monotonic clock) has passed.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        # Linux kills "when the parent dies" as soon as the *thread* that started the child ends, so only the
        # main thread, which lives as long as the process, may ask for it.
        in_main_thread = threading.current_thread() is threading.main_thread()
        environment = {**environment, "PARITY_BRIDGE_DIE_WITH_PARENT": "1" if in_main_thread else "0"}
        self.last_output = ""
        self._owner = os.getpid()
        self._exit_code: int | None = None
        self._output: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 (closed by end)
        theirs_in, self._request = os.pipe()
        self._response, theirs_out = os.pipe()
        try:
            os.set_blocking(self._request, False)
            os.set_blocking(self._response, False)
            self._process = subprocess.Popen(
                [*command, str(theirs_in), str(theirs_out)],
                env=environment,
                pass_fds=(theirs_in, theirs_out),
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
            os.close(theirs_in)
            os.close(theirs_out)

    @property
    def pid(self) -> int:
        """The process id, which is also the id of the process group."""
        return self._process.pid

    def write(self, data: bytes | memoryview, deadline: float | None) -> None:
        """Write all of `data`."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._request, rest) :]
            except BlockingIOError:
                _wait(self._request, select.POLLOUT, deadline)
            except BrokenPipeError:
                raise EOFError from None

    def read(self, size: int, deadline: float | None) -> bytearray:
        """Read exactly `size` bytes."""
        data = bytearray(size)
        rest = memoryview(data)
        while rest:
            try:
                count = os.readv(self._response, [rest])
            except BlockingIOError:
                _wait(self._response, select.POLLIN, deadline)
                continue
            if count == 0:
                raise EOFError
            rest = rest[count:]
        return data

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

    def _await_exit(self, deadline: float) -> None:
        while os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            if time.monotonic() >= deadline:
                return
            time.sleep(0.005)

    def _tail(self) -> str:
        # The file offset is shared with whatever still writes, hence pread.
        start = max(0, os.fstat(self._output.fileno()).st_size - _TAIL_BYTES)
        text = os.pread(self._output.fileno(), _TAIL_BYTES, start).decode(errors="replace")
        return "\n".join(text.strip().splitlines()[-_TAIL_LINES:])

    def _close_files(self) -> None:
        for end in (self._request, self._response):
            if end >= 0:
                os.close(end)
        self._request = self._response = -1
        self._output.close()


def _wait(fd: int, event: int, deadline: float | None) -> None:
    remaining = _LONGEST_POLL if deadline is None else min(deadline - time.monotonic(), _LONGEST_POLL)
    if remaining <= 0:
        raise TimeoutError
    poll = select.poll()
    poll.register(fd, event)
    # Rounded up, so that the last wait is not a busy one.
    poll.poll(int(remaining * 1000) + 1)
