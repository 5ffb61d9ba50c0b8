"""``client.py SOCKET WORDS...``: a program of Python, forked by the server; or a real start, where that would differ.

It is started without site and imports next to nothing, so that it takes 15 ms.
"""

import _socket
import marshal
import os
import signal
import sys

READ_AT_START = (
    "PYTHON", "LANG", "LC_", "LD_PRELOAD", "MALLOC_", "GLIBC_",
    "OMP_", "KMP_", "GOMP_", "OPENBLAS_", "MKL_", "NPY_", "ATEN_", "TORCH", "DNNL_",
)  # fmt: skip
"""How the names of variables begin that Python, numpy or torch read as they start."""
_NOT_AT_START = ("PYTHON_JULIA", "PYTHONPATH", "TORCHINDUCTOR_", "KMP_INIT_AT_FORK")
"""But for these; torch and joblib set the last two in the tests' own process."""


def read_at_start(environment):
    """Of an environment what a process that has started no longer looks at."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(READ_AT_START) and not name.startswith(_NOT_AT_START)
    }


def _forked(path, words):
    """The exit status of the program, as os.waitpid gives it; None if the server does not run it."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        return None
    umask = os.umask(0)
    os.umask(umask)
    request = marshal.dumps((words, os.getcwd(), dict(os.environ), umask))  # noqa: PTH109 - pathlib takes 10 ms
    with_streams = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, b"".join(n.to_bytes(4, sys.byteorder) for n in range(3)))]
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.connect(path)
        connection.sendmsg([len(request).to_bytes(8, "big")], with_streams)
        while request:
            request = request[connection.send(request) :]
        program = connection.recv(16)
        if not program:
            return None
    except OSError:
        return None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(int(program), number))
    connection.send(b"!")
    return int(connection.recv(16))


def main(path, *words):
    status = None
    if words[0] in ("-m", "-c") or not words[0].startswith("-"):
        status = _forked(path, words)
    if status is None:
        os.execv(sys.executable, [sys.executable, *words])
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
