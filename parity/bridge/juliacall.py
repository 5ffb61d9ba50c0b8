"""Julia inside a Python worker process, through juliacall."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from parity.bridge.process import ProcessConnection
from parity.obtain.environment import for_julia, without_libraries
from parity.sources import reference_folder

_IMPORT_FOLDER = str(Path(__file__).resolve().parents[2])


class JuliacallConnection(ProcessConnection):
    """Serves the functions of `module_name` in `module_file` from a worker that has imported juliacall.

    `executable` is a Julia that the installed juliacall admits (1.10.3 or later), `project` a Julia project
    that holds PythonCall. A worker, because Julia has to be loaded before numpy and torch, and because a
    Julia inside this process could neither be interrupted nor crash alone. The first start precompiles for
    about half a minute.
    """

    def __init__(
        self,
        executable: Path,
        project: Path,
        module_file: Path,
        module_name: str,
        *,
        start_timeout: float = 600.0,
    ) -> None:
        command = [
            sys.executable,
            "-m",
            "parity.bridge.juliacall_worker",
            str(reference_folder() / "bridge" / "Bridge.jl"),
            str(Path(module_file).resolve()),
            module_name,
        ]
        super().__init__("juliacall", command, _environment(executable, project), start_timeout)


def _environment(executable: Path, project: Path) -> dict[str, str]:
    # The user's other settings of juliacall (an image, a library, options) are not for this worker.
    environment = {
        name: value
        for name, value in for_julia(without_libraries()).items()
        if not name.startswith("PYTHON_JULIACALL_")
    }
    inherited = environment.get("PYTHONPATH")
    return environment | {
        "PYTHONPATH": os.pathsep.join([_IMPORT_FOLDER, *([inherited] if inherited else [])]),
        "PYTHONSAFEPATH": "1",  # nothing is imported from the current folder
        # Both are needed: then juliacall neither downloads a Julia nor resolves a project of its own.
        "PYTHON_JULIACALL_EXE": str(Path(executable).absolute()),
        "PYTHON_JULIACALL_PROJECT": str(Path(project).absolute()),
        "PYTHON_JULIACALL_HANDLE_SIGNALS": "yes",
        "PYTHON_JULIACALL_THREADS": "1",
        "PYTHON_JULIACALL_STARTUP_FILE": "no",
        "OPENBLAS_NUM_THREADS": "1",
    }
