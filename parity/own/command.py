"""``python -m parity --checks FILE --include FILE``: a report of one's own checks, and the transcript of it."""

from __future__ import annotations

import argparse
from pathlib import Path

import pyflossing
from parity.bridge.recorded import RecordingConnection
from parity.checks.model import Check
from parity.own.checks_file import checks_of_file
from parity.own.session import OWN_SOURCES, Julia, julia
from parity.provenance import of_python
from parity.report import Report, as_text, write
from parity.runner import select
from parity.shown import listed, run_beside, shown

_FOLDER = "parity-report"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that belong to one's own checks."""
    own = parser.add_argument_group("your own checks")
    own.add_argument("--checks", metavar="FILE", help="a Python file with a function checks(); they replace ours")
    own.add_argument(
        "--include",
        action="append",
        default=[],
        metavar="FILE[:MODULE]",
        help="a Julia file whose functions the checks call, or those of a module in it (repeatable)",
    )
    own.add_argument("--transcript", metavar="FILE", help="where record keeps Julia's answers, for --julia recorded")
    own.add_argument("--project", metavar="DIR", help="a Julia project whose packages the files use")
    own.add_argument("--timeout", type=float, metavar="S", help="seconds for each call of Julia")


def require_checks(options: argparse.Namespace) -> None:
    """Refuse options of one's own checks where there are none.

    Raises:
        ValueError: naming the option.
    """
    for name in ("include", "transcript", "project", "timeout"):
        if getattr(options, name) and not options.checks:
            raise ValueError(f"--{name} belongs to checks of your own: name their file with --checks")
    if options.command not in ("report", "record") and options.checks:
        raise ValueError(f"--checks is not allowed with {options.command}")


def report(options: argparse.Namespace) -> int:
    """Run the checks; returns the exit code.

    Raises:
        ValueError, OSError, NoJulia, JuliaError, JuliaConnectionError: what the command tells in one line.
    """
    checks = _chosen(options)
    if options.list:
        listed(checks)
        return 0
    folder = Path(options.report or _FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    with _opened(options) as jl:
        made = shown(checks, jl, of_python() | jl.provenance(), jl.notices)
    written = write(made, folder)
    print("written: " + ", ".join(str(path) for path in written))
    return made.exit_code


def record(options: argparse.Namespace) -> int:
    """Run the checks and keep what Julia answered; returns the exit code. Raises as ``report``."""
    if options.transcript is None:
        raise ValueError("record needs --transcript FILE, the file to write")
    if options.julia == "recorded":
        raise ValueError("--julia recorded is not allowed with record: a live Julia must give the answers")
    checks = [check for check in _chosen(options) if check.needs_julia]
    with _opened(options) as jl:
        recording = RecordingConnection(jl, sources_hash=OWN_SOURCES, package_version=pyflossing.__version__)
        made = Report(run_beside(checks, recording), jl.facts)
        if made.exit_code:
            print(as_text(made))
            raise ValueError("nothing was recorded, because not everything agrees")
        recording.save(Path(options.transcript))
    print(f"recorded {made.counts['comparisons']} comparisons in {options.transcript}")
    return 0


def _chosen(options: argparse.Namespace) -> list[Check]:
    return select(checks_of_file(options.checks), options.only)


def _opened(options: argparse.Namespace) -> Julia:
    recorded = options.julia == "recorded"
    if recorded and options.transcript is None:
        raise ValueError("--julia recorded needs --transcript FILE, which `python -m parity record` has written")
    jl = julia(
        options.julia,
        path=options.julia_path,
        project=options.project,
        transcript=options.transcript if recorded else None,
        timeout=options.timeout,
    )
    try:
        for words in options.include:
            jl.include_named(words)
    except BaseException:
        jl.close()
        raise
    return jl
