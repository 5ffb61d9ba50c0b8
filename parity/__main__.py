"""``python -m parity``: compare pyflossing with Julia and report what agrees."""

from __future__ import annotations

import signal

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # What is imported takes seconds; Ctrl-C just ends that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import os

# Of numpy's products here and of Julia's, whose process inherits it: for small matrices a second thread costs time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pyflossing
from parity.bridge.errors import JuliaConnectionError, JuliaError
from parity.bridge.recorded import RecordingConnection
from parity.checks import all_checks
from parity.connect import NoJulia, add_options, connect
from parity.kernels import run_all
from parity.obtain import describe, search
from parity.own import command as own
from parity.provenance import provenance
from parity.report import Report, as_text, write
from parity.runner import select
from parity.shown import listed, run_beside, shown
from parity.sources import reference_folder, sources_hash, transcript_file

_USAGE_ERROR = 2
_INTERRUPTED = 130
_FOLDER = "parity-report"
#: The report of some checks does not replace that of all.
_FOLDER_OF_SOME = "parity-report/only"

_EPILOG = """\
examples:
  python -m parity                           the whole report, with the first Julia found or fetched
  python -m parity --only weights            the checks with "weights" in their name
  python -m parity --julia recorded          without Julia, against recorded transcripts
  python -m parity --julia-path /opt/julia   with a Julia of your own
  python -m parity kernels --quick           the report under the numerical kernels of four kinds of machines
  python -m parity run my.toml               your own settings in both languages (run --help)
  python -m parity --checks my_checks.py --include my.jl     checks of your own
  python -m parity doctor                    what Julia was found, what was not, and what helps

exit code: 0 all agree, 1 something differs, 2 bad usage or no Julia, 130 interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words[:1] == ["run"]:
            from parity.runs.command import main as run  # noqa: PLC0415 - the report does without

            return run(words[1:])
        options = _parser().parse_args(words)
        own.require_checks(options)
        return _COMMANDS[options.command](options)
    except BrokenPipeError:
        # Else Python complains once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print("parity: nobody reads the report any more; it was not written", file=sys.stderr)
        return _USAGE_ERROR
    except (NoJulia, JuliaConnectionError, JuliaError, OSError, ValueError) as error:
        print(f"parity: {error}", file=sys.stderr)
        return _USAGE_ERROR
    except KeyboardInterrupt:
        print("\nparity: interrupted; Julia has been ended, no report was written", file=sys.stderr)
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m parity",
        description="Compare pyflossing with Julia, number by number.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", nargs="?", choices=tuple(_COMMANDS), default="report")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="checks whose name contains or matches NAME (repeatable)",
    )
    add_options(parser)
    parser.add_argument(
        "--report",
        metavar="DIR",
        help=f"folder for report.json and report.md (default: {_FOLDER}, with --only {_FOLDER_OF_SOME})",
    )
    parser.add_argument("--quick", action="store_true", help="with kernels: four sets of them instead of fourteen")
    parser.add_argument("--list", action="store_true", help="list the checks and stop")
    own.add_options(parser)
    return parser


def _doctor(options: argparse.Namespace) -> int:
    attempts = search(options.julia_path, download=False, stop_at_first=False)
    print(describe(attempts))
    return 0 if any(attempt.found for attempt in attempts) else 1


def _kernels(options: argparse.Namespace) -> int:
    """The report under each set of numerical kernels, in a process of its own."""
    patterns = [f"--only={pattern}" for pattern in options.only]
    path = [f"--julia-path={options.julia_path}"] if options.julia_path else []
    return run_all(
        [*patterns, f"--julia={options.julia}", *path], options.report, partial(print, flush=True), quick=options.quick
    )


def _record(options: argparse.Namespace) -> int:
    """Run every check that calls Julia, and keep Julia's answers for machines without it."""
    if options.checks:
        return own.record(options)
    if options.julia == "recorded":
        raise ValueError("--julia recorded is not allowed with record: a live Julia must give the answers")
    session = connect(options.julia, options.julia_path)
    if session.notices:
        raise NoJulia("\n".join(session.notices))
    with session.julia as live:
        recording = RecordingConnection(
            live, sources_hash=sources_hash(reference_folder()), package_version=pyflossing.__version__
        )
        outcomes = run_beside([check for check in all_checks() if check.needs_julia], recording)
        report = Report(outcomes, session.facts)
        if report.exit_code:
            print(as_text(report))
            raise ValueError("nothing was recorded, because not everything agrees")
        if report.counts["checks skipped"]:
            raise ValueError(f"nothing was recorded, because this Julia leaves checks out:\n{report.summary()}")
        recording.save(transcript_file())
    print(f"recorded {report.counts['comparisons']} comparisons in {transcript_file()}")
    return 0


def _report(options: argparse.Namespace) -> int:
    if options.checks:
        return own.report(options)
    checks = select(all_checks(), options.only)
    if options.list:
        listed(checks)
        return 0
    # The folder is made before any work: a wrong one should not cost the user a whole run.
    folder = Path(options.report or (_FOLDER_OF_SOME if options.only else _FOLDER))
    folder.mkdir(parents=True, exist_ok=True)
    if any(check.needs_julia for check in checks):
        session = connect(options.julia, options.julia_path)
        with session.julia as julia:
            report = shown(checks, julia, provenance(session.facts), session.notices)
    else:
        facts = {"juliacall": "not used, because none of these checks calls Julia"}
        report = shown(checks, None, provenance(facts), ())
    written = write(report, folder)
    print("written: " + ", ".join(str(path) for path in written))
    return report.exit_code


_COMMANDS = {"report": _report, "doctor": _doctor, "record": _record, "kernels": _kernels}


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    status = main()
    if status == _INTERRUPTED:
        # Taking torch down can last longer than everything else; Julia has been ended, and nothing is half written.
        sys.stdout.flush()
        os._exit(status)
    sys.exit(status)
