"""Claims about ``pyflossing show``."""

from __future__ import annotations

import json
import math

import matplotlib as mpl
import pytest
from cli.program import quick

from pyflossing import TrainingConfig, train
from pyflossing.runs import Stopped, resume, train_in

mpl.use("Agg")


@pytest.fixture
def config(tmp_path):
    return TrainingConfig.load(quick(tmp_path / "a.toml"))


@pytest.fixture
def result(tmp_path, config):
    found = train(config)
    found.save(tmp_path / "r.npz")
    return found


def stop_in(folder, config, updates):
    calls = iter(range(1, 100))
    with pytest.raises(Stopped):
        train_in(folder, config, stop=lambda: next(calls) >= updates)


def rows(out):
    return dict(line.split(maxsplit=1) for line in out.splitlines() if line)


def test_a_result_is_told_with_settings_numbers_and_versions(run, result):
    code, out, err = run("show", "r.npz")
    assert (code, err) == (0, "")
    assert "5 units, float32, TanhNetwork()" in out
    assert f"{result.loss[0]:.4f} first, {result.loss[-1]:.4f} last" in out
    for row in (result.spectra[0], result.spectra[-1]):
        assert " ".join(f"{value:+.3f}" for value in row) + " per step" in out
    assert f"torch {result.versions['torch']}" in out
    said = json.loads(run("show", "r.npz", "--json")[1])
    clip_norm = said["config"]["flossing"].pop("clip_norm")
    assert clip_norm is None  # infinity, which JSON has no word for
    expected = result.config.to_dict()
    assert expected["flossing"].pop("clip_norm") == math.inf
    assert said["config"] == expected
    assert said["state"] == "finished"
    assert said["accuracy"] == result.accuracy[-1]
    assert said["first_spectrum"] == result.spectra[0].tolist()


def test_a_stopped_run_tells_how_far_it_is_and_the_command_that_goes_on(run, tmp_path, config):
    stop_in(tmp_path / "my run", config, 8)
    code, out, _ = run("show", "my run")
    assert code == 0
    said = json.loads(run("show", "my run", "--json")[1])
    whole = train(config)
    # updates 1 to 4 floss, 5 trains, 6 to 8 floss before epoch 2
    assert (said["state"], said["epochs"], said["flossing_epochs"]) == ("stopped", 1, 7)
    assert (said["loss"], said["first_exponent"]) == (whole.loss[0], whole.spectra[6, 0])
    assert said["resume"] == "pyflossing train 'my run'"
    assert "stopped: 1 of 6 epochs, 7 flossing epochs" in out
    assert "to resume       pyflossing train 'my run'\n" in out
    assert run("train", "my run", "-q") == (0, "", "")
    assert json.loads(run("show", "my run", "--json")[1])["state"] == "finished"


def test_a_run_that_was_killed_early_or_within_a_line_is_told(run, tmp_path, config):
    stop_in(tmp_path / "run", config, 8)
    (tmp_path / "run" / "checkpoint.npz").unlink()
    with (tmp_path / "run" / "log.jsonl").open("a") as log:
        log.write('{"epoch": 2, "lo')
    out = run("show", "run")[1]
    assert "stopped: 1 of 6 epochs, 7 flossing epochs" in out
    assert "(from the start: there is no checkpoint)" in out
    (tmp_path / "run" / "log.jsonl").unlink()
    assert "stopped: 0 of 6 epochs, 0 flossing epochs" in run("show", "run")[1]


def test_a_run_in_another_process_is_running_and_not_disturbed(run, tmp_path, config):
    states = []

    def look(record):
        states.append(json.loads(run("show", "run", "--json")[1])["state"])

    result = train_in(tmp_path / "run", config, [look])
    assert set(states) == {"running"}
    assert result.same_numbers(train(config))


def test_the_page_is_drawn_of_finished_and_stopped_runs(run, tmp_path, config, result):
    stop_in(tmp_path / "run", config, 8)
    for source, file, start in (("r.npz", "a.png", b"\x89PNG"), ("run", "b.svg", b"<?xml"), ("run", "c.pdf", b"%PDF")):
        code, out, err = run("show", source, "--plot", file)
        assert (code, err) == (0, "")
        assert f"picture         {file}\n" in out
        assert (tmp_path / file).read_bytes().startswith(start)
    assert resume(tmp_path / "run").same_numbers(result)


def test_a_result_without_flossing_or_epochs_is_shown(run, tmp_path):
    settings = "n_units = 4\nn_epochs = 0\n[flossing]\nn_exponents = 0\n"
    (tmp_path / "none.toml").write_text(settings)
    assert run("train", "none.toml")[0] == 0
    code, out, _ = run("show", "runs/none", "--plot", "none.png")
    assert code == 0
    assert "flossing  none" in out
    assert json.loads(run("show", "runs/none", "--json")[1])["loss"] is None


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["none"], 2, "there is no file none"),
        (["."], 2, ". holds no run: there is no config.toml in it"),
        (["grid"], 2, "grid is the folder of a sweep: pyflossing sweep grid --list shows its jobs"),
        (["a.toml"], 1, "a.toml is not a result of pyflossing, or it is damaged"),
        (["half.npz"], 1, "half.npz is not a result of pyflossing, or it is damaged"),
        (["r.npz", "--plot", "a.xyz"], 2, "--plot = a.xyz is not allowed: it must end in one of "),
        (["r.npz", "--plot", "none/a.png"], 1, "none/a.png: cannot write: No such file or directory"),
    ],
)
def test_what_cannot_be_shown_is_told_in_one_line(run, tmp_path, result, arguments, code, message):
    whole = (tmp_path / "r.npz").read_bytes()
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "grid").mkdir()
    (tmp_path / "grid" / "sweep.toml").write_text("")
    found, out, err = run("show", *arguments)
    assert (found, out) == (code, "")
    assert err.startswith(f"pyflossing: {message}")
    assert len(err.splitlines()) == 1


def test_damaged_settings_of_a_run_are_named(run, tmp_path, config):
    stop_in(tmp_path / "run", config, 2)
    (tmp_path / "run" / "config.toml").write_text("n_units = ")
    code, _, err = run("show", "run")
    assert code == 2
    assert err.startswith("pyflossing: run/config.toml: this is not TOML")
