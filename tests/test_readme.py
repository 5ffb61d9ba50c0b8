"""The README's code runs as it stands, the long runs in small versions, and what it names exists."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
from page_code import ROOT, blocks, without_numbers
from parity_command import parity
from sweep_cases import sweep
from warm import commands

from pyflossing.config.legacy import LEGACY_PARAMETERS

PAGE = ROOT / "README.md"
TEXT = PAGE.read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PYTHON = [block.text for block in blocks(PAGE, "python")]
INSTALL, TERMINAL, MAKE = (block.text for block in blocks(PAGE, "sh"))
*SAID, REPORT = (block.text for block in blocks(PAGE, "text"))


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_its_python_runs_and_says_what_it_shows(number, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, changes = smaller(PYTHON[number])
    exec(compile(code, "README.md", "exec", dont_inherit=True), {})
    said = capsys.readouterr().out
    assert said
    assert changes == code.count("trainSRNNflossing(")
    if number < len(SAID):  # numbers depend on the machine
        assert without_numbers(said) == without_numbers(SAID[number])


def smaller(text):
    """The original's call in a version of three epochs, and how many there were."""
    return re.subn(r"\b80(,?) 3001\1 100\1 500\1 500\1 2\b", r"80\1 3\1 2\1 1\1 1\1 1", text)


def test_it_has_two_short_examples_with_their_output_and_the_legacy_call():
    assert [len(PYTHON), len(SAID)] == [3, 2]
    assert "trainSRNNflossing(" in PYTHON[-1]


def test_the_commands_for_a_terminal_run_in_their_order(tmp_path):
    sweep(n_epochs=2).save(tmp_path / "my-sweep.toml")
    first, rest = TERMINAL.split("\n", 1)
    assert first.startswith("pyflossing config > my.toml")
    changes = "s/^n_epochs = .*/n_epochs = 3/; s/^before = .*/before = 2/; s/^n_episodes = .*/n_episodes = 0/"
    edited = f"sed -i '{changes}' my.toml"
    program = f"{first}\n{edited}\n{smaller(rest)[0]}"
    path = f"{commands()}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PATH": path, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert {"my.png", "runs", "sweeps"} <= {path.name for path in tmp_path.iterdir()}


def test_the_installation_names_extras_that_exist_and_commands_that_debian_has():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extra in re.findall(r"\[([\w,]+)\]", INSTALL)[0].split(","):
        assert re.search(rf"^{extra} = \[", project, flags=re.MULTILINE), extra
    outside, inside = INSTALL.split(". .venv/bin/activate\n")  # only inside are there python and pip
    assert outside.splitlines() == ["sudo apt-get install --yes python3-venv make", "python3 -m venv .venv"]
    assert all(line.startswith("pip install ") for line in inside.splitlines())


def test_its_make_targets_and_variables_exist():
    commands = [*MAKE.splitlines(), *re.findall(r"`(make [^`]+)`", TEXT)]
    assert {"make parity", "make test", "make docs"} <= set(commands)
    for command in commands:
        for word in command.split()[1:]:
            name = word.partition("=")[0]
            assert re.search(rf"^(ifdef )?{name}\b", MAKEFILE, flags=re.MULTILINE), command


def test_the_part_of_a_report_is_that_of_its_command(tmp_path):
    (words,) = re.findall(r"`\.venv/bin/python -m parity (--only [^`]+)`", TEXT)
    done = parity("--julia", "recorded", *words.split(), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    shown, made = REPORT.splitlines(), done.stdout.splitlines()
    (counts,) = [line for line in shown if " comparisons (" in line]  # made, passed, failed and skipped
    assert counts in made
    rows = [line for line in shown[2:] if line[:1].isalpha() and "/" in line]
    assert len(rows) == 5
    for row in rows:
        assert cells(row)[:-1] in [cells(line)[:-1] for line in made], row  # the result is the machine's


def cells(row):
    """The cells of a table's line."""
    return re.split(r" {2,}", row.strip())


def test_where_things_are_found_is_where_they_are():
    rows = TEXT.split("| to find | look at |")[1].split("\n\n")[0].splitlines()[2:]
    assert len(rows) == 3
    for path in re.findall(r"`(pyflossing/[\w/]+\.py)`", "\n".join(rows)):
        assert (ROOT / path).is_file(), path
    (file,) = re.findall(r"`qr_adjoint` in `([\w/.]+)`", TEXT)
    assert "def qr_adjoint(" in (ROOT / file).read_text(encoding="utf-8")


def test_it_says_what_tp_is_called():
    (field,) = [parameter.field for parameter in LEGACY_PARAMETERS if parameter.name == "Tp"]
    assert f"`Tp` is `{field}`" in TEXT
