"""From the user's wish to a connection: juliacall, the executable, or the recorded transcripts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from parity.bridge.connection import JuliaConnection
from parity.bridge.errors import JuliaConnectionError
from parity.bridge.executable import ExecutableConnection
from parity.bridge.juliacall import JuliacallConnection
from parity.bridge.recorded import RecordedConnection
from parity.obtain import Attempt, JuliaInstallation, describe, search
from parity.obtain.model import Say, to_stderr
from parity.sources import MODULE_NAME, module_file, reference_folder, sources_hash, transcript_file

Choice = Literal["auto", "juliacall", "executable", "recorded"]
CHOICES: tuple[Choice, ...] = ("auto", "juliacall", "executable", "recorded")


class NoJulia(Exception):
    """The wished connection cannot be had; the message explains what was tried and what helps."""


@dataclass(frozen=True)
class Session:
    """An open connection, where its Julia came from, and what a reader of the results must not miss."""

    julia: JuliaConnection
    facts: Mapping[str, str]
    notices: tuple[str, ...] = ()


def connect(choice: Choice = "auto", explicit: str | os.PathLike[str] | None = None, say: Say = to_stderr) -> Session:
    """Open the wished connection.

    ``auto`` takes the first Julia that is found or can be fetched, and the recorded transcripts if there is none.
    A Julia that was named explicitly is never replaced by another.

    Raises:
        NoJulia: no Julia for a wish other than ``auto``, an explicit one that does not work, or stale transcripts.
    """
    if choice == "recorded":
        return _recorded(())
    attempts = search(explicit, want="any" if choice == "auto" else choice, say=say)
    found = attempts[-1].found
    if found is not None:
        return _live(found, choice, say)
    if choice != "auto" or explicit is not None or _named_by_environment():
        raise NoJulia(describe(attempts))
    say(describe(attempts))
    return _recorded(attempts)


def _named_by_environment() -> bool:
    return bool(os.environ.get("PYFLOSSING_JULIA"))


def _live(installation: JuliaInstallation, choice: Choice, say: Say) -> Session:
    notices: tuple[str, ...] = ()
    try:
        if installation.project is not None and choice != "executable":
            try:
                return _session(_juliacall(installation), installation, notices)
            except JuliaConnectionError as error:
                if choice == "juliacall":
                    raise
                notices = (f"juliacall could not be used, so its Julia was run as an executable instead: {error}",)
                say(notices[0])
        return _session(_executable(installation), installation, notices)
    except JuliaConnectionError as error:
        raise NoJulia(
            f"{installation.executable} ({installation.origin}) was found but could not be used: {error}"
        ) from error


def _juliacall(installation: JuliaInstallation) -> JuliaConnection:
    assert installation.project is not None
    return JuliacallConnection(installation.executable, installation.project, module_file(), MODULE_NAME)


def _executable(installation: JuliaInstallation) -> JuliaConnection:
    return ExecutableConnection(installation.executable, installation.environment, module_file(), MODULE_NAME)


def _session(julia: JuliaConnection, installation: JuliaInstallation, notices: tuple[str, ...]) -> Session:
    facts = {**julia.provenance(), "Julia from": f"{installation.origin} ({installation.executable})"}
    return Session(julia, facts, notices)


def _recorded(attempts: tuple[Attempt, ...] | list[Attempt]) -> Session:
    try:
        julia = RecordedConnection(transcript_file(), sources_hash(reference_folder()))
    except JuliaConnectionError as error:
        tried = f"{describe(attempts)}\n\n" if attempts else ""
        raise NoJulia(f"{tried}The recorded transcripts cannot stand in: {error}") from error
    facts = julia.provenance()
    why = "No Julia could be found or fetched" if attempts else "As asked"
    notice = (
        f"NO LIVE JULIA. {why}: our side is compared with transcripts of Julia {facts.get('julia', '?')}, "
        f"recorded on {facts.get('recorded_on', '?')}. `python -m parity doctor` says how to get a live one."
    )
    return Session(julia, facts, (notice,))
