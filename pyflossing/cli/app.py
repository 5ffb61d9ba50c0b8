"""The commands put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from pyflossing._support.version import __version__
from pyflossing.cli import config, figure, legacy, legacy_values, parity, show, spectrum, sweep, train
from pyflossing.cli.output import write_line

_EPILOG = """\b
Exit codes:
  0    all is well
  1    a run or a comparison failed: a number that is not finite, a damaged
       file, a disk without room
  2    wrong usage, bad settings, a file that is not there, an extra that is
       not installed
  3    another process is running in the folder
  4    an unexpected error, probably a bug; --debug shows where it comes from
  130  stopped by Ctrl-C; 143 by SIGTERM, 129 by SIGHUP
  141  the reader of the output has gone
"""

app = typer.Typer(
    name="pyflossing",
    help="Train recurrent and spiking networks with gradient flossing; checked against Julia number by number.",
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        write_line(f"pyflossing {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


def _add(command: Callable[..., None], summary: str, examples: str, context: dict[str, Any] | None = None) -> None:
    app.command(short_help=summary, epilog=examples, context_settings=context)(command)


_add(train.train, "Train a network in a folder, or go on with it.", train.EXAMPLES)
_add(legacy.legacy, "The same with the original's 33 values.", legacy.EXAMPLES, legacy_values.CONTEXT)
_add(sweep.sweep, "A grid of runs, over cores or a cluster.", sweep.EXAMPLES)
_add(spectrum.spectrum, "Lyapunov exponents of a network.", spectrum.EXAMPLES)
_add(show.show, "What a result or a run in its folder is.", show.EXAMPLES)
_add(figure.figure, "Draw a figure, and compute what it lacks.", figure.EXAMPLES)
_add(config.config, "Settings with comments; legacy calls as TOML.", config.EXAMPLES, legacy_values.CONTEXT)
_add(parity.parity, "Compare with Julia, number by number.", parity.EXAMPLES, parity.CONTEXT)
