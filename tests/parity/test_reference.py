"""The Julia reference by itself: its own tests, and the include that the README shows."""

from __future__ import annotations

import os
import subprocess

import numpy as np
import pytest

from parity.sources import reference_folder
from pyflossing import generateInputOutput, trainRNNflossing, trainSRNNflossing

pytestmark = pytest.mark.julia
COMPILES_FASTER = ["-g0"]
"""Backtraces without names and lines; where a test set failed is said all the same."""


def julia_run(installation, *arguments, cwd):
    return subprocess.run(
        [str(installation.executable), *COMPILES_FASTER, "--startup-file=no", *arguments],
        cwd=cwd,
        env=os.environ | dict(installation.environment),
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_reference_passes_its_own_tests(julia_installation, tmp_path):
    result = julia_run(julia_installation, str(reference_folder() / "test" / "runtests.jl"), cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("Test Summary") == 7


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


def test_include_in_a_plain_session_gives_the_training_functions(julia_installation, tmp_path):
    """Progress arrives through a pipe while a run goes on; the last run is stopped by its reader."""
    # fmt: off
    values = (
        8, 4, 2, 2, 2, 1, 3, 1, 12, 14, 16, 1, 1, 1, 1, 0.001, 0.9, 0.999, 1, 1.0, 0.0, 1.0, 2,
        1.0, 0.0, 1.0, 0.0, 0.1, 0.0, 2, -1, 3, 0.0,
    )
    # fmt: on
    program = f"""
        include({str(reference_folder() / "SurrogateGradientFlossing_ExampleCode.jl")!r})
        for train in (trainSRNNflossing, trainRNNflossing)
            result = train{values}
            display(result)
            println()
            println("losses ", join(result.loss, " "))
        end
        trainRNNflossing{(values[0], 10**5, *values[2:])}
    """.replace("'", '"')
    with subprocess.Popen(
        [str(julia_installation.executable), *COMPILES_FASTER, "--startup-file=no", "-e", program],
        cwd=tmp_path,
        env=os.environ | dict(julia_installation.environment),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        lines = [process.stdout.readline()]
        while lines[-1] and "/100000  loss " not in lines[-1]:
            lines.append(process.stdout.readline())
        process.kill()
    said = "".join(lines)
    assert "epoch 4/4  loss " in said
    assert said.count("training of 8 units: 4 epochs, loss ") == 2
    assert said.count("fields: loss, accuracy, spectra") == 2
    assert len(said.splitlines()) < 40
    assert "/100000  loss " in lines[-1]
    losses = [line.split()[1:] for line in lines if line.startswith("losses ")]
    for train, theirs in zip((trainSRNNflossing, trainRNNflossing), losses, strict=True):
        ours = train(*values, progress=False).loss
        # Float32 over four epochs; the report derives its bounds
        np.testing.assert_allclose(ours, np.array(theirs, dtype=float), rtol=1e-4)
