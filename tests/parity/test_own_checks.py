"""Checks of one's own: how they compare, where their bounds come from, and what a file of them must have."""

from __future__ import annotations

import argparse
import ast
from pathlib import Path

import numpy as np
import pytest

import parity
from parity import __main__ as program
from parity.bridge.errors import JuliaError, StaleTranscript
from parity.bridge.recorded import RecordingConnection
from parity.own.checks_file import checks_of_file
from parity.own.session import OWN_SOURCES

X = np.random.default_rng(2).standard_normal(200).astype("f4")


class Peer:
    """Another implementation, in the place of a Julia."""

    def __init__(self, **functions):
        self.functions = functions

    def call(self, name, *args, timeout=None):
        return self.functions[name](*args)

    def provenance(self):
        return {"connection": "a peer"}


def total(x):
    return x.sum()


def one_by_one(x):
    result = x.dtype.type(0)
    for value in x:
        result += value
    return result


def report(peer, *checks):
    return parity.run_checks(checks, Peer(**peer))


def test_a_measured_bound_admits_another_order_of_the_same_sum():
    found = report({"f": one_by_one}, parity.check_call("sum", total, "f", X, compare="nudged"))
    assert found.exit_code == 0, str(found)
    (outcome,) = found.outcomes
    measure = outcome.verdicts["result"].measure
    assert 0 < measure.bound < 1e-3
    assert outcome.check.level == parity.Level.STEP
    assert "yours" in str(found)
    exact = report({"f": one_by_one}, parity.check_call("sum", total, "f", X))
    assert exact.exit_code == 1 or np.sum(X) == one_by_one(X)


def test_a_relative_error_of_a_thousandth_is_beyond_a_measured_bound():
    wrong = report(
        {"f": total}, parity.check_call("sum", lambda x: x.sum() * x.dtype.type(1.001), "f", X, compare="nudged")
    )
    assert wrong.exit_code == 1


def test_a_function_that_loses_precision_cannot_hide_behind_its_own_bound():
    def rough(x):
        return x.astype(np.float16).astype(x.dtype).sum() if x.dtype == np.float32 else x.sum()

    found = report({"f": total}, parity.check_call("sum", rough, "f", X, compare="nudged"))
    assert "ours is imprecise" in str(found)
    assert found.exit_code == 1


def test_types_that_are_exact_and_float64_have_bounds_of_their_own():
    both = {"f": lambda x: {"n": np.int64(x.size), "mean": x.mean()}}
    double = X.astype("f8")
    found = report(
        both,
        parity.check_call("m", lambda x: {"n": x.size, "mean": one_by_one(x) / x.size}, "f", double, compare="nudged"),
    )
    assert found.exit_code == 0, str(found)
    off = report(
        both, parity.check_call("m", lambda x: {"n": x.size + 1, "mean": x.mean()}, "f", double, compare="nudged")
    )
    assert set(off.outcomes[0].failures) == {"n"}


def test_shapes_names_tuples_and_text_are_compared():
    peer = {"f": lambda: (np.ones((2, 3)), "text"), "g": lambda: {"a": np.float32(1)}}
    found = report(
        peer,
        parity.check_call("transposed", lambda: (np.ones((3, 2)), "text"), "f"),
        parity.check_call("another name", lambda: {"b": np.float32(1)}, "g"),
        parity.check_call("another text", lambda: (np.ones((2, 3)), "tent"), "f"),
    )
    assert [outcome.status for outcome in found.outcomes] == ["failed"] * 3
    assert "shapes differ: ours (3, 2), theirs (2, 3)" in str(found)
    assert "only one side has a, b" in str(found)


def test_arguments_are_not_changed_and_refusals_name_what_is_wrong():
    def spoils(x):
        x[:] = 0
        return x

    x = np.ones(3)
    assert report({"f": np.zeros_like}, parity.check_call("s", spoils, "f", x)).exit_code == 0
    assert x.tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="compare = 'close' is not allowed"):
        parity.check_call("s", spoils, "f", compare="close")

    def only_float32(x):
        if x.dtype != np.float32:
            raise JuliaError("MethodError: no method matching f(::Array{Float64,1})", "")
        return x

    found = report({"f": only_float32}, parity.check_call("s", lambda x: x, "f", X, compare="nudged"))
    assert "Julia's f does not take them: MethodError" in " ".join(str(found).split())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nowhere", r"cannot be run: ModuleNotFoundError: No module named 'nowhere' \(line 1\)"),
        ("def checks():\n    return 1 / 0", r"cannot be run: ZeroDivisionError: division by zero \(line 2\)"),
        ("checks = []", "gives no checks: a file of checks has a function"),
        ("checks = [3]", "gives no checks"),
        ("x = 3", "gives no checks"),
        (
            "from parity import check_call\nchecks = [check_call('a', abs, 'f'), check_call('a', abs, 'g')]",
            "several checks of the name a",
        ),
    ],
)
def test_a_file_without_checks_is_refused(tmp_path, text, message):
    file = tmp_path / "my_checks.py"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        checks_of_file(file)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--include", "my.jl"], "--include belongs to checks of your own"),
        (["--checks", "nowhere.py"], "there is no file of checks nowhere.py"),
        (["doctor", "--checks", "my.py"], "--checks is not allowed with doctor"),
        (["record", "--checks", "my.py"], "record needs --transcript FILE"),
        (["--julia", "recorded", "--checks", "my.py"], "--julia recorded needs --transcript FILE"),
        (["run", "1", "2", "3"], "33 values are needed, not 3"),
    ],
)
def test_wrong_usage_is_told_in_one_line(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("my.py").write_text("from parity import check_call\nchecks = [check_call('a', abs, 'f', 1)]\n")
    assert program.main(words) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1


def test_a_transcript_answers_for_its_file_until_that_changes(tmp_path):
    file = tmp_path / "my.jl"
    file.write_text("f(x) = sum(x)\n")
    peer = Peer(f=np.sum)
    peer.provenance = lambda: {"included my.jl": _digest(file), "julia": "1.5.3"}
    recording = RecordingConnection(peer, sources_hash=OWN_SOURCES, package_version="0")
    recording.call("f", X)
    recording.save(tmp_path / "my.npz")
    with parity.julia("recorded", transcript=tmp_path / "my.npz") as jl:
        assert jl.include(file) == ("f",)
        assert jl.call("f", X) == X.sum()
        assert "NO LIVE JULIA" in jl.notices[0]
        with pytest.raises(StaleTranscript, match=r"no answers of other\.jl"):
            (tmp_path / "other.jl").write_text("")
            jl.include(tmp_path / "other.jl")
        file.write_text("f(x) = 2sum(x)\n")
        with pytest.raises(StaleTranscript, match="has changed since its answers were recorded"):
            jl.include(file)
    with pytest.raises(ValueError, match="belong together"):
        parity.julia("recorded")


def _digest(file):
    import hashlib

    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def test_public_names_are_loaded_at_first_use_and_seen_by_type_checkers():
    tree = ast.parse(Path(parity.__file__).read_text(encoding="utf-8"))
    (choice,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {(node.module.removeprefix("parity."), alias.name) for node in choice.body for alias in node.names}
    (call,) = [node for node in ast.walk(choice) if isinstance(node, ast.Call)]
    homes = ast.literal_eval(call.keywords[0].value)
    assert {(home, name) for home, names in homes.items() for name in names} == seen
    assert {name for _, name in seen} == set(parity.__all__)
    assert all(getattr(parity, name).__doc__ for name in parity.__all__)


def test_options_of_own_checks_are_listed_in_the_help():
    assert isinstance(program._parser(), argparse.ArgumentParser)
    assert all(option in program._parser().format_help() for option in ("--checks", "--include", "--transcript"))
