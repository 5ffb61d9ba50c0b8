"""Crashes, hangs, kills and garbage of a real Julia, many times: a clear error in time, and nothing left behind.

One of each in the suite; PYFLOSSING_TRIALS=100 makes a hundred. The limits are those for a machine that does much
else at the same time; `--junitxml` keeps how long each trial really took.
"""

import contextlib
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from julia_process import SOON, descendants, is_gone, julia_of, wait_until

from parity.bridge import wire
from parity.bridge.errors import JuliaAnswerTooLong, JuliaConnectionError, JuliaCrashed, JuliaGarbled, JuliaTimeout

pytestmark = pytest.mark.julia
ROOT = Path(__file__).resolve().parents[2]
TRIALS = range(int(os.environ.get("PYFLOSSING_TRIALS", "1")))

PEER = """
module Peer
export add, ready, work, crash, garbage, garbage_and_hang, leave_a_daemon
add(a, b) = a + b
ready() = (println("I am ready"); flush(stdout); true)
work(seconds) = (stop = time() + seconds; x = 1.0; while time() < stop; x = sin(x); end; x)
function crash(how)
    println(stderr, "last words"); flush(stderr)
    how == 0 && ccall(:abort, Cvoid, ())
    how == 1 && exit(3)
    how == 2 && ccall(:kill, Cint, (Cint, Cint), getpid(), 9)
    how == 3 && ccall(:_exit, Cvoid, (Cint,), 0)
end
# the last argument of the process, which is Julia's own or the worker's
pipe() = parse(Cint, last(split(read("/proc/self/cmdline", String), '\\0'; keepempty = false)))
put(bytes) = ccall(:write, Cssize_t, (Cint, Ptr{UInt8}, Csize_t), pipe(), bytes, length(bytes))
garbage(bytes) = (put(bytes); ccall(:_exit, Cvoid, (Cint,), 0))
garbage_and_hang(bytes) = (put(bytes); Libc.systemsleep(600))
function leave_a_daemon(bytes)
    put(bytes)
    ccall(:fcntl, Cint, (Cint, Cint, Cint...), pipe(), 2, 0) # the daemon inherits the pipe
    ccall(:system, Cint, (Cstring,), "setsid sleep 600 &")
    ccall(:_exit, Cvoid, (Cint,), 0)
end
end
"""


@pytest.fixture(scope="module")
def peer_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("trials") / "Peer.jl"
    file.write_text(PEER)
    return file


@pytest.fixture
def connection(open_julia, peer_file):
    """A connection that has said something, and whose processes and files are all gone afterwards."""
    before = set(descendants(os.getpid()))  # the session's own Julia among them
    fds = os.listdir("/proc/self/fd")  # noqa: PTH208
    connection = open_julia(peer_file, "Peer")
    below = [connection.pid, *descendants(connection.pid)]
    connection.call("ready")
    yield connection
    left = [pid for pid in below if not is_gone(pid)]
    connection.close()
    assert not left, "a process was left behind"
    assert set(descendants(os.getpid())) <= before
    assert os.listdir("/proc/self/fd") == fds  # noqa: PTH208


@pytest.fixture
def within(record_property):
    """Asserts that a block takes at most so many seconds, and keeps how many it took."""

    @contextlib.contextmanager
    def within(seconds):
        start = time.monotonic()
        yield
        record_property("seconds", round(time.monotonic() - start, 3))
        assert time.monotonic() - start < seconds

    return within


def stays_dead(connection):
    with pytest.raises(JuliaConnectionError, match="no connection to Julia any more"):
        connection.call("add", 1, 2)


@pytest.mark.parametrize("trial", TRIALS)
def test_a_crash(connection, trial, within):
    with within(SOON), pytest.raises(JuliaCrashed, match=r"Julia ended \(.*\) during the call of crash") as caught:
        connection.call("crash", trial % 4)
    assert "last words" in str(caught.value)
    assert "What you can do" in str(caught.value)
    stays_dead(connection)


@pytest.mark.parametrize("trial", TRIALS)
def test_a_hang(connection, trial, within):
    chance = random.Random(trial)
    julia = julia_of(connection.pid)
    timeout = chance.uniform(0.2, 1.0)
    os.kill(julia, signal.SIGSTOP)
    with within(timeout + SOON), pytest.raises(JuliaTimeout, match="the call of add took longer than") as caught:
        connection.call("add", 1, 2, timeout=timeout)
    assert "I am ready" in str(caught.value)
    assert "PYFLOSSING_TIMEOUT_FACTOR" in str(caught.value)
    stays_dead(connection)


@pytest.mark.parametrize("trial", TRIALS)
def test_a_kill_during_a_call(connection, trial, within):
    julia = julia_of(connection.pid)
    delay = random.Random(trial).uniform(0, 0.3)
    killer = threading.Timer(delay, os.kill, (julia, signal.SIGKILL))
    killer.start()
    with within(SOON), pytest.raises(JuliaCrashed, match=r"SIGKILL.*(.|\n)*ran out of memory"):
        connection.call("work", 60)
    killer.join()
    stays_dead(connection)


def garbled(chance):
    """Bytes that are no answer: random ones, lengths that lie, and a true answer with bytes changed."""
    true = b"".join(wire.encode_reply(wire.Reply.of_result({"a": 1.0, "b": "text"})))
    kind = chance.randrange(6)
    if kind == 0:
        return chance.randbytes(chance.randrange(1, 200)), "is no answer|Julia ended"
    if kind == 1:
        return struct.pack(
            "<Q", chance.choice([16_000_000_000, 2**63, 2**64 - 1])
        ), "a message of \\d+ bytes|GB are read"
    if kind == 2:
        return struct.pack("<Q", 2**31) + b"x" * 1000, "Julia ended"  # less than was announced
    if kind == 3:
        body = bytearray(true)
        body[0] = chance.choice([2, 255])
        return struct.pack("<Q", len(body)) + body, "a response of status"
    if kind == 4:
        return struct.pack("<Q", len(true) - 1) + true[:-1], "ends in the middle of a value"
    return struct.pack("<Q", len(true) + 3) + true + b"xyz", "with more than its"


@pytest.mark.parametrize("trial", TRIALS)
def test_garbage(connection, trial, within):
    chance = random.Random(trial)
    sent, said = garbled(chance)
    errors = (JuliaGarbled, JuliaAnswerTooLong, JuliaCrashed)
    with within(SOON), pytest.raises(errors, match=said) as caught:
        connection.call("garbage", list_of_bytes(sent))
    assert "What you can do" in str(caught.value)
    stays_dead(connection)


@pytest.mark.parametrize("trial", TRIALS)
def test_garbage_and_then_nothing(connection, trial, within):
    sent = struct.pack("<Q", 1000) + random.Random(trial).randbytes(500)
    with within(0.5 + SOON), pytest.raises(JuliaTimeout):
        connection.call("garbage_and_hang", list_of_bytes(sent), timeout=0.5)
    stays_dead(connection)


@pytest.mark.parametrize("trial", TRIALS)
def test_a_daemon_that_keeps_the_pipe_open(connection, trial, within):
    sent = struct.pack("<Q", 1000) + random.Random(trial).randbytes(trial % 3)
    with within(SOON), pytest.raises(JuliaCrashed):
        connection.call("leave_a_daemon", list_of_bytes(sent))
    stays_dead(connection)


def test_bytes_after_an_answer_are_noticed(connection):
    answer = b"".join(wire.encode_reply(wire.Reply.of_result(True)))
    message = struct.pack("<Q", len(answer)) + answer
    assert connection.call("garbage_and_hang", list_of_bytes(message + b"more"), timeout=5)
    with pytest.raises(JuliaGarbled, match="bytes that follow the last answer"):
        connection.call("add", 1, 2)


def list_of_bytes(data):
    import numpy as np

    return np.frombuffer(bytes(data), np.uint8)


@pytest.fixture(params=["exec", "child"])
def report(request, tmp_path, julia_installation):
    """A report that has just been started, with a Julia behind a script that becomes it or holds it as a child."""
    found = julia_installation
    script = tmp_path / "julia"
    script.write_text(f'#!/bin/sh\n{"exec " if request.param == "exec" else ""}"{found.executable}" "$@"\n')
    script.chmod(0o755)
    environment = os.environ | found.environment | {"PYTHONPATH": str(ROOT), "PYFLOSSING_JULIA": str(script)}
    with subprocess.Popen(
        [sys.executable, "-m", "parity", "--only", "live"],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        yield process
        process.kill()
    assert not (tmp_path / "parity-report" / "only" / "report.json").exists()


@pytest.mark.parametrize("trial", TRIALS)
@pytest.mark.parametrize("by", ["SIGINT", "SIGKILL"])
def test_the_end_of_a_report_is_the_end_of_its_julia_at_any_moment(report, by, trial, within):
    # a moment in the start of Julia, or shortly after it
    wait_until(lambda: descendants(report.pid), "nothing was started", seconds=60)
    time.sleep(random.Random(f"{by}{trial}").uniform(0, 2.5))
    below = descendants(report.pid)
    with within(SOON):
        report.send_signal(signal.Signals[by])
        output, complaints = report.communicate(timeout=20)
        wait_until(lambda: all(map(is_gone, below)), "Julia outlived the report")
    assert "Traceback" not in complaints
    if by == "SIGINT" and "written:" not in output:
        assert report.returncode == 130
        assert "interrupted" in complaints


@pytest.mark.parametrize("trial", TRIALS)
def test_ctrl_c_while_the_report_still_loads_its_modules(tmp_path, trial, within):
    process = subprocess.Popen(
        [sys.executable, "-m", "parity", "--julia", "recorded"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(0.3 + 0.1 * (trial % 10))
    with within(SOON):
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=20)
    assert "Traceback" not in complaints
    assert process.returncode in (-signal.SIGINT, 130)
