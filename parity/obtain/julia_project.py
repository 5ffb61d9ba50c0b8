"""Whether a Julia project holds the PythonCall that the installed juliacall needs, as far as its files tell."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: Earlier ones read neither PYTHON_JULIACALL_EXE nor PYTHON_JULIACALL_PROJECT.
OLDEST_JULIACALL = (0, 9, 28)


def installed_juliacall() -> str:
    """The version of the Python package juliacall, or "" if it is not known."""
    try:
        return version("juliacall")
    except PackageNotFoundError:
        return ""


def reads_settings() -> bool:
    """Tell whether the installed juliacall reads the settings that name a Julia and a project."""
    numbers = [int(word) for word in installed_juliacall().split(".")[:3] if word.isdigit()]
    return not numbers or tuple(numbers) >= OLDEST_JULIACALL


def how_to_make(executable: str | Path = "julia", project: str | Path = "DIR") -> str:
    """The command that makes a project which suits the installed juliacall."""
    number = installed_juliacall() or "THE INSTALLED JULIACALL'S"
    return f'{executable} --project={project} -e \'import Pkg; Pkg.add(name="PythonCall", version="{number}")\''


def project_problem(project: Path) -> str:
    """What is wrong with PythonCall in a project (a folder or its Project.toml), or "" where nothing is seen."""
    folder = project if project.is_dir() else project.parent
    manifests = [path for pattern in ("Manifest*.toml", "JuliaManifest*.toml") for path in sorted(folder.glob(pattern))]
    if not manifests:
        projects = [folder / "Project.toml", folder / "JuliaProject.toml"]
        return (
            "" if any(path.exists() for path in projects) else f"{project} is no Julia project: it has no Project.toml"
        )
    found = [number for path in manifests if (number := _pythoncall_version(path)) is not None]
    if not found:
        return f"the project {project} does not hold PythonCall"
    wanted = installed_juliacall()
    if wanted and found != ["?"] and wanted not in found:
        return f"the project {project} holds PythonCall {found[0]}, and the installed juliacall is {wanted}"
    return ""


def _pythoncall_version(manifest: Path) -> str | None:
    """The version, "?" where the file does not tell, None where PythonCall is not in it."""
    try:
        content: dict[str, Any] = tomllib.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "?"
    # Since Julia 1.6.2 the packages lie below "deps".
    packages = content.get("deps", content)
    entries = packages.get("PythonCall") if isinstance(packages, dict) else None
    if not isinstance(entries, list) or not entries or not isinstance(entries[0], dict):
        return None
    return str(entries[0].get("version", "?"))
