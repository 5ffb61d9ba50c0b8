"""``pyflossing config``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pyflossing.cli.errors import Refused, complain, guarded, require_file
from pyflossing.cli.legacy_values import Dtype, Network, Values, config_of_values
from pyflossing.cli.output import write_json, write_line

EXAMPLES = """\b
Examples:
  pyflossing config > quick.toml
  pyflossing config --to-legacy quick.toml
  pyflossing config --from-legacy 80 3001 100 500 500 2 16 1 300 55 300 1 1 1 \\
    1 0.001 0.9 0.999 1 1.0 0.0 1.0 10 1.0 0.0 1.0 0.0 0.1 0.0 75 -1 3 0.0
"""


@guarded
def config(
    values: Values = None,
    from_legacy: Annotated[bool, typer.Option("--from-legacy", help="Print the 33 values as TOML.")] = False,
    to_legacy: Annotated[
        Path | None, typer.Option("--to-legacy", metavar="FILE", help="Print the settings of a TOML file as 33 values.")
    ] = None,
    network: Network = "spiking",
    dtype: Dtype = "float32",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
) -> None:
    """Print a file of settings with comments, the defaults; or convert a legacy call to TOML and back."""
    if from_legacy and to_legacy is not None:
        raise Refused("--from-legacy and --to-legacy exclude each other")
    if values and not from_legacy:
        raise Refused(f"{values[0]!r} is not expected here; values follow --from-legacy")
    if to_legacy is not None:
        _print_legacy(to_legacy, as_json)
        return

    from pyflossing.config.settings import TrainingConfig  # noqa: PLC0415 - these need torch
    from pyflossing.config.template import template  # noqa: PLC0415

    settings = config_of_values(values, network, dtype) if from_legacy else None
    if as_json:
        write_json((settings or TrainingConfig()).to_dict())
    else:
        write_line((template() if settings is None else settings.to_toml()).rstrip("\n"))


def _print_legacy(path: Path, as_json: bool) -> None:
    from pyflossing.config.settings import TrainingConfig  # noqa: PLC0415
    from pyflossing.model.networks import network_from_name  # noqa: PLC0415

    settings = TrainingConfig.load(require_file(path, "a TOML file of settings"))
    values, kind = settings.to_legacy(), settings.network.kind
    plain = settings.network == network_from_name(kind)
    if as_json:
        write_json({"values": values, "network": kind, "default_constants": plain, "dtype": settings.dtype})
        return
    write_line(", ".join(map(repr, values)))
    if sys.stderr is not None and (kind, settings.dtype) != ("spiking", "float32"):
        complain(f"not among the values: --network {kind} --dtype {settings.dtype}")
    if not plain:
        complain(f"note: the network's constants differ from the default ones of {kind!r}, and have no legacy form")
