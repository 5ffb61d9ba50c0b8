"""Numbers of one job kept in a file with the settings that gave them, and the report beside a figure."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyflossing._support.errors import DamagedFileError
from pyflossing._support.files import write_atomically
from pyflossing._support.json import standard_json
from pyflossing.training.result import versions

Arrays = dict[str, npt.NDArray[np.float64]]


def kept(file: Path, settings: dict[str, Any], compute: Callable[[], Arrays]) -> Arrays:
    """The arrays that ``compute`` gives, from the file if it holds those of the same settings.

    The file is JSON; floats come back bit for bit. Its "seconds" are the job's, "versions" what computed it.

    Raises:
        DamagedFileError: a ValueError: the file is damaged, or none of ours.
    """
    settings = json.loads(json.dumps(settings))
    if file.exists():
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            if found["settings"] == settings:
                return {name: np.array(values, dtype=np.float64) for name, values in found["arrays"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedFileError(f"{file} is not a job of a figure, or it is damaged ({error}); delete it") from error
    started = time.perf_counter()
    arrays = compute()
    job = {
        "settings": settings,
        "arrays": {name: np.asarray(values).tolist() for name, values in arrays.items()},
        "seconds": round(time.perf_counter() - started, 3),
        "versions": versions(),
    }
    _write(file, json.dumps(job, indent=1))  # Python's JSON keeps numbers that are not finite
    return arrays


def write_report(file: Path, report: dict[str, Any]) -> None:
    """Write standard JSON, atomically, making the folder if there is none."""
    _write(file, standard_json(report))


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, (text + "\n").encode())


def seconds(files: list[Path]) -> float:
    """The seconds that all jobs took together."""
    return round(sum(float(json.loads(file.read_text(encoding="utf-8"))["seconds"]) for file in files), 3)
