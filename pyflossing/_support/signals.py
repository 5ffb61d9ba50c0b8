"""Ctrl-C and its kin: the first asks a run to stop after its update, a Ctrl-C after it interrupts at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Asked by a run after every update; true once a signal has come.

    Attributes:
        signal: its number, None before it.
    """

    def __init__(self) -> None:
        self.signal: int | None = None

    def __call__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """128 and the signal's number, as shells have it."""
        return 128 + (self.signal or 0)

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self.signal is None:
            self.signal = number
        elif number == signal.SIGINT:  # a terminal that closes may send several SIGHUP
            raise KeyboardInterrupt


@contextmanager
def stop_on_signals(*, ends_process: bool = False) -> Iterator[Stop]:
    """Within it, signals set the Stop; what the parent had ignored (nohup, a background job) stays ignored.

    With ``ends_process`` all that come after it are ignored: the process is about to end, and nothing must break in.

    Outside the main thread, where no handler can be set and no signal arrives, nothing does.
    """
    stop, before = Stop(), {}
    in_main = threading.current_thread() is threading.main_thread()
    for number in _SIGNALS if in_main else ():
        if signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, stop._handle)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if ends_process and stop.signal is not None else handler)
