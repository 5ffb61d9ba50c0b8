"""Claims about ``pyflossing train``, made by running the real program."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest
from cli.program import on_terminal, quick, start, typed, wait_for

from pyflossing import TrainingConfig, TrainingResult, train
from pyflossing._support.signals import stop_on_signals
from pyflossing.cli.progress import Meter, Word, fitted
from pyflossing.runs import Stopped, train_in
from pyflossing.runs.checkpoints import Checkpoint
from pyflossing.training.loop import run as run_updates
from pyflossing.training.state import initial_state


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


def test_stopped_by_ctrl_c_and_resumed_as_it_says_the_run_is_bitwise_that_of_no_stop(run, tmp_path):
    config = quick(tmp_path / "a.toml", epochs=2000)
    process = start("train", config, "--output", "my run", cwd=tmp_path, real=True)
    wait_for(lambda: log_lines(tmp_path / "my run") > 50)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    said = re.fullmatch(r"pyflossing: stopped after epoch (\d+) of 2000; to resume: pyflossing (train 'my run')\n", err)
    assert said
    assert 0 < int(said[1]) < 2000
    assert "checkpoint.npz" in names(tmp_path / "my run")
    went_on, out, err = run("train", "my run")
    assert (went_on, err) == (0, "")
    assert out.startswith("resuming the run in my run from its last checkpoint")
    assert TrainingResult.load(tmp_path / "my run" / "result.npz").same_numbers(train(TrainingConfig.load(config)))


def test_a_second_signal_interrupts_at_once_and_further_ones_do_nothing():
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt), stop_on_signals(ends_process=True) as stop:
            assert not stop()
            os.kill(os.getpid(), signal.SIGINT)
            assert stop()
            assert stop.exit_code == 130
            os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
        for other in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(other, signal.SIG_DFL)


def test_signals_are_as_before_after_a_stop_that_does_not_end_the_process():
    before = signal.getsignal(signal.SIGINT)
    with stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGHUP)  # a terminal that closes sends several: only Ctrl-C breaks in
    assert stop.signal == signal.SIGINT
    assert signal.getsignal(signal.SIGINT) is before


def test_a_signal_that_the_parent_ignores_does_not_stop_the_run(tmp_path):
    process = start(
        "train",
        quick(tmp_path / "a.toml", 800),
        cwd=tmp_path,
        real=True,
        preexec_fn=lambda: signal.signal(1, signal.SIG_IGN),
    )
    wait_for(lambda: log_lines(tmp_path / "runs" / "a") > 20)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_killed_and_called_again_the_run_goes_on_and_ends_bitwise_equal(run, tmp_path):
    config, folder = quick(tmp_path / "a.toml", epochs=2000), tmp_path / "runs" / "a"
    for _ in range(2):
        before = log_lines(folder)
        process = start("train", config, "--quiet", "--checkpoint-every", 0.05, cwd=tmp_path)
        wait_for(lambda before=before: log_lines(folder) > before + 60 and (folder / "checkpoint.npz").exists())
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
    assert first.poll() is None
    first.kill()
    first.communicate()
    assert (code, err) == (3, "pyflossing: another process is running in runs/a\n")


def test_json_is_one_document_and_nothing_else(run, tmp_path):
    code, out, err = run("train", quick(tmp_path / "a.toml"), "--json")
    assert (code, err) == (0, "")
    said = json.loads(out)
    result = TrainingResult.load(tmp_path / said["folder"] / "result.npz")
    assert said["state"] == "finished"
    assert said["loss"] == result.loss[-1]
    assert said["last_spectrum"] == result.spectra[-1].tolist()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_other_signals_save_too_and_json_tells_the_epoch(tmp_path, number, code):
    process = start("train", quick(tmp_path / "a.toml", 100_000), "--json", cwd=tmp_path)
    wait_for(lambda: log_lines(tmp_path / "runs" / "a") > 20)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    said = json.loads(out)
    assert process.returncode == code
    assert said["state"] == "stopped"
    assert f"stopped after epoch {said['epoch']} of 100000" in err
    assert Checkpoint.load(tmp_path / "runs" / "a" / "checkpoint.npz").state.epoch == said["epoch"]


def test_losing_the_reader_does_not_end_the_run(tmp_path):
    config = quick(tmp_path / "a.toml", 300)
    command = typed(f"pyflossing train '{config}' | head -1")
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
    """The successive states of the bar and of the line below it, without colours."""
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
    lines = re.split(r"[\r\n]+", plain)
    return [line for line in lines if line.startswith(("━", "╸", "╺"))], [
        line for line in lines if line[:6] == "epoch "
    ]


def test_a_terminal_shows_a_bar_and_a_line_with_epoch_loss_accuracy_exponent_and_time_left(tmp_path):
    code, text = on_terminal("train", quick(tmp_path / "a.toml", 1500), cwd=tmp_path)
    assert code == 0
    bars, lines = pictures(text)
    pattern = r"epoch \d+/1500  loss [\d.]+  accuracy [\d.]+  exponent [-+][\d.]+  \d:\d\d:\d\d left"
    assert sum(bool(re.fullmatch(pattern, line)) for line in lines) >= 3
    assert re.fullmatch(r"epoch 1500/1500  loss [\d.]+  accuracy [\d.]+  first exponent [-+][\d.]+", lines[-1])
    percents = [int(bar.split()[-2]) for bar in bars]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1, "the cursor is hidden once, and shown again"


def test_a_narrow_terminal_shows_less_on_lines_that_fit(tmp_path):
    _, text = on_terminal("train", quick(tmp_path / "a.toml", 300), cwd=tmp_path, columns=30)
    bars, lines = pictures(text)
    assert bars
    assert all(len(line) < 30 for line in bars + lines)
    assert re.fullmatch(r"epoch 300/300  [a-z]+ [-+\d.]+", lines[-1])


def test_parts_of_the_line_give_way_by_rank_and_are_shortened_first():
    words = [Word(0, "epoch 1"), Word(2, "loss 0.5"), Word(1, "first exponent 1", "exponent 1")]
    assert fitted(words, 35) == "epoch 1  loss 0.5  first exponent 1"
    assert fitted(words, 34) == "epoch 1  loss 0.5  exponent 1"
    assert fitted(words, 28) == "epoch 1  exponent 1"
    assert fitted(words, 5) == "epoch 1"


def test_time_left_counts_training_and_flossing_epochs_with_their_own_means(tmp_path):
    config = TrainingConfig.load(quick(tmp_path / "a.toml"))
    moments = iter(range(100))
    meter = Meter(config, clock=lambda: float(next(moments)))
    # 6 epochs; 4 flossing epochs before the first, 3 before the second and 3 before the fourth
    assert meter.remaining() == (6, 10)
    left = []
    for record in run_updates(config, initial_state(config)):
        meter.update(record)
        left.append((meter.remaining(), meter.seconds_left()))
    assert left[3] == ((6, 6), None), "no training epoch has been timed yet"
    assert left[4] == ((5, 6), 11.0), "every update took a second"
    assert left[6] == ((5, 4), 9.0)
    assert left[-1] == ((0, 0), 0.0)
    assert [sum(counts) for counts, _ in left] == list(range(15, -1, -1))


def test_no_color_dumb_terminals_and_their_encodings_are_respected(tmp_path):
    config = quick(tmp_path / "a.toml", 300)
    _, colourless = on_terminal("train", config, "-o", "x", cwd=tmp_path, NO_COLOR="1")
    assert pictures(colourless)[0]
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m|\x1b\[38", colourless)
    code, dumb = on_terminal("train", config, "-o", "é", cwd=tmp_path, TERM="dumb", PYTHONIOENCODING="ascii")
    assert code == 0
    assert "epoch 300/300" in dumb
    assert "\x1b" not in dumb
    assert "new run in \\xe9" in dumb


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
    (
        "binary.toml",
        b"\xff\xfe\x00",
        "binary.toml is neither text in UTF-8 nor in UTF-16 with a byte-order mark (byte 2 is invalid)",
    ),
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


def test_other_files_and_no_folder_are_refused(run, tmp_path):
    config = quick(tmp_path / "a.toml")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    said = "full holds files that are not a run's (thesis.tex): choose an empty folder, or a new one (--output)"
    assert run("train", config, "-o", "full") == (2, "", f"pyflossing: {said}\n")
    code, _, err = run("train", config, "-o", ".")
    assert code == 2
    assert err.startswith("pyflossing: . holds files that are not a run's (a.toml, full)")
    for command in (["train", config], ["sweep", config], ["figure", "binary-flossing"]):
        said = "pyflossing: --output = '' is not allowed: it must be the path of a file or folder\n"
        assert run(*command, "-o", "") == (2, "", said)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.toml", "full"]


def test_a_place_that_cannot_be_written_ends_with_1(run, tmp_path):
    config = quick(tmp_path / "a.toml")
    code, _, err = run("train", config, "-o", "/proc/run")
    assert code == 1
    assert err.startswith("pyflossing: /proc/run: cannot write: ")
    code, _, err = run("train", config, "-o", config)
    assert (code, err) == (2, f"pyflossing: {config} is a file; a run needs a folder (--output)\n")


def test_a_damaged_checkpoint_ends_with_1(run, tmp_path):
    config = TrainingConfig.load(quick(tmp_path / "a.toml"))
    with pytest.raises(Stopped):
        train_in(tmp_path / "runs" / "a", config, stop=lambda: True)
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
