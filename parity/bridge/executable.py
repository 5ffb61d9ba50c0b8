"""Julia as a separate program."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from parity.bridge.process import ProcessConnection
from parity.obtain.environment import for_julia
from parity.sources import reference_folder


class ExecutableConnection(ProcessConnection):
    """Runs `executable` (any Julia from 1.5 on) and serves the functions of `module_name` in `module_file`.

    `environment` holds complete values that replace this process's own. With a `project` its packages can be loaded,
    without one the standard library only. One thread for Julia and for BLAS, so that
    numbers do not depend on the machine's load.
    """

    def __init__(
        self,
        executable: Path,
        environment: Mapping[str, str],
        module_file: Path,
        module_name: str,
        *,
        project: Path | None = None,
        start_timeout: float = 120.0,
    ) -> None:
        command = [
            str(executable),
            "--startup-file=no",
            "--history-file=no",
            "--color=no",
            str(reference_folder() / "bridge" / "server.jl"),
            str(Path(module_file).resolve()),
            module_name,
        ]
        super().__init__("executable", command, _environment(environment, project), start_timeout)


def _environment(additions: Mapping[str, str], project: Path | None) -> dict[str, str]:
    # The reference needs the standard library only; the user's own packages must not change what it does.
    fixed = {"JULIA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "JULIA_LOAD_PATH": "@stdlib"}
    if project is not None:
        fixed["JULIA_LOAD_PATH"] = os.pathsep.join([str(Path(project).absolute()), "@stdlib"])
    return for_julia({**additions, **fixed})
