"""Julia's epochs, computed by a thread of their own while ours are compared: two processors, half the time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

from parity.bridge.connection import JuliaConnection
from parity.checks.julia_run import JuliaEpoch, run_epochs
from pyflossing.config import TrainingConfig

_AHEAD = 4
_AT_MOST = 0.5


def epochs_ahead(julia: JuliaConnection, config: TrainingConfig, n_epochs: int) -> Iterator[JuliaEpoch]:
    """The first ``n_epochs`` training epochs of Julia's run, and the flossing epochs before them.

    Raises:
        JuliaError, JuliaConnectionError: what Julia answered; after all epochs before it.
    """
    found: queue.Queue[JuliaEpoch | BaseException | None] = queue.Queue(_AHEAD)
    enough = threading.Event()

    def compute() -> None:
        end: BaseException | None = None
        try:
            for epoch in run_epochs(julia, config):
                if epoch.epoch > n_epochs or enough.is_set():
                    break
                _put(found, epoch, enough)
        except BaseException as error:  # it is raised where it is waited for
            end = error
        _put(found, end, enough)

    thread = threading.Thread(target=compute, daemon=True)
    thread.start()
    try:
        while (item := found.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        enough.set()
        thread.join(_AT_MOST)  # a call that goes on ends with the connection


def _put(
    place: queue.Queue[JuliaEpoch | BaseException | None],
    item: JuliaEpoch | BaseException | None,
    enough: threading.Event,
) -> None:
    while not enough.is_set():
        try:
            place.put(item, timeout=0.1)
            return
        except queue.Full:
            continue
