"""``pyflossing train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pyflossing._support.arguments import require_path
from pyflossing.cli.errors import Refused, guarded, require_file
from pyflossing.cli.running import run_in_folder

EXAMPLES = """\b
Examples:
  pyflossing train quick.toml                        in the folder runs/quick
  pyflossing train quick.toml --output runs/second
  pyflossing train runs/quick                        goes on with that run
"""

Every = Annotated[
    float,
    typer.Option("--checkpoint-every", metavar="SECONDS", help="Time between checkpoints; 0: one after every update."),
]
Device = Annotated[
    str, typer.Option("--device", metavar="DEVICE", help="Where to compute: cpu; or cuda, cuda:1 for a GPU.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout at the end, and nothing else.")]


@guarded
def train(
    config: Annotated[
        Path,
        typer.Argument(metavar="CONFIG", help="A TOML file of settings; or a run's folder, to resume it."),
    ],
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FOLDER", help="The run's folder [default: runs/NAME].")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Refuse to start a new run.")] = False,
    checkpoint_every: Every = 30.0,
    device: Device = "cpu",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train a network in a folder of its own: settings, log, checkpoints, result.

    Where the folder holds a run of the same settings, that run goes on, bit for bit as if it had never been stopped; a
    run of other settings is never touched. Ctrl-C saves a checkpoint and says how to resume; a second one ends at once.
    """
    chosen = None if output is None else require_path("--output", output)
    folder = config if config.is_dir() else chosen or Path("runs") / config.stem
    if config.is_dir() and chosen is not None and chosen.resolve() != config.resolve():
        raise Refused(f"--output {output} is not allowed with the folder of a run: it goes on where it is")
    if config.is_dir() and not (config / "config.toml").is_file():
        raise Refused(f"{config} holds no run: there is no config.toml in it")
    file = config / "config.toml" if config.is_dir() else require_file(config, "a TOML file of settings")

    from pyflossing.config.settings import TrainingConfig  # noqa: PLC0415 - it needs torch

    settings = TrainingConfig.load(file)
    run_in_folder(
        folder,
        settings,
        must_resume=resume or config.is_dir(),
        checkpoint_every=checkpoint_every,
        device=device,
        quiet=quiet,
        as_json=as_json,
    )
