"""``python -m parity run SETTINGS``: a run of one's own settings in both languages."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from parity.connect import add_options, connect
from parity.provenance import provenance
from parity.report import as_text, write
from parity.runs.compare import MOST_SECONDS, compare_run
from parity.runs.picture import draw
from parity.runs.settings import require_expressible, wanted
from pyflossing._support.files import write_atomically

_FOLDER = Path("parity-report") / "runs"
_EPILOG = """\
examples:
  python -m parity run my.toml                        all epochs of a file of settings
  python -m parity run my.toml --epochs 20            the first 20, and the flossing before them
  python -m parity run runs/my                        a run's folder: its recorded numbers are judged
  python -m parity run 80 3001 100 500 500 2 16 1 300 55 300 1 1 1 1 0.001 0.9 0.999 \\
    1 1.0 0.0 1.0 10 1.0 0.0 1.0 0.0 0.1 0.0 75 -1 3 0.0 --network tanh

Weights, frame, schedule, orders and trials are compared bit for bit; every epoch from the parameters that Julia has
before it; both free runs until their divergence horizon. exit code: 0 all agree, 1 something differs, 2 bad usage or
no Julia, 130 interrupted
"""


def main(arguments: Sequence[str]) -> int:
    """Compare one run; returns the exit code.

    Raises:
        ValueError, OSError, NoJulia, JuliaConnectionError: what ``python -m parity`` tells in one line.
    """
    # argparse would take -1e-3 and "-1," for options, but not what has a space
    options = _parser().parse_args([f" {word}" if _is_negative(word) else word for word in arguments])
    words = [word.strip() for word in options.settings]
    run = wanted(words, options.network, options.dtype)
    require_expressible(run.config)
    folder = Path(options.report) if options.report else _FOLDER / run.title
    folder.mkdir(parents=True, exist_ok=True)
    session = connect(options.julia, options.julia_path)
    with session.julia as julia:
        report = compare_run(
            run.config,
            julia,
            result=run.result,
            n_epochs=options.epochs,
            provenance=provenance(session.facts),
            notices=session.notices,
            horizon_seconds=options.horizon_seconds,
            say=_Progress(),
        )
    print(as_text(report))
    written = write(report, folder)
    picture = folder / "run.png"
    try:
        draw(report, picture)
        written.append(picture)
    except ImportError:
        print("no picture, because matplotlib is not installed: pip install 'pyflossing[plot]'")
    write_atomically(folder / "config.toml", run.config.to_toml().encode())
    print("written: " + ", ".join(str(path) for path in [*written, folder / "config.toml"]))
    return report.exit_code


class _Progress:
    """Lines beside the report, with the time since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        print(f"[{minutes}:{seconds:02d}] {text}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m parity run",
        description="Compute one run in Python and in Julia, and compare everything that can be compared.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "settings",
        nargs="+",
        metavar="SETTINGS",
        help="a TOML file, a run's folder or result.npz, or the original's 33 values in order",
    )
    parser.add_argument("--network", choices=("tanh", "binary", "spiking"), help="of the 33 values (default: spiking)")
    parser.add_argument("--dtype", choices=("float32", "float64"), help="of the 33 values (default: float32)")
    parser.add_argument("--epochs", type=int, metavar="N", help="compare the first N training epochs only")
    parser.add_argument(
        "--horizon-seconds",
        type=float,
        default=MOST_SECONDS,
        metavar="S",
        help="time for measuring the divergence horizon (default: %(default)g)",
    )
    add_options(parser)
    parser.add_argument("--report", metavar="DIR", help=f"folder for the report (default: {_FOLDER}/NAME)")
    return parser


def _is_negative(word: str) -> bool:
    return word[:1] == "-" and (word[1:2].isdigit() or word[1:2] == ".")
