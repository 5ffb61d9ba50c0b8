"""Ctrl-C and its kin: the first asks a run to stop after its update, the second interrupts at once."""

from __future__ import annotations

import signal
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
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Within it, signals set the Stop; what the parent had ignored (nohup, a background job) stays ignored."""
    stop, before = Stop(), {}
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, stop._handle)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            # one that has been stopped is about to end: nothing more must break in
            signal.signal(number, handler if stop.signal is None else signal.SIG_IGN)
