"""The npz files of results and checkpoints: arrays, a JSON header, and a SHA-256 of all of it; nothing is unpickled.

What a file says of itself is believed only as far as it is declared: names, types, shapes and lengths of the members
are compared with what is expected before any of them is read.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from pyflossing._support.errors import DamagedFileError
from pyflossing._support.files import opened, write_atomically
from pyflossing._support.json import parsed
from pyflossing._support.schema import Array, require_names
from pyflossing._support.words import plain, shortened

Arrays = dict[str, npt.NDArray[Any]]

HEADER, DIGEST = "header", "sha256"
_MOST_CHARACTERS = 2**20  # of a text
_MOST_PER_NAME = 1024  # bytes of a member's entry in the directory
_END = struct.Struct("<4s4H2LH")  # the end of a zip file: its directory's entries, length and place
_ELSEWHERE = 2**32 - 1  # the place, of a directory that begins beyond it
_DEFLATED_FREELY, _DEFLATED_RATIO = 2**28, 20
"""Bytes that a compressed file may unfold to in any case, and times its own length where that is more."""
# as numpy writes it: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
_DESCRIPTION = re.compile(
    rb"\{'descr': '([<>|=][a-zA-Z]\d{1,8})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,18},? ?){0,8})\), \} *\n"
)


def write_npz(path: Path, header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write a file, atomically and under exactly this name; uncompressed, so that it is as large as what it holds."""
    members: Arrays = {HEADER: np.array(json.dumps(header)), **arrays}
    members[DIGEST] = np.array(digest(members))
    stream = io.BytesIO()
    np.savez(stream, **members)  # type: ignore[arg-type]
    write_atomically(path, stream.getvalue())


def digest(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """SHA-256 over names, types, shapes and numbers."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def byte_members(path: Path, what: str, most_members: int) -> dict[str, bytes]:
    """The members of a file that holds nothing but arrays of bytes.

    Args:
        path, what: as for ``opened_npz``.
        most_members: how many there may be.

    Raises:
        OSError, DamagedFileError: as in ``opened_npz``.
    """
    with opened_npz(path, what, most_members) as archive:
        return {name: archive.content(name) for name in archive.names}


@contextmanager
def opened_npz(path: str | Path, what: str, most_members: int = 256) -> Iterator[Archive]:
    """A file whose members can be read; whatever is wrong with them is told with the file's name.

    Args:
        path: the file.
        what: "result" or the like, for messages.
        most_members: how many there may be.

    Raises:
        OSError: there is no such file, or it cannot be read.
        DamagedFileError: a ValueError: it is not a file of this kind, damaged, or of another version.
    """
    with opened(path) as stream:
        try:
            yield Archive(stream, most_members)
        except UnknownFormat as error:
            raise DamagedFileError(f"{plain(str(path))} {error}") from error
        except Exception as error:  # zipfile, zlib, numpy and json have a dozen ways to say that they do not know it
            said = shortened(str(error) or type(error).__name__)
            raise DamagedFileError(
                f"{plain(str(path))} is not a {what} of pyflossing, or it is damaged ({said})"
            ) from error


class UnknownFormat(ValueError):
    """A file of another version."""


class Archive:
    """The members of a file.

    Attributes:
        names: of the members, without the ending that they have in the file.

    Raises:
        ValueError: it is no npz file; and whatever zipfile raises.
    """

    def __init__(self, stream: BinaryIO, most_members: int) -> None:
        _require_short_directory(stream, most_members)
        self._zip = zipfile.ZipFile(stream)
        members = self._zip.infolist()
        self._members = {member.filename.removesuffix(".npy"): member for member in members}
        if len(self._members) < len(members):
            raise ValueError("it has a member twice")
        unfolded, there = (sum(getattr(m, size) for m in members) for size in ("file_size", "compress_size"))
        if unfolded > max(_DEFLATED_FREELY, _DEFLATED_RATIO * there) or any(
            m.compress_type not in _KNOWN for m in members
        ):
            raise ValueError(f"its {there} bytes would unpack to {unfolded}")
        self._read: Arrays = {}

    @property
    def names(self) -> set[str]:
        return set(self._members)

    def header(self, *formats: str) -> dict[str, Any]:
        """The JSON header, whose entry "format" must be one of ``formats``.

        Raises:
            UnknownFormat: it is another one.
            ValueError: there is no header, or it cannot be read.
        """
        document = parsed(self._text(HEADER), infinity=True)
        found = document.get("format") if isinstance(document, dict) else None
        if not isinstance(found, str):
            raise ValueError("it has no readable header")
        if found.rpartition(" ")[0] != formats[0].rpartition(" ")[0]:
            raise ValueError(f"its format is {shortened(repr(found))}")
        if found not in formats:
            said = f"has the format {shortened(repr(found))}; this version of pyflossing reads {formats[0]!r}"
            raise UnknownFormat(said)
        return dict(document)

    def arrays(self, declared: Mapping[str, Array]) -> Arrays:
        """The arrays besides the header and the digest.

        Raises:
            ValueError: names, types, shapes or numbers other than the declared ones.
        """
        require_names("the file", self.names - {HEADER, DIGEST}, declared.keys())
        lengths: dict[str, int] = {}
        for name, array in declared.items():
            self._require_declared(name, array, lengths)
        found = {name: self._array(name) for name in declared}
        for name, array in declared.items():
            array.check(name, found[name])
        return found

    def content(self, name: str) -> bytes:
        """The bytes of a member that is an array of bytes.

        Raises:
            ValueError: it is another array.
        """
        dtype, shape, _ = self._description(name)
        if dtype != np.uint8 or len(shape) != 1:
            raise ValueError(f"{name} is {dtype} of shape {shape} instead of bytes")
        return self._array(name).tobytes()

    def require_digest(self) -> None:
        """Compare what was read with the SHA-256 that is kept with it.

        Raises:
            ValueError: they do not fit.
        """
        kept = self._text(DIGEST)
        if kept != digest({name: array for name, array in self._read.items() if name != DIGEST}):
            raise ValueError("its content does not match its checksum")

    def _require_declared(self, name: str, declared: Array, lengths: dict[str, int]) -> None:
        dtype, shape, _ = self._description(name)
        fits = len(shape) == len(declared.shape)
        for ours, length in zip(declared.shape, shape, strict=False):
            fits &= length == (ours if isinstance(ours, int) else lengths.setdefault(ours, length))
        if not fits or dtype != declared.dtype:
            wanted = tuple(
                lengths.get(length, length) if isinstance(length, str) else length for length in declared.shape
            )
            raise ValueError(f"{name} is {dtype} of shape {shape} instead of {declared.dtype} of shape {wanted}")

    def _text(self, name: str) -> str:
        if name not in self._members:
            raise ValueError(f"it has no {name}")
        dtype, shape, _ = self._description(name)
        if dtype.kind != "U" or shape or dtype.itemsize > 4 * _MOST_CHARACTERS:
            raise ValueError(f"its {name} is no text, or too long")
        return str(self._array(name)[()])

    def _description(self, name: str) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
        """Type, shape, and whether the numbers stand in Fortran's order; and the member is as long as they need."""
        member = self._members[name]
        with self._zip.open(member) as stream:
            dtype, shape, fortran, length = _described(stream)
        if member.file_size != length + dtype.itemsize * int(np.prod(shape, dtype=object)):
            raise ValueError(f"the length of {name} does not match its description")
        return dtype, shape, fortran

    def _array(self, name: str) -> npt.NDArray[Any]:
        with self._zip.open(self._members[name]) as stream:
            dtype, shape, fortran, _ = _described(stream)
            array = np.empty(shape, dtype, order="F" if fortran else "C")
            numbers: Any = array.reshape(-1, order="A").view(np.uint8)
            done = 0
            while done < len(numbers) and (count := cast(zipfile.ZipExtFile, stream).readinto(numbers[done:])):
                done += count
            if done < len(numbers) or stream.read(1):
                raise ValueError(f"the length of {name} does not match its description")
        self._read[name] = array
        return array


_KNOWN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def _require_short_directory(stream: BinaryIO, most_members: int) -> None:
    """Refuse what is no zip file of ours before zipfile builds an object for each of its entries."""
    if stream.read(2) != b"PK":  # numpy would offer to unpickle it
        raise ValueError("not an npz file")
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - _END.size))
    end = stream.read()
    if len(end) < _END.size:
        raise ValueError("not an npz file")
    signature, _, _, _, entries, length, place, comment = _END.unpack(end)
    if signature != b"PK\5\6" or comment or (place != _ELSEWHERE and place + length + _END.size != size):
        raise ValueError("its end is missing or wrong")
    if entries > most_members or length > most_members * _MOST_PER_NAME:
        raise ValueError(f"{entries} members are too many")
    stream.seek(0)


def _described(stream: Any) -> tuple[np.dtype[Any], tuple[int, ...], bool, int]:
    """What a member says before its numbers: type, shape, whether in Fortran's order, and how long that is."""
    start = stream.read(10)
    if start[:8] != b"\x93NUMPY\x01\x00" or len(start) < 10:
        raise ValueError("a member is no array of numpy's")
    (length,) = struct.unpack("<H", start[8:])
    found = _DESCRIPTION.fullmatch(stream.read(length))
    if found is None:
        raise ValueError("a member is no array of numbers")
    kind, fortran, shape = found.groups()
    lengths = tuple(int(entry) for entry in shape.replace(b" ", b"").split(b",") if entry)
    return np.dtype(kind.decode()), lengths, fortran == b"True", 10 + length
