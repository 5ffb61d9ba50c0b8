"""How workers know that somebody still wants their work: a file that the sweep's own process renews.

It works on any shared folder, for processes of this machine and of others, and whatever end the sweep comes to: it
removes the file when it is asked to stop, and a killed one renews it no more. A worker compares what it reads with what
it read before by its own clock, so clocks need not agree.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pyflossing._support.folders import writing

RENEWED_EVERY = 2.0
"""Seconds between renewals."""
PATIENCE = 60.0
"""Seconds without a renewal after which a worker takes the sweep for gone."""
_ASKED_EVERY = 0.1


class Lease:
    """The sweep's side.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def held(self) -> bool:
        return self.path.exists()

    def end(self) -> None:
        """Ask all workers to stop."""
        with suppress(FileNotFoundError):
            self.path.unlink()


@contextmanager
def leased(folder: Path) -> Iterator[Lease]:
    """A lease in a folder, renewed by a thread until the block ends; what killed sweeps left is cleared.

    Raises:
        OSError: the folder cannot be written.
    """
    for left in folder.glob(".lease-" + 32 * "[0-9a-f]"):
        left.unlink(missing_ok=True)
    lease = Lease(folder / f".lease-{uuid.uuid4().hex}")
    with writing(lease.path):
        lease.path.touch()
    done = threading.Event()

    def renew() -> None:
        while not done.wait(RENEWED_EVERY):
            with suppress(OSError):  # it has ended, or the file system does not answer: workers have patience
                os.utime(lease.path)

    thread = threading.Thread(target=renew, name="pyflossing-lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        done.set()
        thread.join()
        lease.end()


class Watch:
    """The worker's side: called, it says whether the sweep is gone.

    Args:
        path: of the lease.
        parent: process id of the sweep if it is this process's parent, whose death shows at once.
    """

    def __init__(self, path: Path, parent: int | None = None) -> None:
        self._path = path
        self._parent = parent
        self._asked = -float("inf")
        self._renewed: tuple[int, float] | None = None
        self._gone = False

    def __call__(self) -> bool:
        now = time.monotonic()
        if not self._gone and now - self._asked >= _ASKED_EVERY:
            self._asked = now
            self._gone = (self._parent is not None and os.getppid() != self._parent) or self._ended(now)
        return self._gone

    def _ended(self, now: float) -> bool:
        mark = None
        try:
            # opening a file makes NFS ask the server, which a stat of its path does not
            with self._path.open("rb") as file:
                mark = os.fstat(file.fileno()).st_mtime_ns
        except FileNotFoundError:
            return True
        except OSError:
            pass
        if self._renewed is None or (mark is not None and mark != self._renewed[0]):
            self._renewed = (mark or 0, now)
        return now - self._renewed[1] > PATIENCE
