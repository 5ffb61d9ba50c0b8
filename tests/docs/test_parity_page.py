"""The page on one's own port is tried as it stands, from an empty folder."""

from __future__ import annotations

import os
import re
import shlex
import subprocess

import pytest
from page_code import DOCS, ROOT, without_numbers
from warm import commands

PAGE = DOCS / "parity.md"
#: A file's name in the sentence before its block.
FILE = re.compile(r"`([\w.]+\.(?:jl|py))`[^`]*\Z")


def steps():
    """The blocks of the page in order: language, text, and the name of the file that the sentence before it gives."""
    text = PAGE.read_text(encoding="utf-8")
    end = 0
    for found in re.finditer(r"^```(\w+)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
        name = FILE.search(text[end : found.start()].rstrip().split("\n\n")[-1])
        yield found[1], found[2], name and name[1]
        end = found.end()


def run_command(text, folder, environment):
    if "parity run" in text:  # these values were recorded; Julia would compile for a quarter of a minute
        text = f"{text.strip()} --julia recorded"
    if "-m pytest" in text:  # where this checkout is not installed, or was before it had the entry point
        text = f"{text.strip()} -p parity.pytest_plugin"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


def words(text):
    """Lines as their words, numbers as #: both depend on the machine, and so does where lines are broken."""
    return " ".join(" ".join(without_numbers(text)).split())


@pytest.mark.julia
def test_the_page_runs_as_it_stands(tmp_path, julia_installation):
    named = {"PYFLOSSING_JULIA": str(julia_installation.executable), **julia_installation.environment}
    path = f"{commands()}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | named | {"PATH": path, "PYTHONPATH": str(ROOT)}
    code, said, n_files = 0, "", 0
    for language, text, name in steps():
        if name and language in ("julia", "python"):
            (tmp_path / name).write_text(text, encoding="utf-8")
            n_files += 1
        elif language == "sh":
            code, said = run_command(text, tmp_path, environment)
        elif language == "python":
            code, said = run_command(f"python -c {shlex.quote(text)}", tmp_path, environment)
        elif language == "text":
            assert code == (1 if "FAILED" in text else 0), said
            for line in [line for line in text.splitlines() if line.strip() and not set(line) <= {"-"}]:
                # of a failure only where it is: its numbers, and so the lines, depend on the machine
                told = words(line.split("(-0x")[0].split("largest")[0])
                assert told in words(said), f"the page says\n{line}\nbut it was\n{said}"
    assert n_files == 4
    assert (tmp_path / "parity-report" / "runs" / "legacy-tanh" / "run.png").stat().st_size > 10_000
