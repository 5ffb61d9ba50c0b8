"""Claims about the order of the house: imports run one way, and every room hands out what it says."""

from __future__ import annotations

import ast
from importlib import import_module

import pytest
from house import against_the_order, circle, imports_of, name_of, rooms_of_the_readme
from page_code import ROOT

PACKAGE = ROOT / "pyflossing"
ORDER = rooms_of_the_readme((ROOT / "README.md").read_text(encoding="utf-8"))
DOORS = sorted(path for path in PACKAGE.rglob("__init__.py"))


@pytest.fixture(scope="module")
def imports():
    """For each module of the package, those that it imports."""
    return imports_of(PACKAGE)


def test_the_map_of_the_readme_has_every_room_once():
    assert sorted(ORDER) == sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists())


def test_no_room_imports_one_that_the_map_lists_after_it(imports):
    assert against_the_order(imports, ORDER) == []


def test_no_modules_import_each_other_in_a_circle(imports):
    assert circle(imports) == []


def test_the_package_is_read_whole(imports):
    assert len(imports) == len(list(PACKAGE.rglob("*.py")))
    assert sum(map(len, imports.values())) > len(imports)
    assert "pyflossing.training.epochs" in imports["pyflossing.training.loop"]


@pytest.mark.parametrize(
    "line",
    [
        "from house.upper.guest import name",
        "from house.upper import guest",
        "import house.upper.guest",
        "from ..upper import guest",
        "def late():\n    from house.upper.guest import name",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.upper.guest import name",
    ],
)
def test_an_import_upwards_is_found_wherever_it_stands(tmp_path, line):
    house = _house(tmp_path, line)
    assert against_the_order(imports_of(house), ["lower", "upper"]) == [
        "house.lower.host imports house.upper.guest",
    ]
    assert circle(imports_of(house)) == []


def test_a_circle_is_found_within_a_room_too(tmp_path):
    house = _house(tmp_path, "def late():\n    from house.lower import other")
    (house / "lower" / "other.py").write_text("from house.lower.host import name\n")
    assert against_the_order(imports_of(house), ["lower", "upper"]) == []
    assert set(circle(imports_of(house))) == {"house.lower.host", "house.lower.other"}


def _house(folder, line):
    for room in ("lower", "upper"):
        (folder / "house" / room).mkdir(parents=True)
        (folder / "house" / room / "__init__.py").touch()
    (folder / "house" / "__init__.py").touch()
    (folder / "house" / "lower" / "host.py").write_text(line + "\n")
    (folder / "house" / "upper" / "guest.py").write_text("name = 1\n")
    return folder / "house"


@pytest.mark.parametrize("door", DOORS, ids=lambda path: name_of(path, PACKAGE))
def test_every_room_says_what_it_holds_and_has_the_names_that_it_hands_out(door):
    text = door.read_text(encoding="utf-8")
    first = (ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0]
    assert first.endswith(".")
    assert door.parent == PACKAGE or len(text.splitlines()) < 40
    room = import_module(name_of(door, PACKAGE))
    names = getattr(room, "__all__", [])
    assert all(getattr(room, name) is not None for name in names)
    assert set(names) <= set(dir(room))


@pytest.mark.parametrize("door", [door for door in DOORS if "lazily(" in door.read_text(encoding="utf-8")], ids=str)
def test_names_that_are_loaded_at_first_use_are_those_that_type_checkers_see(door):
    tree = ast.parse(door.read_text(encoding="utf-8"))
    (choice,) = [node for node in tree.body if isinstance(node, ast.If)]
    package = name_of(door, PACKAGE)
    seen = {(node.module, alias.name) for node in choice.body for alias in node.names}
    (call,) = [node for node in ast.walk(choice) if isinstance(node, ast.Call)]
    loaded = {(f"{package}.{home.arg}", name) for home in call.keywords for name in ast.literal_eval(home.value)}
    assert loaded == seen
    assert {name for _, name in loaded} == set(import_module(package).__all__) - {"__version__"}


def test_a_name_that_a_room_does_not_have_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"module 'pyflossing\.model' has no attribute 'LSTM'"):
        _ = import_module("pyflossing.model").LSTM
