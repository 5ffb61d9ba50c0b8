"""What a command's argument names: a file of settings, a result, or a run's folder."""

from __future__ import annotations

from pathlib import Path

from pyflossing.cli.errors import Refused, require_file
from pyflossing.config.settings import TrainingConfig
from pyflossing.runs.folder import CONFIG, result_so_far
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
        return result_so_far(path) or TrainingConfig.load(path / CONFIG)
    require_file(path, "a file of settings or a result")
    return TrainingConfig.load(path) if path.suffix == ".toml" else TrainingResult.load(path)
