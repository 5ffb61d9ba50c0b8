"""The documentation tells the truth: its code runs, its names exist, its tables are complete."""

from __future__ import annotations

import ast
import os
import re
import subprocess
from dataclasses import fields
from importlib import import_module

import matplotlib as mpl
import pytest
from page_code import DOCS, ROOT, blocks, named, without_numbers
from warm import commands

from parity.checks import all_checks
from parity.runner import select
from pyflossing import BinaryNetwork, Flossing, SpikingNetwork, Trials
from pyflossing.figures import FIGURES

mpl.use("Agg")
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
MAP = (DOCS / "paper_map.md").read_text(encoding="utf-8")


def test_the_tutorial_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{commands()}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    names = {"__name__": "page"}
    said = ""
    for language, text in blocks(DOCS / "tutorial.md", "sh", "python", "text"):
        if language == "sh":
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
            said = done.stdout
        elif language == "python":
            exec(compile(text, "tutorial.md", "exec"), names)
        else:
            # numbers depend on the machine, and a slow one tells its progress more often
            lines = iter(without_numbers(said))
            assert all(line in lines for line in without_numbers(text)), f"the page says\n{text}\nbut it was\n{said}"
    assert {"quick.png", "accuracy.png", "legacy.toml"} <= {path.name for path in tmp_path.iterdir()}
    assert "'J': (40, 40)" in capsys.readouterr().out


def rows(section):
    """The cells of a table's rows, for each row the code in its last cell."""
    table = MAP.split(f"## {section}")[1].split("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("|")][2:]
    found = [re.findall(r"`([^`]+)`", line.rsplit("|", 2)[1]) for line in lines]
    assert found
    assert all(found), "a row names nothing"
    return [name for names in found for name in names]


@pytest.mark.parametrize("name", rows("Equation → function"))
def test_every_function_of_the_paper_map_exists(name):
    found = named(name)
    assert callable(found)
    assert found.__doc__


def test_every_command_of_the_paper_map_exists_and_every_figure_has_its_command():
    commands = [command.split() for command in rows("Figure → command")]
    assert all(words[0] == "pyflossing" for words in commands)
    assert {words[2] for words in commands if words[1] == "figure"} == set(FIGURES)
    assert {words[1] for words in commands} == {"figure", "parity"}


@pytest.mark.parametrize("name", rows("Test → claim"))
def test_every_test_and_check_of_the_paper_map_exists(name):
    if name.startswith("parity: "):
        assert select(all_checks(), [name.removeprefix("parity: ")])
        return
    file, test = name.split("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    prose = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\((?!https:)([^)#]+)", prose):
        assert (page.parent / target).exists(), target


def test_names_of_settings_and_classes_in_differences_exist():
    text = (DOCS / "differences.md").read_text(encoding="utf-8")
    legacy = import_module("pyflossing.config.legacy").LEGACY_PARAMETERS
    known = {parameter.name for parameter in legacy} | set(dir(import_module("pyflossing")))
    sections = (Flossing, Trials, BinaryNetwork, SpikingNetwork)
    known |= {f"{section.__name__}.{entry.name}" for section in sections for entry in fields(section)}
    known |= {"AdaptiveSchedule", "SpikingNetwork.published", "SpikingNetwork.per_step", "MersenneTwister", "shuffle!"}
    known |= {
        "reference/",
        "parity/checks/bounds.py",
        "SurrogateGradientFlossing_ExampleCode.jl",
        "sign(0) = -1",
        "sIn = 0",
    }
    known |= {"delay 2^h", "2 delay"}
    for name in re.findall(r"`([^`]+)`", text):
        assert name.removesuffix("()") in known, name
