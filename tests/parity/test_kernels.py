"""Claims about the report under several sets of numerical kernels."""

from __future__ import annotations

import json
import re

import pytest
from on_kernel_sets import PASSES, run_all
from warm import commands

from parity import kernels


def test_each_set_has_a_name_of_its_own_and_four_are_quick():
    names = [one.name for one in kernels.SETS]
    assert len(names) == len(set(names)) == 14
    assert sum(one.quick for one in kernels.SETS) == 4


@pytest.fixture
def three_sets(monkeypatch):
    machine, haswell, intel = (next(o for o in kernels.SETS if o.name == name) for name in (
        "as the machine is", "OpenBLAS Haswell", "Intel AVX2",
    ))  # fmt: skip
    monkeypatch.setattr(kernels, "SETS", (machine, haswell, intel))
    monkeypatch.setattr(kernels.sys, "executable", str(commands() / "python"))  # for the machine's own set


def test_the_table_has_a_line_and_a_report_of_every_set_that_can_run(three_sets, tmp_path, monkeypatch):
    monkeypatch.setattr(kernels, "_cpu_flags", lambda: {"avx2"})
    lines = []
    assert kernels.run_all(["--only=weights/golden"], str(tmp_path), lines.append) == 0
    assert lines[-1] == "3 of 3 sets of kernels passed, 0 left out"
    assert [line.split("  ")[0] for line in lines[:-1] if line.startswith("exit")] == ["exit 0"] * 3
    for folder in ("as-the-machine-is", "openblas-haswell", "intel-avx2"):
        assert json.loads((tmp_path / folder / "report.json").read_text())["counts"]["failed"] == 0


def test_sets_that_the_cpu_cannot_run_are_left_out_with_a_reason(three_sets, tmp_path, monkeypatch):
    monkeypatch.setattr(kernels, "_cpu_flags", set)
    lines = []
    assert kernels.run_all(["--only=weights/golden/ws_wr_b"], str(tmp_path), lines.append) == 0
    assert lines[0] == "left out  OpenBLAS Haswell: this CPU has no avx2"
    assert lines[-1] == "1 of 1 sets of kernels passed, 2 left out"


def test_without_a_compiler_no_intel_cpu_is_emulated(three_sets, tmp_path, monkeypatch):
    monkeypatch.setattr(kernels, "_cpu_flags", lambda: {"avx2"})
    monkeypatch.setenv("PATH", "")
    lines = []
    assert kernels.run_all(["--only=weights/golden/ws_wr_b"], str(tmp_path), lines.append) == 0
    assert "left out  Intel AVX2: no C compiler builds the library that tells MKL of an Intel CPU" in lines


def test_a_report_that_fails_is_shown_and_fails_all(three_sets, tmp_path, monkeypatch):
    monkeypatch.setattr(kernels, "_cpu_flags", set)
    lines = []
    assert kernels.run_all(["--only=nonsense"], str(tmp_path), lines.append) == 1
    assert any("matches no check" in line for line in lines)
    assert lines[-1] == "0 of 1 sets of kernels passed, 2 left out"


@pytest.mark.parametrize(("variable", "value"), [("OPENBLAS_CORETYPE", "Prescott")])
def test_kernels_chosen_by_the_caller_do_not_reach_the_sets(three_sets, tmp_path, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    seen = []
    monkeypatch.setattr(kernels.subprocess, "run", lambda *_, **rest: seen.append(rest.get("env")) or _Done())
    monkeypatch.setattr(kernels, "_cpu_flags", set)
    kernels.run_all([], str(tmp_path), lambda _: None)
    assert variable not in seen[-1]


class _Done:
    returncode, stdout = 1, ""


def test_the_tests_can_be_run_under_each_set_by_both_passes(three_sets, tmp_path, monkeypatch):
    monkeypatch.setattr(kernels, "SETS", kernels.SETS[1:])
    (tmp_path / "test_which.py").write_text("""
import os
def test_which():
    kernels = os.environ.get("OPENBLAS_CORETYPE"), "LD_PRELOAD" in os.environ
    assert (*kernels, os.environ["PYFLOSSING_KERNEL"]) != (None, True, "torch")
""")
    monkeypatch.setattr(kernels, "_cpu_flags", lambda: {"avx2"})
    lines = []
    assert run_all([str(tmp_path), "-q", "--rootdir", str(tmp_path)], lines.append) == 1
    runs = re.findall(r"^exit (\d) +\d+ s  (.+?) +(torch|compiled)  ", "\n".join(lines), flags=re.MULTILINE)
    names = [one.name for one in kernels.SETS]
    assert [(name, passes) for _, name, passes in runs] == [(name, passes) for name in names for passes in PASSES]
    assert [run for run in runs if run[0] != "0"] == [("1", "Intel AVX2", "torch")]
    assert any("assert (None, True, 'torch') !=" in line for line in lines)
