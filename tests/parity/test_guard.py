"""The guard under which every Julia runs: nothing outlives the process that asked for it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from julia_process import descendants, is_gone, wait_until, wait_until_gone

from parity.guard import guarded

ROOT = Path(__file__).resolve().parents[2]
# Leaves the group and the session, and closes nothing: what a daemon does.
DAEMON = "import os, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(60)"


class Guarded:
    """A command under a guard, and the pipe that keeps both alive."""

    def __init__(self, *command, environment=None):
        theirs, self.life = os.pipe()
        words, inner = guarded(command, os.environ if environment is None else environment, theirs)
        self.process = subprocess.Popen(
            words, env=inner, pass_fds=[theirs], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.life >= 0:
            os.close(self.life)
        with self.process:
            self.process.kill()


@pytest.mark.parametrize("status", [0, 1, 7, 127, 255])
def test_the_guard_ends_with_the_exit_status_of_its_command(status):
    with Guarded("sh", "-c", f"echo out; echo err >&2; exit {status}") as run:
        assert run.process.communicate(timeout=10) == ("out\n", "err\n")
        assert run.process.returncode == status


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGABRT", "SIGTERM"])
def test_the_guard_ends_by_the_signal_of_its_command(name):
    with Guarded("sh", "-c", f"kill -{name[3:]} $$") as run:
        run.process.communicate(timeout=10)
        assert run.process.returncode == -signal.Signals[name]


def test_what_cannot_be_started_is_named():
    with Guarded("/no/such/julia") as run:
        _, errors = run.process.communicate(timeout=10)
        assert run.process.returncode == 127
        assert errors == "parity guard: cannot start /no/such/julia: No such file or directory\n"


@pytest.mark.parametrize("command", ["sleep 60", "sleep 60 & wait", "(setsid sleep 60 &) ; sleep 60", "kill -STOP $$"])
def test_the_end_of_the_pipe_ends_everything(command):
    with Guarded("sh", "-c", command) as run:
        wait_until(lambda: descendants(run.process.pid))
        time.sleep(0.2)
        below = descendants(run.process.pid)
        os.close(run.life)
        run.life = -1
        start = time.monotonic()
        run.process.wait(timeout=10)
        assert time.monotonic() - start < 2
        assert all(map(is_gone, below))


def test_descendants_that_became_daemons_end_with_the_command():
    script = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {DAEMON!r}], stdout=subprocess.PIPE)"
    script += "; print(p.stdout.readline().decode(), flush=True)"
    with Guarded(sys.executable, "-c", script) as run:
        output, _ = run.process.communicate(timeout=10)
        assert run.process.returncode == 0
        wait_until_gone(int(output))


def test_the_command_gets_its_library_path_and_the_guard_keeps_its_own(monkeypatch):
    monkeypatch.setenv("LD_LIBRARY_PATH", "/ours")
    command = ("sh", "-c", 'echo "${LD_LIBRARY_PATH-unset}"; env | grep -c PARITY_GUARD')
    for environment, expected in (({"LD_LIBRARY_PATH": "/theirs"}, "/theirs"), ({}, "unset")):
        with Guarded(*command, environment={"PATH": os.environ["PATH"]} | environment) as run:
            assert run.process.communicate(timeout=10)[0] == f"{expected}\n0\n"
        assert guarded(["x"], environment, 3)[1]["LD_LIBRARY_PATH"] == "/ours"


KILLED = """
import os, subprocess, threading, time
from parity.guard import guarded
def work():
    theirs, life = os.pipe()
    words, inner = guarded(["sh", "-c", "sleep 60 & wait"], os.environ, theirs)
    process = subprocess.Popen(words, env=inner, pass_fds=[theirs], start_new_session=True)
    print(process.pid, flush=True)
    time.sleep(60)
threading.Thread(target=work).start()
"""


def test_a_killed_parent_takes_everything_along_from_a_thread_too():
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, env=environment) as parent:
        guard = int(parent.stdout.readline())
        wait_until(lambda: len(descendants(guard)) == 2)
        below = [guard, *descendants(guard)]
        start = time.monotonic()
        parent.kill()
        for pid in below:
            wait_until_gone(pid)
        assert time.monotonic() - start < 2
