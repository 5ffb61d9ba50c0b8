"""The one interface of every connection to the Julia reference, live or recorded."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, TypeVar, runtime_checkable

from parity.bridge.wire import Argument, Result

_Self = TypeVar("_Self", bound="Closing")


class Closing:
    """A connection that a ``with`` block closes."""

    def close(self) -> None:
        """End it. May be called again."""
        raise NotImplementedError

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class JuliaConnection(Protocol):
    """A Julia that answers calls by name.

    `call` raises `parity.bridge.errors.JuliaConnectionError` when there is no answer to be had. A connection
    that has crashed, timed out or been interrupted stays dead and says so on each later call.
    """

    def call(self, name: str, *args: Argument, timeout: float | None = None) -> Result:
        """Call `name`; `JuliaError` stands for an error thrown in Julia.

        It may take `timeout` seconds, or without one the time that its work deserves (`parity.bridge.patience`).
        """
        ...

    def provenance(self) -> dict[str, str]:
        """What answers: kind of connection, Julia version, BLAS, CPU, threads, word size."""
        ...

    def close(self) -> None:
        """End the Julia behind this connection. May be called again."""
        ...

    def __enter__(self) -> JuliaConnection: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


@runtime_checkable
class Revivable(Protocol):
    """A connection that can replace a Julia that has ended."""

    def revive(self) -> None:
        """Open a new Julia if this one has ended."""
