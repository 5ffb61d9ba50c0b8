"""The original's 33 values as they are typed, or pasted from a call: ``80 3001 100`` or ``80, 3001, 100``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from pyflossing._support.words import shortened
from pyflossing.cli.errors import Refused

if TYPE_CHECKING:
    from pyflossing.config.settings import TrainingConfig

Values = Annotated[
    list[str] | None,
    typer.Argument(metavar="VALUES", show_default=False, help="The 33 values in order; commas are ignored."),
]
Network = Annotated[str, typer.Option("--network", help="tanh, binary or spiking.")]
Dtype = Annotated[str, typer.Option("--dtype", help="float32 or float64.")]

CONTEXT = {"ignore_unknown_options": True}
"""For commands that take the values: -1 is a value, no option."""


def config_of_values(values: Sequence[str] | None, network: str, dtype: str) -> TrainingConfig:
    """The configuration of the typed values.

    Raises:
        Refused: not 33 values, or one that is no number.
        ValueError: a value out of range, naming it.
    """
    from pyflossing.config.legacy import LEGACY_PARAMETERS, typed_number  # noqa: PLC0415
    from pyflossing.config.settings import TrainingConfig  # noqa: PLC0415 - these need torch

    words = " ".join(values or ()).replace(",", " ").split()
    names = [parameter.name for parameter in LEGACY_PARAMETERS]
    unknown = [word for word in words if word.startswith("--")]
    if unknown:
        raise Refused(f"there is no option {shortened(unknown[0])} (see --help)")
    if len(words) != len(names):
        raise Refused(f"{len(names)} values are needed, not {len(words)}: {' '.join(names)}")
    numbers = [typed_number(name, word) for name, word in zip(names, words, strict=True)]
    return TrainingConfig.from_legacy(*numbers, network=network, dtype=dtype)  # type: ignore[arg-type]
