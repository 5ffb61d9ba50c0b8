"""The file in which answers of Julia are kept: one npz without pickles.

The entry `about` is JSON as bytes: the format's number, the provenance and, by digest, the calls in words.
Every other entry is the body of a response (`parity.bridge.wire`) under its own SHA-256, so that equal answers are kept
once; `about` maps the SHA-256 of each request's body to it. Uncompressed and in order of the digests, so that equal
content gives equal bytes whatever zlib is installed.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from parity.bridge import wire
from parity.bridge.errors import JuliaConnectionError
from pyflossing._support.files import write_atomically
from pyflossing._support.npz import byte_members

RECORD_COMMAND = "python -m parity record"
_FORMAT = 1
_MOST_ENTRIES = 100_000


@dataclass
class Transcript:
    """Answers by the digest of their request, the calls in words, and where the answers come from."""

    provenance: dict[str, str]
    calls: dict[str, str] = field(default_factory=dict)
    answers: dict[str, bytes] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the file; a reader finds the old one or the new one, never a part."""
        names = {digest: hashlib.sha256(answer).hexdigest() for digest, answer in self.answers.items()}
        about = {"format": _FORMAT, "provenance": self.provenance, "calls": self.calls, "answers": names}
        entries: dict[str, Any] = {"about": _bytes_array(json.dumps(about, sort_keys=True).encode())}
        bodies = {names[digest]: answer for digest, answer in self.answers.items()}
        entries |= {name: _bytes_array(bodies[name]) for name in sorted(bodies)}
        content = io.BytesIO()
        np.savez(content, **entries)
        write_atomically(path, content.getvalue())

    @classmethod
    def load(cls, path: Path) -> Transcript:
        """Read the file; JuliaConnectionError if it is missing, damaged or something else."""
        if not path.is_file():
            raise JuliaConnectionError(f"there is no transcript {path}; `{RECORD_COMMAND}` writes it")
        try:
            content = byte_members(path, "transcript", _MOST_ENTRIES)
            about = json.loads(content.pop("about"))
            if any(hashlib.sha256(body).hexdigest() != name for name, body in content.items()):
                raise ValueError("an answer does not match its checksum")
            if about["format"] != _FORMAT:
                raise ValueError(f"format {about['format']} instead of {_FORMAT}")
            answers = {digest: content[name] for digest, name in about["answers"].items()}
            return cls(dict(about["provenance"]), dict(about["calls"]), answers)
        # zipfile, zlib, numpy and json have a dozen ways to say that they do not know this file.
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise JuliaConnectionError(f"{path} is damaged or no transcript ({reason})") from error


def digest_of(name: str, args: Sequence[wire.Argument]) -> str:
    """The key of a call: equal exactly if Julia would receive the same bytes."""
    digest = hashlib.sha256()
    for chunk in wire.encode_request(name, args):
        digest.update(chunk)
    return digest.hexdigest()


def describe_call(name: str, args: Sequence[wire.Argument]) -> str:
    """The call in words, with types and shapes, without the content of arrays."""
    return f"{name}({', '.join(_describe(wire.plain(argument, 'argument')) for argument in args)})"


def _describe(value: wire.Value) -> str:
    if isinstance(value, str):
        return repr(value)
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)}"
    return f"{value.dtype} {value.item()!r}"


def _bytes_array(content: bytes) -> wire.Array:
    return np.frombuffer(content, np.uint8)
