"""Claims about runs in folders: killed, stopped, resumed, refused."""

from __future__ import annotations

import json
import re
import resource
import subprocess
from dataclasses import replace

import pytest
from warm import python

from pyflossing import DelayedXOR, Flossing, FlossingSchedule, Seeds, TanhNetwork, TrainingConfig, TrainingResult, train
from pyflossing import Trials as Batch
from pyflossing.runs import FolderInUse, Stopped, keep, resume, train_in, train_or_resume

CONFIG = TrainingConfig(
    network=TanhNetwork(),
    n_units=5,
    task=DelayedXOR(1),
    trials=Batch(2, 6),
    flossing=Flossing(3, 0.0, 14, 16, FlossingSchedule(before=4, episode=3, period=2, n_episodes=2)),
    n_epochs=6,
)


@pytest.fixture(scope="module")
def whole():
    return train(CONFIG)


def stop_after(n_updates):
    calls = iter(range(1, 10**9))
    return lambda: next(calls) >= n_updates


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_run_leaves_settings_log_and_result(tmp_path, whole):
    result = train_in(tmp_path / "a" / "run", CONFIG)
    folder = tmp_path / "a" / "run"
    assert result.same_numbers(whole)
    assert TrainingResult.load(folder / "result.npz").same_numbers(whole)
    assert names(folder) == [".lock", "config.toml", "log.jsonl", "result.npz"]
    assert TrainingConfig.load(folder / "config.toml") == CONFIG
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    epochs = [line for line in lines if "accuracy" in line]
    assert [line["loss"] for line in epochs] == whole.loss.tolist()
    assert [line["gradient_norms"]["x0"] for line in epochs] == whole.gradient_norms["x0"].tolist()
    assert [line["exponents"] for line in lines if "exponents" in line] == whole.spectra.tolist()
    assert resume(folder).same_numbers(whole)


def test_stopped_after_any_update_and_resumed_it_leaves_the_same_bytes(tmp_path, whole):
    train_in(tmp_path / "whole", CONFIG)
    n_updates = len(whole.loss) + len(whole.flossing_loss)
    for n in range(1, n_updates + 1):
        folder = tmp_path / str(n)
        with pytest.raises(Stopped, match=f"resume\\('{folder}'\\)"):
            train_in(folder, CONFIG, stop=stop_after(n))
        assert len((folder / "log.jsonl").read_text().splitlines()) == n
        with (folder / "log.jsonl").open("a") as log:
            log.write('{"epoch": 99, "lo')  # what a killed process can leave
        assert resume(folder).same_numbers(whole)
        assert (folder / "log.jsonl").read_bytes() == (tmp_path / "whole" / "log.jsonl").read_bytes()


def test_a_second_process_in_the_folder_is_refused(tmp_path):
    def second(record):
        with pytest.raises(FolderInUse, match="another process is running in"):
            resume(tmp_path / "run")
        assert (tmp_path / "run" / "log.jsonl").exists()

    train_in(tmp_path / "run", CONFIG, [second])


def test_folders_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no run"):
        resume(tmp_path)
    with pytest.raises(Stopped):
        train_in(tmp_path / "run", CONFIG, stop=stop_after(3))
    with pytest.raises(FileExistsError, match="holds a run already"):
        train_in(tmp_path / "run", CONFIG)
    other = replace(CONFIG, seeds=Seeds(network=2))
    with pytest.raises(ValueError, match="holds a run of other settings"):
        train_or_resume(tmp_path / "run", other)
    other.save(tmp_path / "run" / "config.toml")
    with pytest.raises(ValueError, match=r"checkpoint\.npz is of other settings than the config\.toml"):
        resume(tmp_path / "run")
    with pytest.raises(ValueError, match="checkpoint_every = -1 is not allowed"):
        train_in(tmp_path / "new", CONFIG, checkpoint_every=-1)


def test_a_damaged_checkpoint_is_refused_and_kept(tmp_path):
    with pytest.raises(Stopped):
        train_in(tmp_path, CONFIG, stop=stop_after(3))
    (tmp_path / "checkpoint.npz").write_bytes(b"garbage")
    with pytest.raises(ValueError, match=r"checkpoint\.npz is not a checkpoint of pyflossing"):
        resume(tmp_path)
    assert (tmp_path / "checkpoint.npz").read_bytes() == b"garbage"


def test_an_unwritable_place_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write: .*file/run"):
        train_in(tmp_path / "file" / "run", CONFIG)
    with pytest.raises(OSError, match=r"cannot write: .*/proc/run"):
        train_in("/proc/run", CONFIG)


FULL = """
import resource, signal, sys
from pyflossing.runs import resume
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
try:
    resume(sys.argv[1], checkpoint_every=0)
except OSError as error:
    print(error)
"""


def test_a_disk_without_room_ends_the_run_with_a_name_and_leaves_it_resumable(tmp_path, whole):
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    with pytest.raises(Stopped):
        train_in(tmp_path, CONFIG, stop=stop_after(3))
    before = (tmp_path / "checkpoint.npz").read_bytes()
    said = subprocess.run([*python(), "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert "cannot write: File too large" in said.stdout, said.stderr
    assert str(tmp_path) in said.stdout
    assert (tmp_path / "checkpoint.npz").read_bytes() == before
    assert resume(tmp_path).same_numbers(whole)


@pytest.mark.parametrize("name", ["result.npz", "log.jsonl", "notes.txt", ".config.toml.swp", "a folder"])
def test_a_folder_with_other_files_and_no_run_is_refused_and_left_alone(tmp_path, name, whole):
    if name == "a folder":
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    for call in (train_in, train_or_resume):
        with pytest.raises(
            FileExistsError, match=re.escape(f"{tmp_path} holds files that are not a run's ({name}): choose")
        ):
            call(tmp_path, CONFIG)
    with pytest.raises(FileExistsError, match="that are not a run's"):
        keep(tmp_path, whole)
    assert sorted(tmp_path.rglob("*")) == before
    assert name == "a folder" or (tmp_path / name).read_text() == "mine"


def test_what_a_killed_start_left_is_no_other_file_and_only_ours_is_cleared(tmp_path, whole):
    ours = [tmp_path / name for name in (".config.toml.x1y2z3.pyflossing", ".lock")]
    for path in ours:
        path.touch()
    assert train_in(tmp_path, CONFIG, stop=lambda: False).same_numbers(whole)
    assert names(tmp_path) == [".lock", "config.toml", "log.jsonl", "result.npz"]
    foreign = [tmp_path / name for name in (".config.toml.swp", ".result.npz.swp", ".result.npz.x1y2z3", "notes.txt")]
    for path in foreign:
        path.write_text("mine")
    resume(tmp_path)
    assert all(path.read_text() == "mine" for path in foreign)


@pytest.mark.parametrize("folder", ["", "a\0b", None, 3, b"x", True])
def test_what_is_no_path_is_refused_by_name(tmp_path, monkeypatch, folder, whole):
    monkeypatch.chdir(tmp_path)
    for call in (
        lambda: train_in(folder, CONFIG),
        lambda: train_or_resume(folder, CONFIG),
        lambda: resume(folder),
        lambda: keep(folder, whole),
    ):
        with pytest.raises(ValueError, match=r"^folder = .* is not allowed: it must be the path of a file or folder"):
            call()
    assert not list(tmp_path.iterdir())
