"""Claims about the package as it is installed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import venv
from pathlib import Path
from zipfile import ZipFile

import numpy
import pytest
from page_code import ROOT, named

import pyflossing
from pyflossing.gradients.kernel.build import compiler


def run(*command, **rest):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300, **rest)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def compiles_quickly(folder):
    """A variable for a compiler that does not optimise what no test asks to be fast."""
    if compiler() is None:
        return {}
    program = folder / "cc"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(compiler())} "$@" -O0\n')
    program.chmod(0o755)
    return {"CC": str(program)}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The Python of a clean environment that holds the built wheel and sees numpy, but not this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    wheel = (*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    run(*wheel, env=os.environ | compiles_quickly(folder))
    (wheel,) = folder.glob("*.whl")
    venv.EnvBuilder().create(folder / "env")
    python = folder / "env" / "bin" / "python"
    run(*pip, "--python", python, "install", "--quiet", "--no-deps", wheel)
    (packages,) = (folder / "env" / "lib").glob("python*/site-packages")
    # numpy from the present environment; a .pth file inside that one (of the editable install) is not followed
    (packages / "numpy.pth").write_text(str(Path(numpy.__file__).parents[1]))
    return python


def test_changelog_and_citation_are_of_this_version():
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (\S+)$", changes, flags=re.MULTILINE)
    assert versions[0] == pyflossing.__version__
    assert changes.count("**Results affected**") == len(versions)
    assert f"\nversion: {pyflossing.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_what_moved_is_where_the_changelog_says():
    table = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("| before | now |")[1].split("\n\n")[0]
    cells = [row.split("|")[2] for row in table.splitlines()[2:]]
    names = [name for cell in cells for name in re.findall(r"`(pyflossing\.[\w.]+)`", cell)]
    assert len(names) > 20
    for name in names:
        assert named(name) is not None


def clean_environment():
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def test_wheel_carries_the_packages_and_the_julia_sources(installed, tmp_path):
    where = run(
        installed,
        "-c",
        "import pyflossing, parity; print(pyflossing.__file__, parity.__file__)",
        cwd=tmp_path,
        env=clean_environment(),
    )
    assert str(ROOT / "pyflossing") not in where
    program = "from importlib.resources import files; print(*(f.name for f in files('pyflossing.figures').iterdir()))"
    assert "binary-training.toml" in run(installed, "-c", program, cwd=tmp_path, env=clean_environment())
    program = "from parity.sources import *; print(module_file(), transcript_file().exists())"
    found = run(installed, "-c", program, cwd=tmp_path, env=clean_environment())
    assert "_reference/GradientFlossing.jl True" in found
    program = (
        "from importlib.metadata import entry_points as e; from parity.own.session import _FILE; "
        "print(_FILE.is_file(), 'parity.pytest_plugin' in [p.value for p in e(group='pytest11')])"
    )
    assert "True True" in run(installed, "-c", program, cwd=tmp_path, env=clean_environment())


@pytest.mark.skipif(compiler() is None, reason="NO COMPILER: nothing to carry")
def test_wheel_carries_the_compiled_kernel(installed):
    (wheel,) = installed.parents[2].glob("*.whl")
    assert "-py3-none-any" not in wheel.name
    with ZipFile(wheel) as archive:
        libraries = [name for name in archive.namelist() if name.endswith(".so")]
    assert "pyflossing/gradients/kernel/float32-any.so" in libraries


@pytest.mark.julia
def test_parity_of_the_installed_wheel_from_any_folder(installed, tmp_path, julia_installation):
    environment = clean_environment() | dict(julia_installation.environment)
    environment["PYFLOSSING_JULIA"] = str(julia_installation.executable)
    live = run(installed, "-m", "parity", "--only", "weights", cwd=tmp_path, env=environment)
    assert "0 failed; 0 checks skipped" in live
    recorded = run(installed, "-m", "parity", "--julia", "recorded", "--only", "streams", cwd=tmp_path, env=environment)
    assert "NO LIVE JULIA" in recorded
    assert "0 failed; 0 checks skipped" in recorded


def test_importing_pyflossing_loads_neither_torch_nor_julia():
    program = "import sys, pyflossing; print(sorted({'torch', 'juliacall', 'parity'} & set(sys.modules)))"
    assert run(sys.executable, "-c", program, cwd=ROOT).strip() == "[]"


def test_streams_tasks_and_weights_do_without_torch():
    program = (
        "import sys\n"
        "from pyflossing import DelayedCopy, DelayedXOR, WeightDistribution, generateInputOutput, initial_weights\n"
        "from pyflossing.julia_random import MersenneTwister, Xoroshiro128Star\n"
        "generateInputOutput(2, 5, 1, 1, 1.0, 1, -1), initial_weights(3, 1), MersenneTwister(1).rand()\n"
        "print('torch' in sys.modules)"
    )
    assert run(sys.executable, "-c", program, cwd=ROOT).strip() == "False"
