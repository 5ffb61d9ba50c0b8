"""The Julia reference by itself: its own tests, and the include that the README shows."""

from __future__ import annotations

import os
import subprocess

import numpy as np
import pytest

from parity.sources import reference_folder
from pyflossing import generateInputOutput, trainRNNflossing, trainSRNNflossing

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
    # nearly all of its time is compilation, hence little optimisation
    result = julia_run(julia_installation, "-O1", str(reference_folder() / "test" / "runtests.jl"), cwd=tmp_path)
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
            println("losses ", join(result.loss, " "))
        end
    """.replace("'", '"')
    result = julia_run(julia_installation, "-O1", "-e", program, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "epoch 4/4  loss " in result.stdout
    losses = [line.split()[1:] for line in result.stdout.splitlines() if line.startswith("losses ")]
    for train, theirs in zip((trainSRNNflossing, trainRNNflossing), losses, strict=True):
        ours = train(*values, progress=False).loss
        # Float32 over four epochs; the report derives its bounds
        np.testing.assert_allclose(ours, np.array(theirs, dtype=float), rtol=1e-4)


def test_progress_arrives_while_the_run_goes_on_and_a_result_is_shown_in_few_lines(julia_installation, tmp_path):
    """Through a pipe, where Julia would else keep the lines; the run is stopped by its reader."""
    program = f"""
        include({str(reference_folder() / "SurrogateGradientFlossing_ExampleCode.jl")!r})
        call(E) = trainSRNNflossing(8, E, 10^6, 0, 0, 0, 3, 1, 12, 14, 16, 1, 1, 1, 1, 0.001, 0.9, 0.999, 1, 1.0, 0.0,
            1.0, 2, 1.0, 0.0, 1.0, 0.0, 0.1, 0.0, 2, -1, 3, 0.0)
        display(call(3))
        println()
        call(10^5)
    """.replace("'", '"')
    found = julia_installation
    with subprocess.Popen(
        [str(found.executable), "--startup-file=no", "-e", program],
        cwd=tmp_path,
        env=os.environ | dict(found.environment),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        lines = [process.stdout.readline() for _ in range(7)]
        process.kill()
    assert [line.split("  ")[0] for line in lines[:3]] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert lines[3].startswith("training of 8 units: 3 epochs, loss ")
    assert lines[5].startswith("fields: loss, accuracy, spectra")
    assert lines[6].startswith("epoch 1/100000  loss ")
