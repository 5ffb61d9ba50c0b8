"""Claims about ``pyflossing train``, made by running the real program."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest
from cli.program import on_terminal, quick, start, wait_for

from pyflossing import TrainingConfig, TrainingResult, train


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def log_lines(folder):
    log = folder / "log.jsonl"
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_a_run_goes_to_the_folder_named_after_its_settings(run, tmp_path):
    code, out, err = run("train", quick(tmp_path / "a.toml"))
    assert (code, err) == (0, "")
    assert names(tmp_path / "runs" / "a") == [".lock", "config.toml", "log.jsonl", "result.npz"]
    result = TrainingResult.load(tmp_path / "runs" / "a" / "result.npz")
    assert result.same_numbers(train(TrainingConfig.load(tmp_path / "a.toml")))
    lines = out.splitlines()
    assert lines[0] == "new run in runs/a"
    assert lines[1].startswith("epoch 1/6, flossing 1  first exponent ")
    assert f"epoch 6/6  loss {result.loss[-1]:.4f}  accuracy {result.accuracy[-1]:.3f}" in lines[2]
    assert lines[-1].split() == ["result", "runs/a/result.npz"]
    assert "\x1b" not in out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_stopped_by_a_signal_and_resumed_as_it_says_the_run_is_bitwise_that_of_no_stop(run, tmp_path, number, code):
    config = quick(tmp_path / "a.toml", epochs=700)
    process = start("train", config, "--output", "my run", cwd=tmp_path)
    wait_for(lambda: log_lines(tmp_path / "my run") > 50)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    said = re.fullmatch(r"pyflossing: stopped after epoch (\d+) of 700; to go on: pyflossing (train 'my run')\n", err)
    assert said
    assert 0 < int(said[1]) < 700
    assert "checkpoint.npz" in names(tmp_path / "my run")
    went_on, out, err = run("train", "my run")
    assert (went_on, err) == (0, "")
    assert out.startswith("going on with the run in my run from its last checkpoint")
    assert TrainingResult.load(tmp_path / "my run" / "result.npz").same_numbers(train(TrainingConfig.load(config)))


def test_a_signal_that_the_parent_ignores_does_not_stop_the_run(tmp_path):
    process = start(
        "train", quick(tmp_path / "a.toml", 800), cwd=tmp_path, preexec_fn=lambda: signal.signal(1, signal.SIG_IGN)
    )
    wait_for(lambda: log_lines(tmp_path / "runs" / "a") > 20)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_killed_and_called_again_the_run_goes_on_and_ends_bitwise_equal(run, tmp_path):
    config, folder = quick(tmp_path / "a.toml", epochs=700), tmp_path / "runs" / "a"
    for _ in range(2):
        before = log_lines(folder)
        process = start("train", config, "--quiet", "--checkpoint-every", 0.05, cwd=tmp_path)
        wait_for(lambda before=before: log_lines(folder) > before + 60)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert (folder / "checkpoint.npz").exists()
    assert run("train", config, "--quiet") == (0, "", "")
    assert TrainingResult.load(folder / "result.npz").same_numbers(train(TrainingConfig.load(config)))


def test_a_finished_run_is_not_run_again(run, tmp_path):
    config = quick(tmp_path / "a.toml")
    run("train", config)
    before = (tmp_path / "runs" / "a" / "result.npz").stat().st_mtime_ns
    code, out, _ = run("train", config)
    assert code == 0
    assert out.startswith("runs/a holds the finished run of these settings\n")
    assert (tmp_path / "runs" / "a" / "result.npz").stat().st_mtime_ns == before


def test_a_second_process_in_the_folder_ends_with_3(run, tmp_path):
    config = quick(tmp_path / "a.toml", epochs=100_000)
    first = start("train", config, cwd=tmp_path)
    wait_for(lambda: log_lines(tmp_path / "runs" / "a") > 0)
    code, _, err = run("train", config)
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=60)
    assert (code, err) == (3, "pyflossing: another process is running in runs/a\n")
    assert first.returncode == 130


def test_json_is_one_document_and_nothing_else(run, tmp_path):
    code, out, err = run("train", quick(tmp_path / "a.toml"), "--json")
    assert (code, err) == (0, "")
    said = json.loads(out)
    result = TrainingResult.load(tmp_path / said["folder"] / "result.npz")
    assert said["state"] == "finished"
    assert said["loss"] == result.loss[-1]
    assert said["last_spectrum"] == result.spectra[-1].tolist()


def test_json_of_a_stopped_run_tells_its_epoch(tmp_path):
    process = start("train", quick(tmp_path / "a.toml", 100_000), "--json", cwd=tmp_path)
    wait_for(lambda: log_lines(tmp_path / "runs" / "a") > 20)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    said = json.loads(out)
    assert said["state"] == "stopped"
    assert f"stopped after epoch {said['epoch']} of 100000" in err


def test_losing_the_reader_does_not_end_the_run(tmp_path):
    config = quick(tmp_path / "a.toml", 300)
    command = f"'{sys.executable}' -m pyflossing train '{config}' | head -1"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("new run in runs/a\n", "")
    assert (tmp_path / "runs" / "a" / "result.npz").exists()


def test_without_any_stdout_it_runs_all_the_same(tmp_path):
    quick(tmp_path / "a.toml")
    command = f"'{sys.executable}' -m pyflossing train a.toml >&-"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "runs" / "a" / "result.npz").exists()


def pictures(text):
    """The successive states of the rewritten line, without colours."""
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
    return [line.rstrip() for line in re.split(r"[\r\n]+", plain) if line.startswith(("epoch", "━", "╸", "╺"))]


def test_a_terminal_shows_one_line_with_epoch_loss_accuracy_exponent_and_time_left(tmp_path):
    code, text = on_terminal("train", quick(tmp_path / "a.toml", 3000), cwd=tmp_path, columns=120)
    assert code == 0
    seen = pictures(text)
    pattern = r"━.* epoch \d+/3000  loss [\d.]+  accuracy [\d.]+  first exponent [-+][\d.]+  \d:\d\d:\d\d left"
    assert sum(bool(re.fullmatch(pattern, line)) for line in seen) >= 3
    assert "epoch 3000/3000" in seen[-1]
    assert "left" not in seen[-1]
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1, "the cursor is hidden once, and shown again"


@pytest.mark.parametrize("columns", [20, 60])
def test_a_narrow_terminal_shows_less_on_one_line(tmp_path, columns):
    _, text = on_terminal("train", quick(tmp_path / "a.toml", 300), cwd=tmp_path, columns=columns)
    seen = pictures(text)
    assert seen
    assert all(len(line) < columns for line in seen)
    assert "epoch 300/300" in seen[-1]
    assert "accuracy" not in seen[-1] or columns == 60


def test_no_color_and_dumb_terminals_are_respected(tmp_path):
    config = quick(tmp_path / "a.toml", 300)
    _, colourless = on_terminal("train", config, "-o", "x", cwd=tmp_path, NO_COLOR="1")
    assert pictures(colourless)
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m|\x1b\[38", colourless)
    _, dumb = on_terminal("train", config, "-o", "y", cwd=tmp_path, TERM="dumb")
    assert "epoch 300/300" in dumb
    assert "\x1b" not in dumb


def test_ctrl_c_on_a_terminal_leaves_the_cursor_and_the_message(tmp_path):
    def interrupt(process):
        wait_for(lambda: log_lines(tmp_path / "runs" / "a") > 50)
        process.send_signal(signal.SIGINT)

    code, text = on_terminal("train", quick(tmp_path / "a.toml", 100_000), cwd=tmp_path, after=interrupt)
    assert code == 130
    assert text.rindex("\x1b[?25h") < text.index("pyflossing: stopped after epoch ")


BAD = [
    ("missing.toml", None, "there is no file missing.toml"),
    ("a.toml", "n_epochs = 3\nn_units =", "a.toml: this is not TOML: "),
    ("a.toml", 'n_epochs = "many"', "a.toml: n_epochs = 'many' is not allowed: it must be an integer >= 0"),
    ("a.toml", "n_epoch = 3", "a.toml: n_epoch is not a setting; the top level has "),
    ("a.toml", "[trials]\nbatch_size = 0", "a.toml: trials.batch_size = 0 is not allowed: it must be an integer >= 1"),
    ("a.toml", "trials = 3", "a.toml: trials = 3 is not allowed: it must be a table"),
    ("folder", "folder", "folder holds no run: there is no config.toml in it"),
    ("binary.toml", b"\xff\xfe\x00", "binary.toml: 'utf-8' codec can't decode"),
]


@pytest.mark.parametrize(("name", "content", "message"), BAD)
def test_bad_settings_are_told_in_one_line(run, tmp_path, name, content, message):
    if content == "folder":
        (tmp_path / name).mkdir()
    elif content is not None:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    code, out, err = run("train", name)
    assert (code, out) == (2, "")
    assert err.startswith(f"pyflossing: {message}")
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_a_folder_with_other_settings_is_refused_with_the_difference(run, tmp_path):
    run("train", quick(tmp_path / "a.toml"))
    before = (tmp_path / "runs" / "a" / "result.npz").read_bytes()
    code, _, err = run("train", quick(tmp_path / "a.toml", 7))
    assert code == 2
    assert err == (
        "pyflossing: runs/a holds a run of other settings (n_epochs is 6 there, 7 here): choose another with --output\n"
    )
    assert (tmp_path / "runs" / "a" / "result.npz").read_bytes() == before


def test_resume_demands_a_run(run, tmp_path):
    config = quick(tmp_path / "a.toml")
    code, _, err = run("train", config, "--resume")
    assert (code, err) == (2, "pyflossing: runs/a holds no run to be resumed\n")
    assert not (tmp_path / "runs").exists()
    assert run("train", config, "-q")[0] == 0
    assert run("train", config, "--resume", "-q")[0] == 0


def test_a_place_that_cannot_be_written_ends_with_1(run, tmp_path):
    config = quick(tmp_path / "a.toml")
    code, _, err = run("train", config, "-o", "/proc/run")
    assert code == 1
    assert err.startswith("pyflossing: /proc/run: cannot write: ")
    code, _, err = run("train", config, "-o", config)
    assert (code, err) == (2, f"pyflossing: {config} is a file; a run needs a folder (--output)\n")


def test_a_damaged_checkpoint_ends_with_1(run, tmp_path):
    process = start("train", quick(tmp_path / "a.toml", 100_000), cwd=tmp_path)
    wait_for(lambda: log_lines(tmp_path / "runs" / "a") > 20)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    os.truncate(tmp_path / "runs" / "a" / "checkpoint.npz", 1000)
    code, _, err = run("train", "runs/a")
    assert code == 1
    assert err.startswith("pyflossing: runs/a/checkpoint.npz is not a checkpoint of pyflossing, or it is damaged")
    assert len(err.splitlines()) == 1


def test_a_number_that_is_not_finite_ends_with_1_and_its_place(run, tmp_path):
    config = quick(tmp_path / "a.toml")
    config.write_text(config.read_text() + "\n[optimiser]\nlearning_rate = 3e38\n")
    code, _, err = run("train", config)
    assert code == 1
    assert re.fullmatch(r"pyflossing: .* is nan \(epoch 1, flossing epoch \d, step \d\)\n", err)
