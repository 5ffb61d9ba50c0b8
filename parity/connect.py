"""From the user's wish to a connection: juliacall, the executable, or the recorded transcripts."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from parity.bridge.connection import JuliaConnection
from parity.bridge.errors import JuliaConnectionError
from parity.bridge.executable import ExecutableConnection
from parity.bridge.juliacall import JuliacallConnection
from parity.bridge.recorded import RecordedConnection
from parity.obtain import Attempt, JuliaInstallation, describe, search
from parity.obtain.julia_project import how_to_make
from parity.obtain.model import Say, to_stderr
from parity.obtain.pythoncall import JULIAPKG, SETTINGS
from parity.sources import MODULE_NAME, module_file, reference_folder, sources_hash, transcript_file

Choice = Literal["auto", "juliacall", "executable", "recorded"]
CHOICES: tuple[Choice, ...] = ("auto", "juliacall", "executable", "recorded")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of a command by which a user wishes for a connection."""
    parser.add_argument("--julia", choices=CHOICES, default="auto", help="the connection to Julia (default: auto)")
    parser.add_argument("--julia-path", metavar="PATH", help="this Julia and no other (or set PYFLOSSING_JULIA)")


class NoJulia(Exception):
    """The wished connection cannot be had; the message explains what was tried and what helps."""


@dataclass(frozen=True)
class Served:
    """What a Julia serves, and with which packages.

    Attributes:
        file, module: the Julia file and its module whose functions are called.
        project: a Julia project whose packages the file may use; None for the standard library alone.
    """

    file: Path
    module: str
    project: Path | None = None


def reference() -> Served:
    """The Julia reference."""
    return Served(module_file(), MODULE_NAME)


@dataclass(frozen=True)
class Session:
    """An open connection, where its Julia came from, and what a reader of the results must not miss."""

    julia: JuliaConnection
    facts: Mapping[str, str]
    notices: tuple[str, ...] = ()


def connect(choice: Choice = "auto", explicit: str | os.PathLike[str] | None = None, say: Say = to_stderr) -> Session:
    """Open the wished connection to the reference.

    ``auto`` takes the first Julia that is found or can be fetched, and the recorded transcripts if there is none.
    A Julia that was named, by its path or by the settings of juliacall, is never replaced by another. What is not
    answered through juliacall says why in its facts.

    Raises:
        NoJulia: no Julia for a wish other than ``auto``, an explicit one that does not work, or stale transcripts.
    """
    if choice == "recorded":
        return _recorded((), choice)
    attempts = search(explicit, want="any" if choice == "auto" else choice, say=say)
    found = attempts[-1].found
    if found is not None:
        return _live(found, choice, attempts, say, reference())
    if choice != "auto" or attempts[-1].named:
        raise NoJulia(describe(attempts))
    session = _recorded(attempts, choice)
    say(describe(attempts))
    return session


def connect_live(
    served: Served,
    choice: Choice = "auto",
    explicit: str | os.PathLike[str] | None = None,
    say: Say = to_stderr,
) -> Session:
    """Open a live connection to the functions of any module.

    Raises:
        NoJulia: none can be had; the message says what was tried and what helps.
    """
    attempts = search(explicit, want="any" if choice == "auto" else choice, say=say)  # type: ignore[arg-type]
    found = attempts[-1].found
    if found is None:
        raise NoJulia(describe(attempts))
    return _live(found, choice, attempts, say, served)


def _live(
    installation: JuliaInstallation, choice: Choice, attempts: Sequence[Attempt], say: Say, served: Served
) -> Session:
    try:
        if installation.project is None:
            return _session(_executable(installation, served), installation, _why_not_juliacall(choice, attempts))
        try:
            return _session(_juliacall(installation, served), installation)
        except JuliaConnectionError as error:
            explained = _explained(error, installation)
            if choice == "juliacall":
                raise JuliaConnectionError(explained) from error
            say(explained)
            why = f"it did not start: {_cause(error)}"
            notice = (
                f"juliacall could not be used, so its Julia was run as an executable instead. {why[0].upper()}{why[1:]}"
            )
            return _session(_executable(installation, served), installation, why, (notice,))
    except JuliaConnectionError as error:
        raise NoJulia(
            f"{installation.executable} ({installation.origin}) was found but could not be used: {error}"
        ) from error


def _why_not_juliacall(choice: Choice, attempts: Sequence[Attempt]) -> str:
    if choice in ("executable", "recorded"):
        return f"--julia {choice} was asked for"
    tried = next((attempt for attempt in attempts if attempt.origin in (SETTINGS, JULIAPKG)), None)
    if tried is None:
        return "a Julia was named that is an executable alone, and juliacall also needs a Julia project"
    first, *rest = tried.detail.splitlines()
    return f"{first} {rest[-1].strip()}" if rest else first


def _explained(error: JuliaConnectionError, installation: JuliaInstallation) -> str:
    """The error, with the way out where the project is at fault."""
    if "PythonCall" not in str(error) and "'juliacall' module already exists" not in str(error):
        return str(error)
    command = how_to_make(installation.executable)
    return f"{error}\nThe project must hold PythonCall in the version of juliacall; this makes one: {command}"


def _cause(error: JuliaConnectionError) -> str:
    """The line of the output that tells most, and what it belongs to."""
    first, *rest = str(error).splitlines()
    told = next((line.strip() for line in rest if "Error" in line), "")
    return f"{first} {told}".strip()


def _juliacall(installation: JuliaInstallation, served: Served) -> JuliaConnection:
    assert installation.project is not None
    if served.project is not None:
        raise JuliaConnectionError("juliacall has a Julia project of its own, so that another cannot be used with it")
    return JuliacallConnection(installation.executable, installation.project, served.file, served.module)


def _executable(installation: JuliaInstallation, served: Served) -> JuliaConnection:
    return ExecutableConnection(
        installation.executable, installation.environment, served.file, served.module, project=served.project
    )


def _session(
    julia: JuliaConnection, installation: JuliaInstallation, no_juliacall: str = "", notices: tuple[str, ...] = ()
) -> Session:
    facts = {**julia.provenance(), "Julia from": f"{installation.origin} ({installation.executable})"}
    return Session(julia, facts | _not_used(no_juliacall), notices)


def _not_used(why: str) -> dict[str, str]:
    return {"juliacall": f"not used, because {why}"} if why else {}


def _recorded(attempts: Sequence[Attempt], choice: Choice) -> Session:
    try:
        julia = RecordedConnection(transcript_file(), sources_hash(reference_folder()))
    except JuliaConnectionError as error:
        tried = f"{describe(attempts)}\n\n" if attempts else ""
        raise NoJulia(f"{tried}The recorded transcripts cannot stand in: {error}") from error
    facts = julia.provenance() | _not_used(_why_not_juliacall(choice, attempts))
    why = "No Julia could be found or fetched" if attempts else "As asked"
    notice = (
        f"NO LIVE JULIA. {why}: our side is compared with transcripts of Julia {facts.get('julia', '?')}, "
        f"recorded on {facts.get('recorded_on', '?')}. `python -m parity doctor` says how to get a live one."
    )
    return Session(julia, facts, (notice,))
