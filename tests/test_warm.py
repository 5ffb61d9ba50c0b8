"""Claims about the tests' own fast starts: a program ends, and says, what it does when it is started in earnest."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import pytest
from cli.program import environment, quick
from warm import REAL, commands, python
from warm.client import READ_AT_START

pytestmark = pytest.mark.skipif(REAL, reason="all starts are real")
PROGRAMS = [
    ["-m", "pyflossing", "--version"],
    ["-m", "pyflossing", "trian"],
    ["-m", "pyflossing", "train", "b.toml"],
    ["-m", "parity", "--julia", "recorded", "--only", "streams/golden/randn_f32", "--report", "r"],
    ["-m", "parity", "--julia", "r"],
    ["-m", "json.tool"],
    ["-c", "import os, sys; print(sys.argv, os.getcwd(), sys.path, __name__)", "a b", "-x"],
    [
        "-c",
        "import sys; print([(s.encoding, s.errors, s.line_buffering) for s in (sys.stdin, sys.stdout, sys.stderr)])",
    ],
    ["-c", "import os; print(sorted(os.environ.items()), os.umask(0), os.readlink('/proc/self/fd/0'))"],
    ["-c", "import signal; print([signal.getsignal(number) for number in (2, 13, 15, 17)])"],
    ["-c", "import atexit; atexit.register(print, 'at the end'); raise SystemExit('a reason')"],
    ["-c", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"],
    ["-c", "import os; os.abort()"],
    ["program.py", "--option", "é"],
    ["-X", "utf8", "-c", "import sys; print(sys.flags.utf8_mode)"],
]


def end_of(command, folder, **options):
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, **options)
    return done.returncode, re.sub(rb"(?m)^date: .*$", b"date", done.stdout), done.stderr  # a minute may have passed


@pytest.fixture
def folders(tmp_path):
    """Two in which the same lies; a program is told its own by a link that leads to each in turn."""
    for name in ("real", "forked"):
        (tmp_path / name).mkdir()
        quick(tmp_path / name / "a.toml")
        (tmp_path / name / "b.toml").write_text("n_epochs = 'many'")
        (tmp_path / name / "program.py").write_text("import sys\nprint(sys.argv, __name__)\nsys.exit(7)\n")
    return tmp_path / "real", tmp_path / "forked"


@pytest.mark.parametrize("words", PROGRAMS, ids=" ".join)
def test_a_fast_start_ends_as_a_real_one(words, folders):
    settings = environment(PYTHONPATH="/somewhere", NO_COLOR="1")
    real, forked = (
        end_of([*first, *words], folder, env=settings, umask=0o27)
        for first, folder in zip(([sys.executable], python()), folders, strict=True)
    )
    code, *said = forked
    assert (code, *(text.replace(b"/forked", b"/real") for text in said)) == real
    names = [sorted(path.relative_to(folder) for path in folder.rglob("*")) for folder in folders]
    assert names[0] == names[1]


FORKED = "import sys; print('torch' in sys.modules)"


def test_it_is_a_fast_one_but_where_the_environment_or_a_stream_differs(tmp_path):
    assert end_of([*python(), "-c", FORKED], tmp_path) == (0, b"True\n", b"")
    assert end_of([commands() / "python", "-c", FORKED], tmp_path) == (0, b"True\n", b"")
    for name in ("OMP_NUM_THREADS", "MKL_CBWR", "LC_ALL", "PYTHONIOENCODING", "ATEN_CPU_CAPABILITY"):
        assert name.startswith(READ_AT_START)
        settings = os.environ | {name: {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}.get(name, "2")}
        assert end_of([*python(), "-c", FORKED], tmp_path, env=settings) == (0, b"False\n", b""), name
    closed = "import sys; sys.stderr.write(str((sys.stdout, 'torch' in sys.modules)))"
    assert end_of(["sh", "-c", '"$@" >&-', "sh", *python(), "-c", closed], tmp_path) == (0, b"", b"(None, False)")


SLOW = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_who_ends_it_ends_the_program(tmp_path, number):
    with subprocess.Popen([*python(), "-c", SLOW], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        program = int(process.stdout.readline())
        assert program != process.pid
        process.send_signal(number)
        assert process.wait(timeout=10) == -number
    for _ in range(1000):
        if not os.path.exists(f"/proc/{program}"):  # noqa: PTH110
            return
        time.sleep(0.01)
    raise AssertionError("the program outlived its client")
