"""``pyflossing legacy``."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from pyflossing._support.arguments import require_path
from pyflossing.cli.errors import guarded
from pyflossing.cli.legacy_values import Dtype, Network, Values, config_of_values
from pyflossing.cli.running import run_in_folder
from pyflossing.cli.train import Device, Every, Json, Quiet

EXAMPLES = """\b
Example, the original's call:
  pyflossing legacy 80 3001 100 500 500 2 16 1 300 55 300 1 1 1 1 0.001 0.9 \\
    0.999 1 1.0 0.0 1.0 10 1.0 0.0 1.0 0.0 0.1 0.0 75 -1 3 0.0 --network tanh
"""


@guarded
def legacy(
    values: Values = None,
    network: Network = "spiking",
    dtype: Dtype = "float32",
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="The run's folder [default: runs/legacy-...]."),
    ] = None,
    checkpoint_every: Every = 30.0,
    device: Device = "cpu",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train with the original's 33 positional values, which docs/parameters.md explains.

    As pyflossing train does: the same call goes on with a run that was stopped.
    """
    config = config_of_values(values, network, dtype)
    from pyflossing.config.legacy import legacy_names  # noqa: PLC0415 - it needs torch

    default = Path("runs") / f"legacy-{hashlib.sha256(config.to_toml().encode()).hexdigest()[:8]}"
    folder = default if output is None else require_path("--output", output)
    with legacy_names():  # where the machine's memory cannot hold the run
        run_in_folder(folder, config, checkpoint_every=checkpoint_every, device=device, quiet=quiet, as_json=as_json)
