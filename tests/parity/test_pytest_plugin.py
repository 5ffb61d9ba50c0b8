"""The plugin is off until a test uses it, and says what is missing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from page_code import ROOT

TEST = """
import sys

import pytest

def test_without():
    assert "numpy" not in sys.modules

@pytest.mark.julia
def test_it(julia):
    julia.call("f")
"""


@pytest.mark.parametrize(("required", "told"), [("false", "1 passed, 1 skipped"), ("true", "1 passed, 1 error")])
def test_without_a_julia_its_tests_are_skipped_or_fail_and_the_others_load_nothing(tmp_path, required, told):
    (tmp_path / "test_it.py").write_text(TEST)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\njulia_required = {required}\naddopts = --strict-markers -rs\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "parity.pytest_plugin", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "PYFLOSSING_JULIA": "/nowhere/julia",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert told in done.stdout, done.stdout + done.stderr
    assert "there is no Julia" in done.stdout
