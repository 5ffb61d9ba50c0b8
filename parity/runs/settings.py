"""Which run is meant: settings in a file, a run's folder, or the original's 33 values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from parity.checks.cases import julia_network
from pyflossing._support.arguments import require_choice
from pyflossing.config import TrainingConfig
from pyflossing.config.legacy import LEGACY_PARAMETERS, typed_number, without_legacy_form
from pyflossing.model.networks import BinaryNetwork, SpikingNetwork, TanhNetwork
from pyflossing.runs.folder import CONFIG, result_so_far
from pyflossing.training.result import TrainingResult

DEFAULT_NETWORK, DEFAULT_DTYPE = "spiking", "float32"


@dataclass(frozen=True)
class Wanted:
    """A run that is to be compared.

    Attributes:
        config: its settings.
        title: for people and file names.
        result: numbers that were recorded when it ran, or None.
    """

    config: TrainingConfig
    title: str
    result: TrainingResult | None = None


def wanted(words: Sequence[str], network: str | None = None, dtype: str | None = None) -> Wanted:
    """The run that the words of a command mean.

    Args:
        words: the path of a TOML file, a result or a run's folder; or the 33 values, with or without commas.
        network: "tanh", "binary" or "spiking", with the 33 values only.
        dtype: "float32" or "float64", with the 33 values only.

    Raises:
        ValueError: neither, or settings that are not allowed, naming what is wrong.
        OSError: a file cannot be read.
    """
    given = " ".join(words).replace(",", " ").split()
    if len(words) == 1 and (len(given) != len(LEGACY_PARAMETERS) or Path(words[0]).exists()):
        if network is not None or dtype is not None:
            option = "--network" if network is not None else "--dtype"
            raise ValueError(f"{option} belongs to the 33 values; {words[0]} says itself what it is")
        return _of_path(Path(words[0]))
    names = [parameter.name for parameter in LEGACY_PARAMETERS]
    if len(given) != len(names):
        raise ValueError(
            f"a TOML file, a run's folder, or {len(names)} values are needed, not {len(given)}: {' '.join(names)}"
        )
    numbers = [typed_number(name, word) for name, word in zip(names, given, strict=True)]
    kind = DEFAULT_NETWORK if network is None else network
    of_type = require_choice("--dtype", DEFAULT_DTYPE if dtype is None else dtype, ("float32", "float64"))
    config = TrainingConfig.from_legacy(*numbers, network=kind, dtype=cast(Literal["float32", "float64"], of_type))
    return Wanted(config, f"legacy-{kind}")


def require_expressible(config: TrainingConfig) -> TrainingConfig:
    """Settings that the Julia reference has too.

    Raises:
        ValueError: one that it has not, by its name.
    """
    if not isinstance(config.network, TanhNetwork | BinaryNetwork | SpikingNetwork):
        raise ValueError(f"the Julia reference has no network {config.network!r}: only tanh, binary and spiking ones")
    refused = [f"{error.field} = {error.value} ({error.allowed})" for error in without_legacy_form(config)]
    if refused:
        raise ValueError(f"the Julia reference cannot express {', '.join(refused)}")
    try:
        julia_network(config.network)
    except ValueError as error:
        raise ValueError(f"the Julia reference cannot express this network: {error}") from None
    if config.n_epochs == 0:
        raise ValueError("n_epochs = 0: there is nothing to compare")
    return config


def _of_path(path: Path) -> Wanted:
    if path.is_dir():
        return _of_folder(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}")
    if path.suffix == ".toml":
        return Wanted(TrainingConfig.load(path), path.stem)
    result = TrainingResult.load(path)
    return Wanted(result.config, path.stem, result)


def _of_folder(folder: Path) -> Wanted:
    if not (folder / CONFIG).is_file():
        raise FileNotFoundError(f"{folder} holds no run: there is no {CONFIG} in it")
    return Wanted(TrainingConfig.load(folder / CONFIG), folder.resolve().name, result_so_far(folder))
