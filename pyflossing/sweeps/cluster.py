"""Running tasks on the workers of a Dask cluster."""

from __future__ import annotations

import logging
import time
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any

from pyflossing._support.arguments import FieldError
from pyflossing._support.words import plain
from pyflossing.sweeps.pools import Pool, SchedulerLost
from pyflossing.sweeps.tasks import Outcome, Task, run_task

_ASKED_EVERY = 1.0
_KINDS = ("", "tcp", "tls")
_LOOPBACK = ("127.", "localhost:", "[::1]:")


class DaskPool(Pool):
    """All tasks at once, queued by a Dask scheduler; tasks of workers that it loses go to others.

    Args:
        address: of the scheduler, "tcp://host:port"; or "tls://host:port", with the certificates that Dask's own
            settings name (``distributed.comm.tls``).
        timeout: seconds to wait for it.

    Raises:
        ValueError: no such address; or one of TLS, without the settings that it needs.
        SchedulerLost: it does not answer.
    """

    def __init__(self, address: str, timeout: float) -> None:
        kind, _, place = address.rpartition("://")
        if kind not in _KINDS:
            raise FieldError("scheduler", address, "it must be an address such as tcp://host:8786 or tls://host:8786")
        try:
            self._client = _client(address, timeout)
        except (OSError, TimeoutError) as error:
            said = f"no Dask scheduler answers at {plain(address)} within {timeout:g} s ({error})"
            raise SchedulerLost(said) from error
        except (ValueError, TypeError, RuntimeError) as error:
            said = f"Dask rejects it: {error}"
            if "ssl_context" in said:
                said = "Dask's settings distributed.comm.tls name no certificates (see docs/sweeps.md)"
            raise FieldError("scheduler", address, said) from error
        if kind != "tls" and not place.startswith(_LOOPBACK):
            self.notice = (
                f"anyone who can reach {address} can run programs there; tls:// prevents that (docs/sweeps.md)"
            )
        self._address = address
        self._workers, self._asked = 0, -float("inf")
        # pure would take two runs of one task for the same
        self._executor = self._client.get_executor(pure=False)

    def submit(self, task: Task) -> Future[Outcome]:
        future: Future[Outcome] = self._executor.submit(run_task, task)
        return future

    def room(self, n_submitted: int) -> bool:
        return True

    def running(self, n_submitted: int) -> int:
        if time.monotonic() - self._asked >= _ASKED_EVERY:
            self._asked = time.monotonic()
            try:
                self._workers = int(sum(self._client.nthreads().values()))
            except (OSError, TimeoutError):
                self._workers = 0
        return min(n_submitted, self._workers)

    def lost(self, future: Future[Outcome]) -> str:
        if future.cancelled() or isinstance(future.exception(), CancelledError):
            # what follows says it once; the client's log would have tracebacks of how it could not reconnect
            logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
            raise SchedulerLost(f"the Dask scheduler at {plain(self._address)} was lost")
        return super().lost(future)

    def close(self, *, kill: bool) -> None:
        self._executor.shutdown(wait=False)
        self._client.close()


def _client(address: str, timeout: float) -> Any:
    """A client, which is closed at once where it cannot be made.

    Left to the collector it would be closed from within whatever runs then: while another client starts, that waits for
    a lock that its own thread holds.
    """
    try:
        import distributed  # noqa: PLC0415 - an extra
    except ImportError as error:
        said = "a scheduler needs Dask distributed: pip install 'pyflossing[cluster]'"
        raise ImportError(said, name="distributed") from error

    class Client(distributed.Client):
        def __init__(self) -> None:
            try:
                super().__init__(address, timeout=timeout, set_as_default=False)  # type: ignore[no-untyped-call]
            except BaseException:
                with suppress(Exception):  # of a client that was hardly begun
                    self.close(timeout=1)  # type: ignore[no-untyped-call]
                raise

    return Client()
