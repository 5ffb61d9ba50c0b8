"""A Julia that juliacall can load: from its settings, else from juliapkg."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from parity.obtain import processes
from parity.obtain.environment import for_julia, without_libraries
from parity.obtain.julia_project import (
    OLDEST_JULIACALL,
    how_to_make,
    installed_juliacall,
    project_problem,
    reads_settings,
)
from parity.obtain.model import OLDEST_FOR_JULIACALL, Attempt, JuliaInstallation, Say, dotted
from parity.obtain.probe import probe

SETTINGS = "juliacall settings"
JULIAPKG = "juliapkg"
EXECUTABLE_VARIABLE = "PYTHON_JULIACALL_EXE"
PROJECT_VARIABLE = "PYTHON_JULIACALL_PROJECT"
#: Whoever sets one of these has named the Julia for juliacall.
NAMING = (EXECUTABLE_VARIABLE, PROJECT_VARIABLE, "PYTHON_JULIAPKG_EXE", "PYTHON_JULIAPKG_PROJECT")
DEFAULT_TIMEOUT = 300.0

SET_BOTH = (
    f"set both {EXECUTABLE_VARIABLE} (a Julia {dotted(OLDEST_FOR_JULIACALL)} or newer) and "
    f"{PROJECT_VARIABLE} (the folder of a Julia project that holds PythonCall)"
)

# A dry run tells whether everything is already resolved, without downloading anything.
_QUESTION = """
import json, sys
import juliapkg
ready = juliapkg.resolve(dry_run=sys.argv[1] == "look")
answer = [juliapkg.executable(), juliapkg.project()] if ready else None
print()
print("pyflossing-juliapkg", json.dumps(answer))
"""
_MARK = "pyflossing-juliapkg "


def through_juliacall(*, download: bool, say: Say, timeout: float, probe_timeout: float) -> Attempt:
    """Look for a Julia together with a project that holds PythonCall."""
    attempt = _through_juliacall(download, say, timeout, probe_timeout)
    named_by = [name for name in NAMING if os.environ.get(name)]
    if attempt.found is not None or not named_by:
        return replace(attempt, named=bool(named_by))
    whole = " and ".join(named_by)
    remedy = f"{attempt.remedy}; or unset {whole}; or leave juliacall out with `--julia executable`"
    return replace(attempt, remedy=remedy, named=True)


def _through_juliacall(download: bool, say: Say, timeout: float, probe_timeout: float) -> Attempt:
    # Importing juliacall would start Julia in this very process.
    if importlib.util.find_spec("juliacall") is None:
        return Attempt(JULIAPKG, None, "juliacall is not installed", "install the Python package juliacall")
    executable, project = os.environ.get(EXECUTABLE_VARIABLE), os.environ.get(PROJECT_VARIABLE)
    if executable or project:
        return _from_settings(executable, project, probe_timeout)
    return _from_juliapkg(download, say, timeout, probe_timeout)


def _from_settings(executable: str | None, project: str | None, timeout: float) -> Attempt:
    if not reads_settings():
        detail = f"juliacall {installed_juliacall()} does not read {EXECUTABLE_VARIABLE} and {PROJECT_VARIABLE}"
        return Attempt(SETTINGS, None, detail, f"install juliacall {'.'.join(map(str, OLDEST_JULIACALL))} or later")
    if not executable or not project:
        alone = EXECUTABLE_VARIABLE if executable else PROJECT_VARIABLE
        return Attempt(SETTINGS, None, f"{alone} is set alone, which juliacall refuses", SET_BOTH)
    # juliacall itself looks a bare name up on PATH.
    resolved = shutil.which(executable)
    if resolved is None:
        detail = f"{EXECUTABLE_VARIABLE} names something that is not an executable file: {executable}"
        return Attempt(SETTINGS, None, detail, SET_BOTH)
    if not Path(project).exists():
        detail = f"{PROJECT_VARIABLE} names something that does not exist: {project}"
        return Attempt(SETTINGS, None, detail, f"make the project: {how_to_make(executable, project)}")
    return _judge(Path(resolved), Path(project), SETTINGS, timeout)


def _from_juliapkg(download: bool, say: Say, timeout: float, probe_timeout: float) -> Attempt:
    remedy = f"see that juliapkg can reach the network, or {SET_BOTH}"
    if download:
        say("Asking juliapkg for a Julia (the first time, it may download one) ...")
    command = [sys.executable, "-c", _QUESTION, "fetch" if download else "look"]
    try:
        outcome = processes.run_guarded(command, timeout=timeout, environment=for_julia(without_libraries()))
    except OSError as error:
        return Attempt(JULIAPKG, None, f"Python cannot be started to ask juliapkg: {error}", remedy)
    if outcome.status != 0:
        return Attempt(JULIAPKG, None, f"juliapkg {outcome.account}", remedy)
    marked = [line for line in outcome.output.splitlines() if line.startswith(_MARK)]
    answer = json.loads(marked[-1].removeprefix(_MARK)) if marked else None
    if answer is None:
        detail = "juliapkg has no Julia ready, and this look-up downloads nothing"
        fetch = "let `python -m parity` have juliapkg fetch one, if juliapkg can reach the network"
        return Attempt(JULIAPKG, None, detail, f"{fetch}, or {SET_BOTH}")
    executable, project = answer
    return _judge(Path(executable), Path(project), JULIAPKG, probe_timeout)


def _judge(executable: Path, project: Path, origin: str, timeout: float) -> Attempt:
    executable, project = executable.absolute(), project.absolute()
    # In the environment of the worker, which must not find another Julia's libraries.
    environment = without_libraries()
    seen = probe(executable, environment=environment, oldest=OLDEST_FOR_JULIACALL, timeout=timeout)
    if seen.version is None or seen.problem:
        return Attempt(origin, None, seen.problem, SET_BOTH)
    problem = project_problem(project)
    if problem:
        return Attempt(origin, None, problem, f"make a project for it: {how_to_make(executable)}")
    found = JuliaInstallation(executable, environment, seen.version, origin, project)
    return Attempt(origin, found, f"Julia {dotted(seen.version)} at {executable}, project {project}", "")
