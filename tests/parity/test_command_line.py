"""Claims about ``python -m parity`` as a user meets it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from julia_process import children, descendants, is_gone, julia_of, wait_until
from parity_command import ROOT, parity, parity_here
from warm import python


def julia_settings(installation):
    """Name the session's Julia explicitly; its libraries come along in the environment."""
    return {"PYFLOSSING_JULIA": str(installation.executable), **installation.environment}


@pytest.mark.julia
def test_report_from_any_folder_against_live_julia(tmp_path, julia_installation):
    result = parity("--only", "task", "--only", "weights", cwd=tmp_path, **julia_settings(julia_installation))
    assert result.returncode == 0, result.stderr + result.stdout
    document = json.loads((tmp_path / "parity-report" / "only" / "report.json").read_text())
    assert document["counts"]["failed"] == document["counts"]["checks skipped"] == 0
    assert document["provenance"]["connection"] == "executable"
    assert f"{document['counts']['passed']} passed, 0 failed; 0 checks skipped" in result.stdout
    assert not document["notices"]


def test_recorded_transcripts_stand_in_and_nobody_can_miss_it(tmp_path):
    result = parity_here(
        "--julia", "recorded", "--only", "streams", "--only", "task", "--only", "weights", cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr + result.stdout
    assert result.stdout.count("NO LIVE JULIA") == 2  # above the table and below it
    document = json.loads((tmp_path / "parity-report" / "only" / "report.json").read_text())
    assert document["counts"]["checks skipped"] == 0
    assert document["counts"]["comparisons"] > 1000
    assert "NO LIVE JULIA" in document["notices"][0]
    assert "NO LIVE JULIA" in (tmp_path / "parity-report" / "only" / "report.md").read_text()


def test_without_julia_and_network_the_report_falls_back_and_says_why(tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()  # an empty PATH: no julia, no apt-get
    cache = tmp_path / "cache"
    result = parity_here(
        "--only", "weights", cwd=tmp_path, PATH=str(tools), PYFLOSSING_CACHE=str(cache), HOME=str(tmp_path)
    )
    assert result.returncode == 0, result.stderr
    assert "no julia on PATH" in result.stderr
    assert "this machine has no apt-get and no dpkg" in result.stderr
    assert "let `python -m parity` fetch it (72 MB)" not in result.stderr
    assert "juliacall: not used, because juliapkg " in result.stdout
    assert "NO LIVE JULIA" in result.stdout


def test_replay_refuses_when_the_julia_sources_have_changed(tmp_path):
    copy = tmp_path / "project"
    copy.mkdir()
    for name in ("parity", "pyflossing", "reference"):
        subprocess.run(["cp", "-r", str(ROOT / name), str(copy / name)], check=True)
    with (copy / "reference" / "src" / "task.jl").open("a") as stream:
        stream.write("# changed\n")
    result = parity("--julia", "recorded", cwd=tmp_path, PYTHONPATH=str(copy))
    assert result.returncode == 2
    assert "other Julia sources" in result.stderr
    assert "python -m parity record" in result.stderr


def test_an_explicit_julia_that_is_broken_is_never_replaced(tmp_path):
    broken = tmp_path / "julia"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    result = parity_here("--julia-path", str(broken), cwd=tmp_path)
    assert result.returncode == 2
    assert str(broken) in result.stderr
    assert not (tmp_path / "parity-report" / "report.json").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--only", "nonsense"), "--only 'nonsense' matches no check"),
        (("--julia", "r"), "invalid choice"),
        (("--report", "/proc/here"), "/proc/here"),
        (("record", "--julia", "recorded"), "a live Julia must give the answers"),
    ],
)
def test_bad_usage_is_explained_with_exit_code_2(arguments, said, tmp_path):
    result = parity_here(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_list_shows_every_check_and_compares_nothing(tmp_path):
    result = parity_here("--list", cwd=tmp_path)
    assert result.returncode == 0
    assert "weights/live/gaussian" in result.stdout
    assert not list(tmp_path.iterdir())


def test_doctor_explains_each_place_without_fetching(tmp_path):
    result = parity_here("doctor", cwd=tmp_path, PATH="", PYFLOSSING_CACHE=str(tmp_path / "cache"))
    assert result.returncode == 1
    for place in ("juliapkg", "PATH", "Debian archive"):
        assert f"{place}: not found" in result.stdout
    assert result.stdout.count("What you can do") >= 3
    assert not list(tmp_path.iterdir())


def test_doctor_advises_to_fetch_only_where_that_can_work(tmp_path):
    if not Path("/usr/bin/apt-get").exists():
        pytest.skip("needs apt")
    cache = str(tmp_path / "cache")
    can = parity_here("doctor", cwd=tmp_path, PATH="/usr/bin:/bin", PYFLOSSING_CACHE=cache)
    cannot = parity_here("doctor", cwd=tmp_path, PATH=str(tmp_path), PYFLOSSING_CACHE=cache)
    assert "fetch it (72 MB)" in can.stdout or "name no mirror of Debian" in can.stdout
    assert "fetch it (72 MB)" not in cannot.stdout
    assert "no apt-get and no dpkg" in cannot.stdout
    assert not list(tmp_path.iterdir())


def test_a_report_of_some_checks_leaves_that_of_all_alone(tmp_path):
    full = tmp_path / "parity-report" / "report.json"
    full.parent.mkdir()
    full.write_text("the full report")
    result = parity_here("--only", "streams/golden/randn_f32", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert full.read_text() == "the full report"
    assert json.loads((tmp_path / "parity-report" / "only" / "report.json").read_text())["counts"]["passed"]
    assert f"written: {Path('parity-report/only/report.json')}" in result.stdout
    # a folder that was named is used for both
    parity_here("--only", "streams/golden/randn_f32", "--report", "mine", cwd=tmp_path)
    assert (tmp_path / "mine" / "report.json").exists()


def test_a_piped_report_shows_its_lines_as_they_come(tmp_path):
    """Each line arrives while the rest is still computed: the process stops when the reader does."""
    with subprocess.Popen(
        [*python(), "-m", "parity", "--julia", "recorded", "--only", "golden"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        seen = ""
        while "weights/golden" not in seen:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            seen += line
        assert process.poll() is None
        assert "comparisons (" not in seen
        process.stdout.close()
        complaints = process.stderr.read()
    assert process.returncode == 2
    assert complaints.endswith("parity: nobody reads the report any more; it was not written\n")
    assert "Traceback" not in complaints
    assert not (tmp_path / "parity-report" / "only" / "report.json").exists()


@pytest.mark.julia
def test_a_julia_that_hangs_does_not_hang_the_report(tmp_path, julia_installation):
    process = subprocess.Popen(
        [sys.executable, "-m", "parity", "--only", "live"],
        cwd=tmp_path,
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "PYFLOSSING_TIMEOUT_FACTOR": "0.1"}
        | julia_settings(julia_installation),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    head = ""
    while "streams/live" not in head:  # Julia has answered, so it serves
        line = process.stdout.readline()
        assert line, process.stderr.read()
        head += line
    below = descendants(process.pid)
    os.kill(julia_of(children(process.pid)[0]), signal.SIGSTOP)
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 1
    assert "JuliaTimeout: Julia was killed, because the call of" in " ".join(output.split())
    assert "no connection to Julia any more" in output
    assert all(map(is_gone, below))
    report = json.loads((tmp_path / "parity-report" / "only" / "report.json").read_text())
    assert report["counts"]["failed"] > 0


@pytest.mark.julia
def test_ctrl_c_ends_both_sides_and_writes_no_report(tmp_path, julia_installation):
    process = subprocess.Popen(
        [sys.executable, "-m", "parity"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | julia_settings(julia_installation),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: children(process.pid), "Julia never started", seconds=60)
    below = descendants(process.pid)
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in complaints
    wait_until(lambda: all(map(is_gone, below)), "Julia outlived the report")
    assert not (tmp_path / "parity-report" / "report.json").exists()
