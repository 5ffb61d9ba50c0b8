"""Claims about files that were damaged or crafted: refused in one line, soon, and with little memory; never believed.

PYFLOSSING_MUTATIONS=10000 for the long version. A damaged result or checkpoint is only read where it still says the
same; texts that people may edit (settings, sweeps, logs, the summary of a sweep) have no checksum: they are read where
what they say is possible, and refused in one line otherwise.
"""

from __future__ import annotations

import json
import os
import random
import re
import resource
import stat
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
from damaged_files import assert_one_line, crafted, members, mutated, packed, with_header
from sweep_cases import sweep
from typer.testing import CliRunner

from pyflossing import (
    DelayedXOR,
    Flossing,
    FlossingSchedule,
    TanhNetwork,
    TrainingConfig,
    TrainingResult,
    Trials,
    train,
)
from pyflossing.cli.app import app
from pyflossing.runs import Checkpoint, Stopped, train_in
from pyflossing.runs.log import read_log
from pyflossing.sweeps import Sweep, SweepResults, SweepStopped, run_sweep
from pyflossing.sweeps.summary import told

N = int(os.environ.get("PYFLOSSING_MUTATIONS", "150"))
CONFIG = TrainingConfig(
    network=TanhNetwork(),
    n_units=5,
    task=DelayedXOR(1),
    trials=Trials(2, 6),
    flossing=Flossing(3, 0.0, 14, 16, FlossingSchedule(before=2, episode=2, period=2, n_episodes=2)),
    n_epochs=5,
)
_CONFIG_HEADERS = {
    "config": (None, 3, "x", [], {"n_units": 0}),
    "config/n_units": (6, 4, 0, -1, 10**9, 1.5, True, None, "5"),
    "config/n_epochs": (1, 10**400),
    "config/dtype": ("float64", "float16", 3),
    "config/trials/batch_size": (1, 3, 10**9),
    "config/flossing/n_exponents": (2, 4, 0),
    "config/unknown": (1,),
    "elapsed_seconds": (float("nan"), -1, float("inf"), 10**400, "1", None, True, [1]),
    "format": ("pyflossing training result 9", None, 3, "x"),
    "unknown": (1,),
}
RESULT_HEADERS = {
    **_CONFIG_HEADERS,
    "versions": (None, 3, {"a": 1}, {"a": "x" * 1000}, {str(i): "" for i in range(99)}),
}
CHECKPOINT_HEADERS = {
    **_CONFIG_HEADERS,
    "counters/epoch": (0, 2, 4, -1, 10**9, 3.0, None, "3", True),
    "counters/flossing_epoch": (1, -1, 2**70, None),
    "counters/episodes": (0, 2, -1, 10**9, None),
    "counters/last_episode": (0, 1, 3, 10**9, None),
    "counters/initial_state_norm": (-1.0, 0.0, None, float("nan"), "1"),
    "counters/unknown": (1,),
    "powers/training_adam/J": (),
    "powers": ({}, None, {"a": [1, 1]}),
}


@contextmanager
def soon_and_small():
    """Within 2 s of computing and 500 MB; what waits is ended by the time-out that each test has."""
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.process_time() - began < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000


@pytest.fixture(scope="module")
def result():
    return train(CONFIG)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    calls = iter(range(100))
    with pytest.raises(Stopped):
        train_in(folder, CONFIG, stop=lambda: next(calls) >= 6)
    return Checkpoint.load(folder / "checkpoint.npz")


def saved(thing, path):
    thing.save(path)
    return path.read_bytes()


def same_result(a, b):
    return a.same_numbers(b) and (a.config, a.versions, a.elapsed_seconds) == (b.config, b.versions, b.elapsed_seconds)


@pytest.fixture(scope="module")
def crafted_results(result, tmp_path_factory):
    return list(crafted(saved(result, tmp_path_factory.mktemp("good") / "r.npz"), RESULT_HEADERS))


def assert_none_is_read(kind, good, files, path):
    path.write_bytes(packed(members(good)))
    kind.load(path)  # what the crafter makes of the good members is read
    assert len(files) > 200
    for what, crafty in files:
        path.write_bytes(crafty)
        with soon_and_small():
            try:
                kind.load(path)
            except ValueError as error:
                assert_one_line(error, path)
            else:
                raise AssertionError(f"a {kind.__name__} was read: {what}")


def test_crafted_results_are_refused(result, crafted_results, tmp_path):
    assert_none_is_read(TrainingResult, saved(result, tmp_path / "r.npz"), crafted_results, tmp_path / "r.npz")


def test_crafted_checkpoints_are_refused(checkpoint, tmp_path):
    good = saved(checkpoint, tmp_path / "c.npz")
    assert_none_is_read(Checkpoint, good, list(crafted(good, CHECKPOINT_HEADERS)), tmp_path / "c.npz")


def test_a_mutated_result_is_refused_or_says_the_same(result, tmp_path):
    path, chance, read = tmp_path / "r.npz", random.Random(3), 0
    content = saved(result, path)
    for i in range(N):
        path.write_bytes(mutated(content, chance))
        with soon_and_small():
            try:
                found = TrainingResult.load(path)
            except ValueError as error:
                assert_one_line(error, path)
            else:
                assert same_result(found, result), f"mutation {i}"
                read += 1
    print(f"{N - read} of {N} mutated results were refused, {read} said the same")


def test_a_mutated_checkpoint_is_refused_or_says_the_same(checkpoint, tmp_path):
    path, chance, read = tmp_path / "c.npz", random.Random(4), 0
    content = saved(checkpoint, path)
    for i in range(N):
        path.write_bytes(mutated(content, chance))
        with soon_and_small():
            try:
                found = Checkpoint.load(path)
            except ValueError as error:
                assert_one_line(error, path)
            else:
                assert saved(found, tmp_path / "again.npz") == content, f"mutation {i}"
                read += 1
    print(f"{N - read} of {N} mutated checkpoints were refused, {read} said the same")


def test_mutated_texts_are_refused_in_one_line_or_read(result, tmp_path):
    folder = tmp_path / "sweep"
    with pytest.raises(SweepStopped):
        run_sweep(sweep(), folder, n_jobs=1, stop=lambda: len(list(folder.glob("runs/*/result.npz"))) >= 2)
    train_in(tmp_path / "run", CONFIG)
    files = {
        folder / "sweep.toml": Sweep.load,
        folder / "sweep.json": lambda path: told(path.parent),
        folder / "sweep.jsonl": lambda path: told(path.parent),
        tmp_path / "run" / "config.toml": TrainingConfig.load,
        tmp_path / "run" / "log.jsonl": lambda path: read_log(path, CONFIG),
    }
    report = json.loads((folder / "sweep.json").read_text())["jobs"][0]
    line = {key: value for key, value in report.items() if key not in ("condition", "at", "folder")}
    (folder / "sweep.jsonl").write_text((json.dumps(line) + "\n") * 4)
    for path, read in files.items():
        content, chance, n = path.read_bytes(), random.Random(5), 0
        read(path)
        for _ in range(N):
            path.write_bytes(mutated(content, chance))
            with soon_and_small():
                try:
                    read(path)
                except ValueError as error:
                    assert_one_line(error, path)
                    n += 1
        path.write_bytes(content)
        print(f"{n} of {N} mutated {path.name} were refused")
        assert n > N / 4


BAD_LINES = ("5", "null", "[]", "{}", '"x"', '{"epoch": 1}', "x", "NaN", "\x1b[31m", "{" * 10, '{"epoch": NaN}')
LONG_LINE = "[" * 100_000
BAD_LOG = (
    {"epoch": 2}, {"epoch": 0}, {"epoch": "1"}, {"epoch": True}, {"loss": float("nan")}, {"loss": -1}, {"loss": None},
    {"accuracy": 1.5}, {"accuracy": "1"}, {"gradient_norms": {}}, {"gradient_norms": 3}, {"more": 1},
)  # fmt: skip


def test_bad_lines_of_logs_and_journals_are_refused_by_number(tmp_path):
    path = tmp_path / "log.jsonl"
    config = replace(CONFIG, flossing=Flossing(0, 0.0, 14, 16))
    train_in(tmp_path / "run", config)
    good = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    bad = [*BAD_LINES, *(json.dumps({**json.loads(good[0]), **change}) for change in BAD_LOG)]
    for line in bad:
        path.write_text("\n".join([line, *good[1:]]) + "\n")
        with soon_and_small(), pytest.raises(ValueError, match=r"log\.jsonl, line 1: ") as caught:
            read_log(path, config)
        assert_one_line(caught.value, path)
        path.write_text("\n".join([*good, line]))  # a piece that a killed process left
        assert read_log(path, config).epoch == 5
    for line in BAD_LINES:
        (tmp_path / "sweep.jsonl").write_text(line + "\n")
        with soon_and_small(), pytest.raises(ValueError, match=r"sweep\.jsonl is damaged .* can be deleted") as caught:
            told(tmp_path)
        assert_one_line(caught.value, tmp_path / "sweep.jsonl")
    (tmp_path / "sweep.jsonl").write_text('{"name": "a", "st')
    assert told(tmp_path) == {}


@pytest.mark.parametrize(
    "text",
    ["", "5", "null", "[]", "{}", "[" * 100_000, '{"format": "x"}', '{"format": "pyflossing sweep 2", "jobs": 3}'],
)
def test_a_bad_summary_of_a_sweep_is_refused(tmp_path, text):
    run_sweep(sweep().select(seed=[1]), tmp_path, n_jobs=1)
    good = (tmp_path / "sweep.json").read_text()
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(
        ValueError, match=r"sweep\.json is damaged .*it only repeats what the runs say, so it can be deleted"
    ):
        SweepResults.load(tmp_path)
    (tmp_path / "sweep.json").unlink()
    assert all(report.state == "done" for report in SweepResults.load(tmp_path).reports.values())
    (tmp_path / "sweep.json").write_text(good.replace('"seconds": ', '"seconds": -'))
    with pytest.raises(ValueError, match=r"sweep\.json is damaged \(jobs\[0\]\.seconds = -"):
        SweepResults.load(tmp_path)


def deep(n):
    return ".".join("a" * n) + " = 1\n"


BAD_TOML = {
    "a key of 20,000 parts": deep(20_000),
    "such a table": "[" + ".".join("a" * 20_000) + "]\n",
    "with spaces": " . ".join("a" * 20_000) + " = 1\n",
    "with quotes": ".".join(['"!"'] * 20_000) + " = 1\n",
    "after a string that does not end": 'x = "\n' + deep(20_000),
    "deep lists": "n_units = " + "[" * 20_000 + "]" * 20_000,
    "deep tables": "n_units = " + "{a=" * 20_000 + "1" + "}" * 20_000,
    "a number of 5,000 digits": "n_units = 1" + "0" * 5000,
    "many escapes": 'x = "' + '\\"' * 100_000,
    "two megabytes": "#" + "x" * 2**21,
    "a day that no month has": "n_units = 2020-02-31",
    "a name with colours": '"\\u001b[31m" = 1',
    "a control character": "n_units = 1\x1b[31m",
    "no text": b"\xff\xfe\x00",
    "latin 1": "é = 1".encode("latin-1"),
    "zeros": bytes(1000),
}


@pytest.mark.parametrize("name", BAD_TOML)
def test_bad_toml_is_refused_in_one_line(tmp_path, name):
    for kind, file in ((TrainingConfig, "config.toml"), (Sweep, "sweep.toml")):
        path, content = tmp_path / file, BAD_TOML[name]
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with soon_and_small(), pytest.raises(ValueError, match=re.escape(file)) as caught:
            kind.load(path)
        assert_one_line(caught.value, path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_toml_as_powershell_writes_it_is_read(tmp_path, encoding, newline):
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    text = "# \u00e9\n" + CONFIG.to_toml()
    (tmp_path / "config.toml").write_bytes((mark + text.replace("\n", newline)).encode(encoding))
    assert TrainingConfig.load(tmp_path / "config.toml") == CONFIG
    (tmp_path / "sweep.toml").write_bytes((mark + sweep().to_toml().replace("\n", newline)).encode(encoding))
    assert Sweep.load(tmp_path / "sweep.toml") == sweep()
    assert TrainingConfig.from_toml("\ufeff" + text) == CONFIG


def special(folder):
    """A pipe, a device and a socket's relative: what is no regular file."""
    os.mkfifo(folder / "pipe")
    (folder / "null.toml").symlink_to("/dev/null")
    (folder / "zero.npz").symlink_to("/dev/zero")
    return [folder / "pipe", folder / "null.toml", folder / "zero.npz"]


def test_pipes_and_devices_are_refused_and_not_waited_for(tmp_path):
    for path in special(tmp_path):
        for load in (TrainingConfig.load, Sweep.load, TrainingResult.load, Checkpoint.load):
            with soon_and_small(), pytest.raises(ValueError, match="is not a regular file") as caught:
                load(path)
            assert_one_line(caught.value, path)
        for command in ("train", "sweep", "show", "spectrum"):
            found = CliRunner().invoke(app, [command, str(path)])
            assert (found.exit_code, found.stdout) == (2, "")
            assert len(found.stderr.splitlines()) == 1
            assert "is not a regular file" in found.stderr
    run = tmp_path / "run"
    train_in(run, CONFIG)
    for name in ("result.npz", "log.jsonl", "config.toml"):
        (run / name).rename(tmp_path / name)
        os.mkfifo(run / name)
        assert stat.S_ISFIFO((run / name).stat().st_mode)
        found = CliRunner().invoke(app, ["show", str(run)])
        assert found.exit_code in (1, 2)
        assert len(found.stderr.splitlines()) == 1, (name, found.output)
        (run / name).unlink()
        (tmp_path / name).rename(run / name)


def test_no_control_character_of_a_file_reaches_the_terminal(result, tmp_path):
    path = tmp_path / "r.npz"
    content = saved(result, path)

    def paint(header):
        header["versions"]["torch"] = "\x1b[31m\x07\u202e"

    path.write_bytes(packed(with_header(members(content), paint)))
    found = CliRunner().invoke(app, ["show", str(path)])
    assert found.exit_code == 0
    assert r"torch \x1b[31m\x07\u202e" in found.stdout
    assert found.stdout.replace("\n", "").isprintable()


def test_commands_tell_of_damaged_files_in_one_line(crafted_results, tmp_path):
    path = tmp_path / "r.npz"
    for _, crafty in crafted_results[::15]:
        path.write_bytes(crafty)
        for command in ("show", "spectrum"):
            found = CliRunner().invoke(app, [command, str(path)])
            assert (found.exit_code, found.stdout) == (1, "")
            assert found.stderr.startswith(f"pyflossing: {path}")
            assert len(found.stderr.splitlines()) == 1


def test_results_of_the_first_format_are_still_read(result, tmp_path):
    path = tmp_path / "old.npz"
    content = saved(result, path)
    old = with_header(members(content), lambda header: header.update(format="pyflossing training result 1"))
    del old["sha256"]
    path.write_bytes(packed(old, seal=False, compress=True))
    assert same_result(TrainingResult.load(path), result)
