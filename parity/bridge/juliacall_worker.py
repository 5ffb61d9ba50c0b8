"""The worker process of `parity.bridge.juliacall`: answers requests with functions called through juliacall.

Arguments: BRIDGE_FILE MODULE_FILE MODULE_NAME REQUEST_FD RESPONSE_FD.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any


def main(bridge_file: str, module_file: str, module_name: str, request_fd: str, response_fd: str) -> None:
    """Answer requests until the request pipe ends."""
    # Before anything that loads numpy: Julia brings its own versions of shared libraries.
    julia = importlib.import_module("juliacall").Main
    from parity.bridge import wire  # noqa: PLC0415

    julia.include(bridge_file)
    julia.include(module_file)
    target = getattr(julia, module_name)
    with os.fdopen(int(request_fd), "rb") as requests, os.fdopen(int(response_fd), "wb") as responses:
        os.set_inheritable(requests.fileno(), False)
        os.set_inheritable(responses.fileno(), False)
        while header := requests.read(wire.LENGTH.size):
            body = bytearray(requests.read(wire.LENGTH.unpack(header)[0]))
            response = wire.encode_reply(answer(julia.Bridge, target, *wire.decode_request(body)))
            responses.write(wire.LENGTH.pack(sum(map(len, response))))
            responses.writelines(response)
            responses.flush()


def answer(bridge: Any, target: Any, name: str, args: list[Any]) -> Any:
    """The reply of a function of a module, called through the loaded Bridge."""
    import numpy as np  # noqa: PLC0415

    from parity.bridge import wire  # noqa: PLC0415

    kinds = "".join(map(wire.kind_letter, args))
    arrays = [np.frombuffer(x.encode(), np.uint8) if isinstance(x, str) else np.atleast_1d(x) for x in args]
    description, *flat = bridge.invoke_flat(target, name, kinds, *arrays)
    (status, form), *entries = (line.split(" ", 1) for line in str(description).split("\n"))
    values: list[wire.Value] = []
    for (kind, _), foreign in zip(entries, flat, strict=True):
        # A view of Julia's memory until it is copied.
        array = np.array(np.asarray(foreign), order="F", copy=True)
        if kind == "t":
            values.append(bytes(array).decode(errors="replace"))
        else:
            values.append(array if kind == "a" else array[0])
    return wire.Reply(status == "ok", int(form), tuple(label for _, label in entries), tuple(values))


if __name__ == "__main__":
    main(*sys.argv[1:])
