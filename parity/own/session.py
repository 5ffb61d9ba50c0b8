"""An open Julia that calls the functions of anybody's files by name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from parity.bridge import wire
from parity.bridge.connection import Closing, JuliaConnection
from parity.bridge.errors import JuliaError, StaleTranscript
from parity.bridge.in_process import InProcessConnection
from parity.bridge.recorded import RecordedConnection
from parity.connect import Choice, Served, Session, connect_live
from parity.obtain.model import Say, to_stderr
from parity.sources import MODULE_NAME, module_file

_FILE, _MODULE = Path(__file__).resolve().parents[1] / "bridge" / "session.jl", "ParitySession"
_INCLUDED = "included "
OWN_SOURCES = "files of one's own"
"""Stands for the hash of the reference in transcripts that are not of it."""


class Julia(Closing):
    """An open Julia; end it with ``close`` or by leaving a ``with`` block.

    Attributes:
        facts: what it is and where it came from.
        notices: what a reader of results must not miss.
        functions: the names that can be called, with the file that each is from.
    """

    def __init__(self, opened: Callable[[], Session], timeout: float | None = None) -> None:
        session = opened()
        self.facts: Mapping[str, str] = session.facts
        self.notices = session.notices
        self.functions: dict[str, Path] = {}
        self._opened = opened
        self._connection = session.julia
        self._timeout = timeout
        self._included: dict[str, str] = {}
        self._files: dict[str, tuple[Path, str | None]] = {}

    def include(self, file: str | os.PathLike[str], *, module: str | None = None) -> tuple[str, ...]:
        """Evaluate a Julia file, in a module of its own, and let its functions be called.

        A file that was included and has not changed is not evaluated again.

        Args:
            file: a ``.jl`` file; what it includes itself is found beside it.
            module: the module in the file whose functions are meant. Without it they are those that the file defines
                outside of any module, or if there are none, those of its only module.

        Returns:
            the names that can now be called.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a name that another included file has too.
            JuliaError: the file does not load; the message is Julia's.
            StaleTranscript: the session is recorded, and not of this file as it is now.
        """
        path = Path(file).resolve()
        if not path.is_file():
            raise FileNotFoundError(f"there is no Julia file {file}")
        key, digest = _key(path, module), _digest(path)
        if self._included.get(key) != digest:
            names = self._names(path, module, key, digest)
            taken = [name for name in names if self.functions.get(name, path) != path]
            if taken:
                raise ValueError(
                    f"{taken[0]} is defined in {self.functions[taken[0]]} and in {path}: include one of them in a "
                    "session of its own"
                )
            self.functions |= dict.fromkeys(names, path)
            self._included[key], self._files[key] = digest, (path, module)
        return tuple(name for name, of in self.functions.items() if of == path)

    def call(self, name: str, *args: wire.Argument, timeout: float | None = None) -> wire.Result:
        """Call a function of an included file.

        Args:
            name: of the function.
            args: numbers, strings and numpy arrays of Bool, UInt8, Int32, Int64, UInt64, Float32 or Float64. Julia
                sees arrays in the same shape, with indices from 1.
            timeout: seconds; None for those of the session, or else a minute (five for the first call, which compiles)
                and what the arrays' size deserves.

        Returns:
            a numpy scalar, array or string; a tuple of them; or for a NamedTuple a dictionary.

        Raises:
            JuliaError: no such function, an error thrown in it, or a result that cannot be sent. Julia goes on.
            JuliaTimeout, JuliaCrashed: Julia has been ended or has ended.
            TypeError, OverflowError, ValueError: an argument that cannot be sent.
        """
        if name not in self.functions:
            has = ", ".join(sorted(self.functions)) or "none yet: include a file"
            raise JuliaError(f"no included file has a function {name!r}; there is {has}", "")
        return self._connection.call(name, *args, timeout=self._timeout if timeout is None else timeout)

    def include_named(self, words: str, folder: str | os.PathLike[str] = ".") -> tuple[str, ...]:
        """``include`` what is named by FILE or FILE:MODULE, from a folder."""
        path = Path(folder, words)
        if path.exists() or ":" not in path.name:
            return self.include(path)
        file, _, module = words.rpartition(":")
        return self.include(Path(folder, file), module=module)

    def revive(self) -> None:
        """Open a new Julia, with the same files, if this one has ended; what it had computed is lost."""
        if getattr(self._connection, "is_open", True):
            return
        self._connection.close()
        self._connection = self._opened().julia
        files = list(self._files.values())
        self._included, self._files, self.functions = {}, {}, {}
        for path, module in files:
            self.include(path, module=module)

    def include_reference(self) -> None:
        """Let the functions of the Julia reference of gradient flossing be called, such as ``spectrum``."""
        self.include(module_file(), module=MODULE_NAME)

    def provenance(self) -> dict[str, str]:
        """What answers: kind of connection, Julia version, BLAS, CPU, and the included files."""
        return {**self.facts, **{_INCLUDED + key: digest for key, digest in self._included.items()}}

    def close(self) -> None:
        """End the Julia. May be called again."""
        self._connection.close()

    def _names(self, path: Path, module: str | None, key: str, digest: str) -> list[str]:
        if isinstance(self._connection, RecordedConnection):
            return _recorded_names(self._connection, path, key, digest)
        try:
            answer = self._connection.call("include_file", str(path), module or "", timeout=self._timeout)
        except JuliaError as error:
            raise JuliaError(f"{path} does not load: {error.message}", error.backtrace) from None
        return str(answer).splitlines()


def julia(
    choice: Choice = "auto",
    *,
    path: str | os.PathLike[str] | None = None,
    project: str | os.PathLike[str] | None = None,
    transcript: str | os.PathLike[str] | None = None,
    timeout: float | None = None,
    session: Any = None,
    say: Say = to_stderr,
) -> Julia:
    """Open a Julia for files of one's own, found, fetched or named as the report does.

    Args:
        choice: "auto", "executable" or "juliacall"; "recorded" answers from a transcript.
        path: this Julia and no other.
        project: a Julia project, whose packages the files may use; without it they have the standard library.
        transcript: the file that ``python -m parity record`` has written, for "recorded".
        timeout: seconds for each call; None for a minute (five for a function's first call) and what the size of its
            arrays deserves.
        session: ``juliacall.Main``, for those who hold one in a notebook: it is used instead of a process of its own.
            Then no time-out can end a call, Ctrl-C and a crash are the notebook's too, and juliacall must have been
            imported before torch.
        say: told what is fetched.

    Raises:
        NoJulia: none can be had; the message says what was tried and what helps.
        ValueError: arguments that do not go together.
        JuliaConnectionError: the transcript is missing or damaged.
    """
    if (choice == "recorded") != (transcript is not None):
        raise ValueError("transcript = PATH and 'recorded' belong together")
    if session is not None:
        return Julia(lambda: _in_process(session), timeout)
    if transcript is not None:
        return Julia(lambda: _recorded(Path(transcript)), timeout)
    served = Served(_FILE, _MODULE, None if project is None else Path(project))
    return Julia(lambda: connect_live(served, choice, path, say), timeout)


def _in_process(main: Any) -> Session:
    connection = InProcessConnection(main, _FILE, _MODULE)
    return Session(connection, connection.provenance())


def _recorded(transcript: Path) -> Session:
    recorded = RecordedConnection(transcript, OWN_SOURCES)
    facts = recorded.provenance()
    notice = (
        f"NO LIVE JULIA. Compared with {transcript}, recorded on {facts.get('recorded_on', '?')} with Julia "
        f"{facts.get('julia', '?')}."
    )
    return Session(recorded, facts, (notice,))


def with_reference(connection: JuliaConnection) -> None:
    """Let a session of one's own call the functions of the reference; another connection is one to it already."""
    if isinstance(connection, Julia):
        connection.include_reference()


def _key(path: Path, module: str | None) -> str:
    return f"{path.name}:{module}" if module else path.name


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()[:16]


def _recorded_names(connection: RecordedConnection, path: Path, key: str, digest: str) -> list[str]:
    """Of a transcript every function can be called; what was not recorded says so."""
    recorded = connection.provenance().get(_INCLUDED + key)
    if recorded is None:
        raise StaleTranscript(f"the transcript has no answers of {key}; record anew with --include {path}")
    if recorded != digest:
        raise StaleTranscript(f"{path} has changed since its answers were recorded; record anew")
    return connection.names()
