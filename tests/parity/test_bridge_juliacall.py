"""The juliacall connection as far as it can be tested without juliacall: its plumbing, and Bridge's flat calls."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from parity.bridge.errors import JuliaConnectionError, JuliaCrashed, JuliaError
from parity.bridge.juliacall import JuliacallConnection
from parity.sources import reference_folder

# Stands in for juliacall in tests of the plumbing only: there is no Julia behind it.
FAKE_JULIACALL = """
import os, sys
assert "numpy" not in sys.modules, "numpy was imported before juliacall"

class ForeignArray:
    def __init__(self, array):
        self.array = array
    def __array__(self, dtype=None, copy=None):
        return self.array

def foreign(values):
    import numpy as np
    flat = []
    for kind, x in values:
        flat.append(np.frombuffer(x.encode(), "u1") if kind == "t" else np.array([x]) if kind == "s" else x)
    return [ForeignArray(x) for x in flat]

class Bridge:
    @staticmethod
    def invoke_flat(target, name, kinds, *args):
        args = [a.tobytes().decode() if k == "t" else a[0] if k == "s" else a for k, a in zip(kinds, args)]
        print("noise on standard output", flush=True)
        if name == "bridge_provenance":
            entries = [("t", "julia", "fake"), ("t", "handle signals", os.environ["PYTHON_JULIACALL_HANDLE_SIGNALS"]),
                       ("t", "included", " ".join(os.path.basename(f) for f in Main.included)),
                       ("t", "libraries", os.environ.get("LD_LIBRARY_PATH", "unset"))]
            return described("ok 2", entries)
        if name == "echo":
            return described("ok 1", [(k, "", a) for k, a in zip(kinds, args)])
        if name == "abort":
            os.abort()
        return described("error 2", [("t", "message", f"no {name} in {target}"), ("t", "backtrace", "line 1\\nline 2")])

def described(head, entries):
    lines = [head] + [f"{kind} {name}" for kind, name, _ in entries]
    return ("\\n".join(lines), *foreign([(kind, x) for kind, _, x in entries]))

class Main:
    included = []
    Bridge = Bridge
    Peer = "Peer"
    @classmethod
    def include(cls, file):
        cls.included.append(file)
"""


@pytest.fixture
def paths(tmp_path):
    """An existing file and folder in the roles of Julia and its project."""
    executable = tmp_path / "julia"
    executable.write_text("#!/bin/sh\nexit 3\n")
    executable.chmod(0o755)
    return executable, tmp_path


@pytest.fixture
def plumbing(paths, tmp_path, monkeypatch):
    fakes = tmp_path / "fakes"
    fakes.mkdir()
    (fakes / "juliacall.py").write_text(FAKE_JULIACALL)
    monkeypatch.setenv("PYTHONPATH", str(fakes))
    monkeypatch.setenv("LD_LIBRARY_PATH", "/libraries/of/another/julia")
    monkeypatch.chdir(tmp_path)  # the package must be found from anywhere
    with JuliacallConnection(*paths, tmp_path / "Peer.jl", "Peer", start_timeout=30) as connection:
        yield connection


def test_the_plumbing_passes_arrays_scalars_and_strings_with_their_types(plumbing):
    sent = (
        np.arange(6, dtype=np.float32).reshape(2, 3)[::-1],
        np.zeros((0, 3), np.uint64),
        np.array([True, False]),
        np.float32(0.1),
        np.uint64(2**64 - 1),
        np.True_,
        np.int64(3),
        "naïve",
    )
    answer = plumbing.call("echo", *sent)
    assert [type(x) for x in answer] == [type(x) for x in sent]
    for got, expected in zip(answer, sent, strict=True):
        assert np.array_equal(got, expected)
        assert getattr(got, "dtype", str) == getattr(expected, "dtype", str)


def test_the_plumbing_sets_the_environment_and_includes_both_files(plumbing):
    facts = plumbing.provenance()
    assert facts["connection"] == "juliacall"
    assert facts["handle signals"] == "yes"
    assert facts["included"] == "Bridge.jl Peer.jl"
    assert facts["libraries"] == "unset"


def test_the_plumbing_passes_errors_with_message_and_backtrace(plumbing):
    with pytest.raises(JuliaError, match=r"^no absent in Peer$") as caught:
        plumbing.call("absent")
    assert caught.value.backtrace == "line 1\nline 2"


def test_the_plumbing_survives_a_crash_of_the_worker(plumbing):
    with pytest.raises(JuliaCrashed, match="SIGABRT"):
        plumbing.call("abort")


def test_a_juliacall_that_cannot_start_says_why_within_seconds(paths, tmp_path, monkeypatch):
    executable, project = paths
    fakes = tmp_path / "fakes"
    fakes.mkdir()
    (fakes / "juliacall.py").write_text("raise OSError('urlopen error: no network')")
    monkeypatch.setenv("PYTHONPATH", str(fakes))
    start = time.monotonic()
    with pytest.raises(JuliaConnectionError, match=r"its start(.|\n)*urlopen error: no network"):
        JuliacallConnection(executable, project, tmp_path / "Peer.jl", "Peer")
    assert time.monotonic() - start < 10


def test_the_installed_juliacall_names_a_missing_project(paths, tmp_path):
    pytest.importorskip("juliapkg", reason="juliacall is not installed")
    with pytest.raises(JuliaConnectionError, match=r"PYTHON_JULIACALL_PROJECT=.*absent: path does not exist"):
        JuliacallConnection(paths[0], tmp_path / "absent", tmp_path / "Peer.jl", "Peer")


def test_the_installed_juliacall_reports_a_julia_that_does_not_work(paths, tmp_path):
    pytest.importorskip("juliapkg", reason="juliacall is not installed")
    with pytest.raises(JuliaConnectionError, match="returned non-zero exit status 3"):
        JuliacallConnection(*paths, tmp_path / "Peer.jl", "Peer")


def test_the_worker_module_imports_neither_numpy_nor_torch():
    code = "import sys, parity.bridge.juliacall_worker as w; sys.exit(bool({'numpy', 'torch'} & set(sys.modules)))"
    root = str(Path(__file__).resolve().parents[2])
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


FLAT = """
include(ARGS[1])
module Peer
export echo, named, boom
echo(xs...) = xs
named() = (a = 1.5f0, b = "é", c = BitArray([true, false]))
boom() = error("bad thing")
end
using Test
flat(args...) = Bridge.invoke_flat(Peer, args...)
description, scalar, text, array = flat("echo", "sta", [0x01], codeunits("é"), view([1.0f0 2.0f0], :, 2:2))
@test description == "ok 1\\ns \\nt \\na "
@test scalar == [0x01] && scalar isa Vector{UInt8}
@test text == codeunits("é") && text isa Vector{UInt8}
@test array == fill(2.0f0, 1, 1) && array isa Matrix{Float32}
description, a, b, c = flat("named", "")
@test description == "ok 2\\ns a\\nt b\\na c"
@test a isa Vector{Float32} && b isa Vector{UInt8} && c isa Vector{Bool}
description, message, backtrace = flat("boom", "")
@test description == "error 2\\nt message\\nt backtrace"
@test String(message) == "bad thing" && occursin("boom", String(backtrace))
@test first(flat("absent", "")) == "error 2\\nt message\\nt backtrace"
@test first(flat("echo", "")) == "ok 1"
"""


def test_flat_calls_keep_types_names_and_errors(julia_installation, tmp_path):
    file = tmp_path / "flat.jl"
    file.write_text(FLAT)
    bridge = reference_folder() / "bridge" / "Bridge.jl"
    command = [str(julia_installation.executable), "--startup-file=no", str(file), str(bridge)]
    done = subprocess.run(
        command, env=os.environ | dict(julia_installation.environment), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
