"""What a command's argument names: a file of settings, a result, or a run's folder."""

from __future__ import annotations

from pathlib import Path

from pyflossing.cli.errors import Refused, require_file
from pyflossing.config.settings import TrainingConfig
from pyflossing.runs.checkpoints import Checkpoint
from pyflossing.runs.folder import CHECKPOINT, CONFIG, RESULT, of_config
from pyflossing.training.result import TrainingResult

Source = TrainingConfig | TrainingResult


def load_source(path: Path) -> Source:
    """Settings, from a .toml file; or a result, from any other file or from a run's folder.

    The result of a run that has not ended is what its last checkpoint has: without one, its settings.

    Raises:
        Refused: there is no such file, or the folder holds no run.
        ValueError: a file cannot be read; a DamagedFileError where it is no text.
    """
    if path.is_dir():
        if not (path / CONFIG).is_file():
            raise Refused(f"{path} holds no run: there is no {CONFIG} in it")
        return load_run(path) or TrainingConfig.load(path / CONFIG)
    require_file(path, "a file of settings or a result")
    return TrainingConfig.load(path) if path.suffix == ".toml" else TrainingResult.load(path)


def load_run(folder: Path) -> TrainingResult | None:
    """The result of a run's folder, or what its last checkpoint has of one; None before the first checkpoint.

    Raises:
        ValueError: a file is damaged, or of other settings than the folder's.
    """
    config = TrainingConfig.load(folder / CONFIG)
    if (folder / RESULT).exists():
        return of_config(TrainingResult.load(folder / RESULT), config, folder / RESULT)
    try:
        found = of_config(Checkpoint.load(folder / CHECKPOINT), config, folder / CHECKPOINT)
    except FileNotFoundError:
        return None
    return found.history.result(found.config, found.initial, found.state.parameters, found.elapsed_seconds)
