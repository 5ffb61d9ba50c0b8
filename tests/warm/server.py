"""``server.py SOCKET READY``: imports torch, and then forks for each client; ends when its standard input does.

A client's connection is kept by a process between: it waits for the program, tells how that ended, and kills it if the
client is gone before.
"""

from __future__ import annotations

import contextlib
import gc
import io
import marshal
import os
import runpy
import select
import shutil
import signal
import socket
import sys
import types
from pathlib import Path

from client import read_at_start


def serve(path: str, ready: int) -> socket.socket:
    """Serves until the end; returns the connection of a client in a process of its own."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(100)
    os.write(ready, b"!")
    os.close(ready)
    # clients may come from now on, and wait; who started the server does not
    import numpy  # noqa: F401
    import torch  # noqa: F401

    gc.freeze()
    while True:
        found = select.select([0, listener], [], [])[0]
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if 0 in found:
            shutil.rmtree(Path(path).parent)
            os._exit(0)
        connection = listener.accept()[0]
        if not os.fork():
            listener.close()
            return connection
        connection.close()


def keep(connection: socket.socket) -> list[str]:
    """Reads what to run; returns the words in yet another process, which has become as the client is."""
    head, streams, _, _ = socket.recv_fds(connection, 8, 3)
    request = connection.makefile("rb").read(int.from_bytes(head, "big"))
    words, folder, environment, umask = marshal.loads(request)
    if read_at_start(environment) != read_at_start(os.environ):
        os._exit(0)  # the client makes a real start
    wait, begin = os.pipe()
    program = os.fork()
    if not program:
        os.read(wait, 1)
        for unused in (wait, begin, connection.detach()):
            os.close(unused)
        _become(streams, folder, environment, umask)
        return words
    for stream in streams:
        os.close(stream)
    with contextlib.suppress(OSError):
        connection.send(str(program).encode())
        connection.recv(1)  # now it passes signals on
    os.write(begin, b"!")
    ended = os.pidfd_open(program)
    if ended not in select.select([ended, connection], [], [])[0]:
        os.kill(program, signal.SIGKILL)
    status = os.waitpid(program, 0)[1]
    with contextlib.suppress(OSError):
        connection.send(str(status).encode())
    os._exit(0)


def _become(streams: list[int], folder: str, environment: dict[str, str], umask: int) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.umask(umask)
    os.environ.clear()
    os.environ.update(environment)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = _stream(number, getattr(sys, name))
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _stream(number: int, old: io.TextIOWrapper) -> io.TextIOWrapper:
    """As Python opens them, PYTHONUNBUFFERED included."""
    unbuffered = old.write_through and number > 0
    binary = open(number, "wb" if number else "rb", buffering=0 if unbuffered else -1, closefd=False)  # noqa: SIM115
    return io.TextIOWrapper(
        binary,
        encoding=old.encoding,
        errors=old.errors,
        line_buffering=not unbuffered and (number == 2 or binary.isatty()),
        write_through=unbuffered,
    )


def run(words: list[str]) -> None:
    """What Python does with the words behind its name."""
    first, *rest = words
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[1:1] = paths
    if first == "-c":
        sys.argv, sys.path[0] = ["-c", *rest[1:]], ""
        sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), vars(sys.modules["__main__"]))
    elif first == "-m":
        sys.argv, sys.path[0] = rest, str(Path.cwd())
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = [first, *rest], str(Path(first).resolve().parent)
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    run(keep(serve(sys.argv[1], int(sys.argv[2]))))
