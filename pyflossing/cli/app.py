"""The commands put together."""

from __future__ import annotations

from typing import Annotated

import typer

import pyflossing
from pyflossing.cli.output import write_line
from pyflossing.cli.train import EXAMPLES as TRAIN_EXAMPLES
from pyflossing.cli.train import train

_EPILOG = """\b
Exit codes:
  0    all is well
  1    a run or a comparison failed: a number that is not finite, a damaged
       file, a disk without room
  2    wrong usage, bad settings, a file that is not there, an extra that is
       not installed
  3    another process is running in the folder
  130  stopped by Ctrl-C; 143 by SIGTERM, 129 by SIGHUP
  141  the reader of the output has gone
"""

app = typer.Typer(
    name="pyflossing",
    help="Train recurrent and spiking networks with gradient flossing, number for number the Julia original.",
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        write_line(f"pyflossing {pyflossing.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


app.command("train", epilog=TRAIN_EXAMPLES)(train)
