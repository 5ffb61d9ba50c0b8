"""Crashes, time-outs and interruptions: a clear exception soon, and nothing left behind."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from julia_process import SOON, descendants, is_gone, julia_of, wait_until_gone

from parity.bridge.errors import JuliaConnectionError, JuliaCrashed, JuliaTimeout
from parity.bridge.executable import ExecutableConnection

PEER = """
module Peer
export add, abort, leave, doze, swallow
add(a, b) = a + b
abort() = (println(stderr, "last words"); flush(stderr); ccall(:abort, Cvoid, ()))
leave(code) = exit(code)
doze(seconds) = (Libc.systemsleep(seconds); seconds)
swallow(a) = length(a)
end
"""


@pytest.fixture
def connect(open_julia, tmp_path):
    file = tmp_path / "Peer.jl"
    file.write_text(PEER)
    opened = []

    def open_connection():
        opened.append(open_julia(file, "Peer"))
        return opened[-1]

    before = set(descendants(os.getpid()))  # the session's own Julia among them
    fds = os.listdir("/proc/self/fd")  # noqa: PTH208
    yield open_connection
    for connection in opened:
        connection.close()
        assert is_gone(connection.pid)
        assert set(descendants(os.getpid())) <= before
    assert os.listdir("/proc/self/fd") == fds  # noqa: PTH208


def later(seconds, action):
    timer = threading.Timer(seconds, action)
    timer.start()
    return timer


def test_a_crash_names_the_signal_and_the_last_output_and_later_calls_refer_to_it(connect):
    connection = connect()
    start = time.monotonic()
    with pytest.raises(JuliaCrashed, match=r"SIGABRT.* during the call of abort(.|\n)*last words"):
        connection.call("abort")
    assert time.monotonic() - start < SOON
    assert is_gone(connection.pid)
    with pytest.raises(JuliaConnectionError, match="Julia ended during the call of abort"):
        connection.call("add", 1, 2)


def test_an_exit_names_its_code(connect):
    with pytest.raises(JuliaCrashed, match="exit code 7"):
        connect().call("leave", 7)


def test_a_kill_from_outside_is_noticed_at_once(connect):
    connection = connect()
    timer = later(0.3, lambda: os.kill(julia_of(connection.pid), signal.SIGKILL))
    start = time.monotonic()
    with pytest.raises(JuliaCrashed, match="SIGKILL"):
        connection.call("doze", 60)
    assert time.monotonic() - start < SOON
    timer.join()


def test_a_kill_between_two_calls_is_noticed_by_the_next_even_when_it_sends_much(connect):
    connection = connect()
    os.kill(julia_of(connection.pid), signal.SIGKILL)
    with pytest.raises(JuliaCrashed, match="SIGKILL"):
        connection.call("swallow", np.zeros(1_000_000))


def test_a_time_out_kills_julia(connect):
    connection = connect()
    start = time.monotonic()
    with pytest.raises(JuliaTimeout, match=r"the call of doze took longer than 0\.4 s"):
        connection.call("doze", 60, timeout=0.4)
    assert time.monotonic() - start < SOON
    assert is_gone(connection.pid)
    with pytest.raises(JuliaConnectionError, match="timed out"):
        connection.call("add", 1, 2)


def test_a_julia_that_reads_no_more_is_timed_out_while_sending(connect):
    connection = connect()
    os.kill(julia_of(connection.pid), signal.SIGSTOP)
    with pytest.raises(JuliaTimeout):
        connection.call("swallow", np.zeros(1_000_000), timeout=0.4)


def test_a_call_within_its_time_succeeds(connect):
    assert connect().call("doze", 0.05, timeout=1e12) == 0.05


def test_closing_from_another_thread_ends_a_call(connect):
    connection = connect()
    timer = later(0.3, connection.close)
    with pytest.raises(JuliaConnectionError):
        connection.call("doze", 60)
    timer.join()


def test_a_forgotten_connection_ends_its_julia(connect, julia_installation, tmp_path):
    found = julia_installation
    connection = ExecutableConnection(found.executable, found.environment, tmp_path / "Peer.jl", "Peer")
    pid = connection.pid
    del connection
    gc.collect()
    assert is_gone(pid)


@pytest.mark.parametrize(
    ("source", "name", "complaint"),
    [
        ('module Peer\nerror("cannot load")\nend', "Peer", "cannot load"),
        ("module Peer\nend", "Pear", "Pear"),
        ("module Peer (", "Peer", "syntax|ParseError"),  # the latter since Julia 1.10
    ],
)
def test_a_failed_start_shows_what_julia_said(julia_installation, tmp_path, source, name, complaint):
    file = tmp_path / "Peer.jl"
    file.write_text(source)
    found = julia_installation
    fds = os.listdir("/proc/self/fd")  # noqa: PTH208
    with pytest.raises(JuliaCrashed, match=f"during its start(.|\n)*{complaint}"):
        ExecutableConnection(found.executable, found.environment, file, name)
    assert os.listdir("/proc/self/fd") == fds  # noqa: PTH208


def test_a_missing_executable_is_named(tmp_path):
    with pytest.raises(JuliaConnectionError, match=r"cannot start .*no-julia"):
        ExecutableConnection(tmp_path / "no-julia", {}, tmp_path / "Peer.jl", "Peer")


SCRIPT = """
import sys
from pathlib import Path
from parity.bridge.executable import ExecutableConnection
executable, libraries, module_file = sys.argv[1:]
environment = {"LD_LIBRARY_PATH": libraries} if libraries else {}
connection = ExecutableConnection(Path(executable), environment, Path(module_file), "Peer")
print(connection.pid, flush=True)
try:
    connection.call("doze", 60)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    try:
        connection.call("add", 1, 2)
    except Exception as error:
        print(error, flush=True)
"""


@pytest.fixture
def caller(julia_installation, tmp_path):
    """A Python process whose Julia is in the middle of a long call, and the id of that Julia."""
    file = tmp_path / "Peer.jl"
    file.write_text(PEER)
    found = julia_installation
    libraries = found.environment.get("LD_LIBRARY_PATH", "")
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), str(found.executable), libraries, str(file)]
    root = str(Path(__file__).resolve().parents[2])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": root}) as process:
        pid = int(process.stdout.readline())
        time.sleep(0.3)  # into the call
        yield process, pid
        process.kill()


def test_ctrl_c_raises_keyboard_interrupt_and_ends_julia(caller):
    process, pid = caller
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=SOON)
    assert "interrupted\n" in output
    assert "the call of doze was interrupted by KeyboardInterrupt" in output
    assert process.returncode == 0
    wait_until_gone(pid)


def test_no_julia_outlives_a_killed_parent(caller):
    process, pid = caller
    process.kill()
    process.wait()
    wait_until_gone(pid)
