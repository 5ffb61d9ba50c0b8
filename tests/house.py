"""The rooms of the package, the order in which the README lists them, and who imports whom."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path


def rooms_of_the_readme(text: str) -> list[str]:
    """The rooms in the order of the README's map, the lowest first."""
    table = text.split("## Where things are")[1].split("\n## ", maxsplit=1)[0]
    return re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)


def imports_of(package: Path) -> dict[str, set[str]]:
    """For each module of a package, by dotted names, the modules of the package that it imports anywhere in it."""
    files = {name_of(path, package): path for path in sorted(package.rglob("*.py"))}
    return {name: set(_imported(name, path, files)) - {name} for name, path in files.items()}


def name_of(path: Path, package: Path) -> str:
    """A file's dotted name as a module; a package's is that of its folder."""
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """The room in which a module is; "" for the package's own two."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] != "__main__" else ""


def against_the_order(imports: dict[str, set[str]], order: list[str]) -> list[str]:
    """Imports from a room that does not come before the importing one; the package itself comes last."""
    place = {room: i for i, room in enumerate([*order, ""])}
    return [
        f"{module} imports {target}"
        for module, targets in imports.items()
        for target in sorted(targets)
        if room_of(module) != room_of(target) and place[room_of(target)] > place[room_of(module)]
    ]


def circle(imports: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle, in order; none if there is no circle."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return [str(module) for module in error.args[1]]
    return []


def _imported(module: str, path: Path, files: dict[str, Path]) -> Iterator[str]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in files)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                found = f"{source}.{alias.name}" if f"{source}.{alias.name}" in files else source
                if found in files:
                    yield found
