"""A connection to Julia in a child process; the live connections differ only in the command."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Mapping, Sequence

from parity.bridge import wire
from parity.bridge.child import Child
from parity.bridge.connection import Closing
from parity.bridge.errors import JuliaAnswerTooLong, JuliaConnectionError, JuliaCrashed, JuliaGarbled, JuliaTimeout
from parity.bridge.patience import FIRST_CALL, factor, seconds_for

# A dying process closes its pipes some time before it can be waited for; a closing Julia runs its exit hooks.
_CRASH_GRACE, _CLOSE_GRACE = 1.0, 1.0
#: The longest answer that is read: more than any call needs, less than brings a machine to its knees.
_LONGEST_ANSWER = 1 << 31
#: What no machine holds is not the length of an answer.
_NO_LENGTH = 1 << 44


class _TooLong(Exception):
    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class ProcessConnection(Closing):
    """Calls functions in a child process that answers in the format of `parity.bridge.wire`.

    One call at a time, whichever thread it comes from; a call's `timeout` counts from its turn, and without one the
    call has the time that its work deserves (`parity.bridge.patience`). A time-out, a crash, an answer that is none,
    or an exception such as KeyboardInterrupt in the middle of a call kills the child: there is no other way to stop
    Julia, and a half-read answer cannot be continued.
    """

    def __init__(self, kind: str, command: Sequence[str], environment: Mapping[str, str], start_timeout: float) -> None:
        self._lock = threading.RLock()
        self._gone: str | None = None
        self._factor = factor()
        self._called: set[str] = set()
        self._child = Child(command, environment)
        # Runs when the connection is collected or the interpreter exits.
        weakref.finalize(self, self._child.end, _CLOSE_GRACE)
        try:
            # The first answer shows that the start succeeded.
            request = wire.encode_request("bridge_provenance", ())
            answer = self._exchange("its start", request, start_timeout * self._factor)
            answer.result()
            facts = zip(answer.names, answer.values, strict=True)
            self._provenance = {"connection": kind} | {name: str(value) for name, value in facts}
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The process id of the child."""
        return self._child.pid

    @property
    def is_open(self) -> bool:
        """Whether calls can still be answered, as far as is known."""
        return self._gone is None

    def call(self, name: str, *args: wire.Argument, timeout: float | None = None) -> wire.Result:
        """Call the function `name` of the Julia module; see `JuliaConnection.call`."""
        patience = self._factor * (1.0 if name in self._called else FIRST_CALL)
        self._called.add(name)
        seconds = seconds_for(name, args) * patience if timeout is None else timeout
        return self._exchange(f"the call of {name}", wire.encode_request(name, args), seconds).result()

    def provenance(self) -> dict[str, str]:
        """What answers; see `JuliaConnection.provenance`."""
        return dict(self._provenance)

    def close(self) -> None:
        """End the child; a call that is going on in another thread fails."""
        if not self._lock.acquire(blocking=False):
            self._child.kill()
            self._lock.acquire()
        try:
            self._gone = self._gone or "it was closed"
            self._child.end(_CLOSE_GRACE)
        finally:
            self._lock.release()

    def _exchange(self, during: str, request: wire.Chunks, timeout: float) -> wire.Reply:
        with self._lock:
            if self._gone is not None:
                raise JuliaConnectionError(f"no connection to Julia any more: {self._gone}; open a new one")
            deadline = time.monotonic() + timeout
            try:
                if self._child.has_said_more():
                    raise wire.FormatError("bytes that follow the last answer")
                for chunk in (wire.LENGTH.pack(sum(map(len, request))), *request):
                    self._child.write(chunk, deadline)
                (size,) = wire.LENGTH.unpack(self._child.read(wire.LENGTH.size, deadline))
                if _LONGEST_ANSWER < size < _NO_LENGTH:
                    raise _TooLong(size)
                if size >= _NO_LENGTH:
                    raise wire.FormatError(f"a message of {size} bytes, and at most {_LONGEST_ANSWER} are allowed")
                return wire.decode_reply(self._child.read(size, deadline))
            except EOFError:
                self._end(f"Julia ended during {during}", _CRASH_GRACE)
                raise JuliaCrashed(self._child.how_it_ended(), during, self._child.last_output) from None
            except TimeoutError:
                self._end(f"{during} timed out", 0)
                raise JuliaTimeout(during, timeout, self._child.last_output) from None
            except _TooLong as error:
                self._end(f"the answer to {during} was too long", 0)
                raise JuliaAnswerTooLong(error.size, _LONGEST_ANSWER, during, self._child.last_output) from None
            except wire.FormatError as error:
                self._end(f"it gave no answer to {during}, but something else", 0)
                raise JuliaGarbled(str(error), during, self._child.last_output) from None
            except BaseException as error:
                self._end(f"{during} was interrupted by {type(error).__name__}", 0)
                raise

    def _end(self, reason: str, grace: float) -> None:
        self._gone = reason
        self._child.end(grace)
