"""Claims about ``pyflossing sweep``."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace

import pytest
from cli.program import on_terminal, start, wait_for
from sweep_cases import assert_same_as_alone, sweep, well_begun

from pyflossing.runs import train_in
from pyflossing.sweeps import Condition, SweepResults

NAMES = [job.name for job in sweep().jobs]


@pytest.fixture
def declared(tmp_path):
    sweep().save(tmp_path / "a.toml")
    return tmp_path / "a.toml"


def test_a_sweep_runs_in_the_folder_named_after_its_file_and_nothing_twice(run, tmp_path, declared):
    code, out, err = run("sweep", declared, "--jobs", 1)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:2] == ["4 jobs in sweeps/a", "0/4 done, 0 running"]
    assert lines[2] == f"{NAMES[0]}: done (1/4 done, 0 running)"
    assert lines[6].split() == ["job", "state", "accuracy", "loss", "exponent", "seconds"]
    assert [line.split()[:2] for line in lines[7:]] == [[name, "done"] for name in NAMES]
    assert_same_as_alone(SweepResults.load(tmp_path / "sweeps" / "a"))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("sweeps/a/runs/*/*")}
    code, out, err = run("sweep", "sweeps/a", "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert (document["folder"], document["state"]) == ("sweeps/a", "finished")
    assert [job["name"] for job in document["jobs"]] == NAMES
    assert run("sweep", declared, "-q") == (0, "", "")
    assert run("sweep", declared, "--list")[1].splitlines() == lines[6:]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("sweeps/a/runs/*/*")} == before


def test_jobs_are_listed_before_they_run(run, tmp_path, declared):
    code, out, _ = run("sweep", declared, "--list")
    assert code == 0
    assert [line.split() for line in out.splitlines()[1:]] == [[name, "waiting"] for name in NAMES]
    assert not (tmp_path / "sweeps").exists()


def test_ctrl_c_saves_checkpoints_and_the_command_that_it_names_goes_on(run, tmp_path):
    part = sweep(2000).select(seed=[1])
    part.save(tmp_path / "a.toml")
    # in a session of its own, so that Ctrl-C reaches all its processes as on a terminal
    options = ("--jobs", 2, "--output", "my sweep", "--checkpoint-every", 1000, "--json")
    process = start("sweep", "a.toml", *options, cwd=tmp_path, real=True, start_new_session=True)
    folder = tmp_path / "my sweep"
    log = folder / "runs" / NAMES[0] / "log.jsonl"
    wait_for(lambda: log.exists() and log.read_text().count("accuracy") > 100, 60)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    document = json.loads(out)
    n_done = [job["state"] for job in document["jobs"]].count("done")
    assert (process.returncode, err) == (
        130,
        f"pyflossing: stopped with {n_done} of 2 jobs done; to resume: pyflossing sweep 'my sweep'\n",
    )
    assert document["state"] == "stopped"
    assert document["jobs"][0]["state"] == "stopped"
    assert well_begun(folder / "runs" / NAMES[0])
    assert run("sweep", "my sweep", "-q", "-j", 1) == (0, "", "")
    results = SweepResults.load(folder)
    assert_same_as_alone(results)
    assert results.reports[NAMES[0]].resumed > 100


def test_jobs_that_fail_end_it_with_1_and_are_named(run, tmp_path):
    diverging = Condition("diverging", {"weights.gain": 1e38})
    replace(sweep(), conditions=(diverging, *sweep().conditions)).save(tmp_path / "a.toml")
    code, out, err = run("sweep", "a.toml", "-j", 1, "--json")
    assert code == 1
    assert err.splitlines()[0] == "pyflossing: 2 of 6 jobs failed:"
    assert err.splitlines()[1].startswith("  diverging_seed1: NonFiniteError: ")
    document = json.loads(out)
    assert document["state"] == "failed"
    assert [job["state"] for job in document["jobs"]] == ["failed", "done", "done"] * 2


def test_what_is_wrong_is_told_in_one_line(run, tmp_path, declared):
    (tmp_path / "bad.toml").write_text("[axes]\ntask.dleay = [1]\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    train_in(tmp_path / "other" / "runs" / NAMES[1], sweep(1).jobs[1].config)
    for arguments, expected, message in (
        (["no.toml"], 2, "there is no file no.toml"),
        (["empty"], 2, "empty holds no sweep: there is no sweep.toml in it"),
        (
            ["bad.toml"],
            2,
            "bad.toml: job dleay1: task.dleay is not a setting; task of kind delayed_xor has delay, levels, scoring",
        ),
        ([declared, "-j", 0], 2, "n_jobs = 0 is not allowed: it must be a number of processes"),
        ([declared, "-o", "other"], 2, f"{tmp_path}/other/runs/{NAMES[1]} holds a run of other settings"),
        ([declared, "-o", "file"], 1, f"{tmp_path}/file: cannot write: File exists"),
        ([declared, "--scheduler", "nonsense://x"], 2, "scheduler = 'nonsense://x' is not allowed"),
        (["other", "-o", "empty"], 2, "--output empty is not allowed with the folder of a sweep"),
    ):
        code, out, err = run("sweep", *arguments, "-q")
        assert (code, out) == (expected, ""), arguments
        assert err.startswith(f"pyflossing: {message}")
        assert len(err.splitlines()) == 1


def test_on_a_terminal_one_line_is_rewritten_below_what_happened(tmp_path, declared):
    code, out = on_terminal("sweep", declared, "-j", 1, cwd=tmp_path)
    assert code == 0
    assert f"{NAMES[0]}: done\r\n" in out
    assert "\x1b[2K" in out
    assert "4/4 done, 0 running" in out
