"""The Julia reference by itself: its own tests, and the include that the README shows."""

from __future__ import annotations

import os
import subprocess

import pytest

from parity.sources import reference_folder
from pyflossing import generateInputOutput

pytestmark = pytest.mark.julia


def julia_run(installation, *arguments, cwd):
    return subprocess.run(
        [str(installation.executable), "--startup-file=no", *arguments],
        cwd=cwd,
        env=os.environ | dict(installation.environment),
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_reference_passes_its_own_tests(julia_installation, tmp_path):
    result = julia_run(julia_installation, str(reference_folder() / "test" / "runtests.jl"), cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("Test Summary") == 3


def test_include_in_a_plain_session_gives_the_generator_twice_over(julia_installation, tmp_path):
    program = f"""
        file = {str(reference_folder() / "GradientFlossing_XOR.jl")!r}
        include(file); include(file)
        s, target = generateInputOutput(16, 300, 3002, 1, 1.0, 10, -1)
        print(size(s), size(target), sum(s), " ", sum(target))
    """.replace("'", '"')
    result = julia_run(julia_installation, "-e", program, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    inputs, targets = generateInputOutput(16, 300, 3002, 1, 1.0, 10, -1)
    assert result.stdout == f"(300, 1, 16)(300, 1, 16){inputs.sum()} {targets.sum()}"
