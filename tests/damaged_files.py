"""Files of ours that were damaged at random, or crafted by somebody who knows their format."""

from __future__ import annotations

import io
import json
import random
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pyflossing._support.npz import digest

Members = dict[str, Any]


def mutated(content: bytes, chance: random.Random) -> bytes:
    """The content with one to four random damages."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        place, length = chance.randrange(len(data) + 1), chance.choice((1, 1, 2, 4, 16, 256, 4096))
        end = min(len(data), place + length)
        other = chance.randrange(len(data) + 1)
        kind = chance.randrange(9)
        if kind == 0 and data:
            data[place % len(data)] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[place:end] = chance.randbytes(end - place)
        elif kind == 2:
            del data[place:end]
        elif kind == 3:
            data[place:place] = data[other : other + length]
        elif kind == 4:
            data[place:place] = chance.randbytes(length)
        elif kind == 5:
            del data[place:]
        elif kind == 6:
            data[place:end] = bytes(end - place)
        elif kind == 7:
            data[place:end] = data[other : other + end - place]
        elif data:
            data[place % len(data)] = chance.choice(b'0123456789.-+eE{}[]",:\n\x00\xff')
        if not data:
            break
    return bytes(data)


def members(content: bytes) -> Members:
    """The arrays of an npz file by name."""
    with np.load(io.BytesIO(content)) as file:
        return {name: file[name] for name in file.files}


def packed(found: Members, *, seal: bool = True, compress: bool = False) -> bytes:
    """An npz file of arrays, and of bytes as they are; with the right SHA-256 unless it should keep the old one."""
    arrays = {name: value for name, value in found.items() if isinstance(value, np.ndarray)}
    if seal:
        arrays["sha256"] = np.array(digest({k: v for k, v in arrays.items() if k != "sha256"}))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as archive:
        for name, value in {**found, **arrays}.items():
            if isinstance(value, bytes):
                archive.writestr(f"{name}.npy", value)
            else:
                one = io.BytesIO()
                np.save(one, value, allow_pickle=True)
                archive.writestr(f"{name}.npy", one.getvalue())
    return stream.getvalue()


def with_header(found: Members, change: Callable[[dict[str, Any]], object]) -> Members:
    """The members with a change of the JSON header."""
    header = json.loads(str(found["header"][()]))
    change(header)
    return {**found, "header": np.array(json.dumps(header))}


def _put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def put(header: dict[str, Any]) -> None:
        *parents, last = path.split("/")
        for name in parents:
            header = header[name]
        header[last] = value

    return put


def crafted(content: bytes, headers: dict[str, tuple[Any, ...]]) -> Iterator[tuple[str, bytes]]:
    """Names and contents of files with right checksums, each with one thing that no file of this kind has.

    Args:
        content: of a good file.
        headers: places of the JSON header, "config/n_units", with bad values.
    """
    good = members(content)
    arrays = [name for name in good if name not in ("header", "sha256")]
    for name in arrays:
        array = good[name]
        bad: dict[str, Any] = {
            "missing": None,
            "one more row": np.concatenate([array, array[-1:]]) if len(array) else np.zeros((1, *array.shape[1:])),
            "one more dimension": array[None],
            "a scalar": np.array(1.0),
            "other numbers": array.astype(np.complex64),
            "another byte order": array.astype(array.dtype.newbyteorder(">")),
            "texts": array.astype("U9"),
            "a pickle": array.astype(object),
            "plain text": b"hello",
            "nothing": b"",
            "a header alone": _described(array)[:-1],
        }
        if array.size:
            last = (-1,) * array.ndim
            if array.dtype.kind == "f":
                bad["NaN"] = _with(array, last, np.nan)
            else:
                bad["zero"], bad["far too large"] = _with(array, last, 0), _with(array, last, 2**62)
            if name.startswith(("loss", "accuracy", "gradient_norms", "flossing_loss")) or name.endswith("/v"):
                bad["negative"] = _with(array, last, -1)
            if name == "accuracy":
                bad["above one"] = _with(array, last, 1.5)
        for what, value in bad.items():
            changed = {**good, name: value}
            if value is None:
                del changed[name]
            yield f"{name}: {what}", packed(changed)
    for place, values in headers.items():
        for value in values:
            yield f"{place} = {str(value)[:40]}", packed(with_header(good, _put(place, value)))
    yield "unknown member", packed({**good, "more": np.zeros(3)})
    yield "unknown pickle", packed({**good, "more": np.array([{}], dtype=object)})
    yield "header that is no text", packed({**good, "header": np.zeros(3)})
    yield "deep header", packed({**good, "header": np.array("[" * 100_000)})
    yield "header of another kind", packed({**good, "header": np.array("[1, 2]")})
    yield "long header", packed({**good, "header": np.array('"' + "x" * 2**21 + '"')})
    header = str(good["header"][()])
    yield "name twice in the header", packed({**good, "header": np.array("{" + header[1:-1] + "," + header[1:])})
    not_a_number = header.replace('"elapsed_seconds": ', '"x": NaN, "y": ')
    yield "NaN in the header", packed({**good, "header": np.array(not_a_number)})
    yield "old checksum", packed({**good, arrays[0]: good[arrays[0]] * 1.5 + 1}, seal=False)
    yield "no checksum", packed({name: value for name, value in good.items() if name != "sha256"}, seal=False)
    yield from _archives(content, good)


def _archives(content: bytes, good: Members) -> Iterator[tuple[str, bytes]]:
    yield "empty", b""
    yield "two bytes", b"PK"
    yield "text", b"hello\n" * 1000
    yield "a pickle", b"\x80\x04}\x94."
    yield "an array", _described(np.zeros(3))
    yield "twice", content + content
    yield "something behind", content + b"\0" * 100
    yield "something before", b"\0" * 100 + content
    yield "half", content[: len(content) // 2]
    yield "a member twice", _doubled(content)
    yield "many members", _many(100_000)
    yield "a bomb", _bomb(2**31 + 2**29)
    if "final/J" in good:
        yield "a bomb with the right names", _plausible_bomb(good, 6200)
    yield "a directory that begins elsewhere", content[:-6] + struct.pack("<L", 7) + content[-2:]
    plain, encrypted = b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00"
    if plain in content:
        yield "encrypted", content.replace(plain, encrypted)


def _with(array: Any, place: tuple[int, ...], value: float) -> Any:
    changed = array.copy()
    changed[place] = value
    return changed


def _described(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _doubled(content: bytes) -> bytes:
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile's own, of what is to be done here
        name = archive.namelist()[1]
        archive.writestr(zipfile.ZipInfo(name), archive.read(name))
    return stream.getvalue()


def _many(n: int) -> bytes:
    entry = b"PK\x01\x02" + bytes(24) + struct.pack("<HHHHHLL", 1, 0, 0, 0, 0, 0, 0) + b"x"
    directory = entry * n
    return b"PK\x03\x04" + directory + _end(n & 0xFFFF, len(directory), 4)


def _end(entries: int, length: int, place: int) -> bytes:
    return struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, entries, entries, length, place, 0)


def _bomb(n: int) -> bytes:
    """A header of so many zeros, in two megabytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)  # after which it begins anew
    piece = zeros * (n // 2**20) + packer.flush()
    name, sizes = b"header.npy", (0, len(piece), n & 0xFFFFFFFF)
    local = struct.pack("<4sHHHHHLLLHH", b"PK\3\4", 20, 0, 8, 0, 33, *sizes, len(name), 0) + name
    entry = struct.pack("<4sHHHHHHLLLHHHHHLL", b"PK\1\2", 20, 20, 0, 8, 0, 33, *sizes, len(name), *[0] * 6) + name
    return local + piece + entry + _end(1, len(entry), len(local) + len(piece))


def _plausible_bomb(good: Members, n: int) -> bytes:
    """A result of the first, compressed format whose matrices of n x n zeros are as its settings say."""
    found = with_header(good, _put("config/n_units", n))
    found = with_header(found, _put("format", "pyflossing training result 1"))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, value in found.items():
            if name == "sha256":
                continue
            units = name.startswith(("initial/", "final/"))
            shape = tuple(n if units and length == 5 else length for length in value.shape)
            described = {"descr": value.dtype.str, "fortran_order": False, "shape": shape}
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array_header_1_0(member, described)
                left = value.itemsize * int(np.prod(shape))
                while left and shape != value.shape:
                    left -= member.write(bytes(min(left, 2**20)))
                if shape == value.shape:
                    member.write(value.tobytes())
    return stream.getvalue()


def assert_one_line(error: BaseException, path: Path) -> None:
    """It names the file, on one printable line of reasonable length."""
    said = str(error)
    assert str(path) in said
    assert said.isprintable(), said[:300]
    assert len(said) < 1000
