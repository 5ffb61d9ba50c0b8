"""Claims about ``pyflossing figure``, with a figure cut down to runs of milliseconds."""

from __future__ import annotations

import json
import signal

import matplotlib as mpl
import pytest
from cli.program import start, wait_for

mpl.use("Agg")
SMALL = ("--delays", "1,2", "--seeds", "3", "--epochs", 2)


def test_a_figure_is_drawn_from_runs_that_are_kept(run, tmp_path):
    code, out, err = run("figure", "spiking-training", "-o", "f", *SMALL)
    assert (code, err) == (0, "")
    runs = [f"{c}_seed3_delay{d}" for d in (1, 2) for c in ("no_flossing", "flossing")]
    said = [f"{name}: done ({i}/4 done, 0 running)" for i, name in enumerate(runs, 1)]
    assert out.splitlines() == [*said, "written: f/spiking-training.png, f/spiking-training.json"]
    assert json.loads((tmp_path / "f" / "spiking-training.json").read_text())["run"] == runs
    assert (tmp_path / "f" / "spiking-training.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "f" / "spiking-training-runs" / "runs" / "flossing_seed3_delay2" / "result.npz").unlink()
    _, out, _ = run("figure", "spiking-training", "-o", "f", *SMALL, "--only-kept")
    assert out.splitlines() == ["written: f/spiking-training.png, f/spiking-training.json"]
    assert json.loads((tmp_path / "f" / "spiking-training.json").read_text())["not run"] == ["flossing_seed3_delay2"]
    assert run("figure", "spiking-training", "-o", "f", *SMALL, "--quiet") == (0, "", "")


def test_interrupted_it_keeps_its_runs_and_says_so(tmp_path):
    process = start("figure", "spiking-training", "-o", "f", "--delays", 1, "--epochs", 5000, cwd=tmp_path, real=True)
    log = tmp_path / "f" / "spiking-training-runs" / "runs" / "no_flossing_seed1_delay1" / "log.jsonl"
    wait_for(lambda: log.exists() and len(log.read_text().splitlines()) > 3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "pyflossing: stopped with 0 of 6 jobs done; the same command goes on\n"
    assert log.with_name("checkpoint.npz").exists()
    assert not (tmp_path / "f" / "spiking-training.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nix"], "NAME = 'nix' is not allowed: it must be one of binary-flossing, binary-training, spiking-training"),
        (["binary-flossing", "--only-kept", "--delays", "1"], "binary-flossing has no --delays, --only-kept"),
        (["binary-training", "--delays", "1"], "delay = 1 is not allowed: it must be one of 5, 7, 9, 11, 13"),
        (
            ["binary-training", "--delays", "1,x"],
            "--delays = '1,x' is not allowed: it must be whole numbers with commas",
        ),
        (["binary-training", "--seeds", "0"], "--seeds = '0' is not allowed: the numbers must be >= 1"),
        (["binary-training", "--epochs", "-1"], "n_epochs = -1 is not allowed: it must be an integer >= 0"),
        (["binary-training", "-o", "file"], "--output = 'file' is not allowed: it is no folder"),
        (["binary-training", "--only-kept"], "figures holds no runs of binary-training: leave out --only-kept"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(run, tmp_path, arguments, message):
    (tmp_path / "file").write_text("")
    code, out, err = run("figure", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"pyflossing: {message}")
    assert len(err.splitlines()) == 1


def test_a_damaged_run_ends_with_1(run, tmp_path):
    assert run("figure", "spiking-training", "-o", "f", *SMALL, "-q", "--jobs", 1)[0] == 0
    (tmp_path / "f" / "spiking-training-runs" / "runs" / "no_flossing_seed3_delay1" / "result.npz").write_bytes(b"x")
    code, _, err = run("figure", "spiking-training", "-o", "f", *SMALL)
    assert code == 1
    assert "no_flossing_seed3_delay1/result.npz is not a result of pyflossing, or it is damaged" in err
