"""The wire format: how calls and answers are written as bytes (the Julia side is reference/bridge/wire.jl).

Everything is little endian; a *text* is an Int64 byte count and UTF-8::

    message   UInt64 length of the body, body
    request   text function name, Int64 count, values
    response  UInt8 status (0 answer, 1 error), UInt8 form, Int64 count, (text name, value)*
    value     UInt8 kind (0 scalar, 1 array, 2 string), UInt8 dtype, UInt8 ndims, Int64 dims,
              raw bytes column-major

The form says what Julia returned: 0 a single value, 1 a Tuple, 2 a NamedTuple; names are empty but in form 2.
The dtype is the position in `DTYPES`; a string is an array of UInt8. An error is a NamedTuple of two strings,
message and backtrace.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from parity.bridge.errors import JuliaError

Array: TypeAlias = npt.NDArray[Any]
Argument: TypeAlias = "bool | int | float | str | np.generic | Array"
Value: TypeAlias = "np.generic | str | Array"
Result: TypeAlias = "Value | tuple[Value, ...] | dict[str, Value]"
Chunks: TypeAlias = "list[bytes | memoryview]"

DTYPES = tuple(np.dtype(code) for code in ("?", "u1", "<i4", "<i8", "<u8", "<f4", "<f8"))
LENGTH = struct.Struct("<Q")
_COUNT = struct.Struct("<q")
_SCALAR, _ARRAY, _STRING = range(3)
_SINGLE, _POSITIONAL, _NAMED = range(3)
_MOST_DIMENSIONS = 32  # numpy's limit before version 2
# numpy has several equal dtypes per size (long and longlong), so they are looked up by kind and size.
_CODES = {(dtype.kind, dtype.itemsize): code for code, dtype in enumerate(DTYPES)}


class FormatError(ValueError):
    """Bytes that are no message in this format; the message says why."""


@dataclass(frozen=True)
class Reply:
    """The answer to a request; `form` and the names are those of the wire format."""

    ok: bool
    form: int
    names: tuple[str, ...]
    values: tuple[Value, ...]

    @classmethod
    def of_result(cls, result: Result) -> Reply:
        """The reply that carries `result`."""
        if isinstance(result, dict):
            return cls(True, _NAMED, tuple(result), tuple(result.values()))
        if isinstance(result, tuple):
            return cls(True, _POSITIONAL, ("",) * len(result), result)
        return cls(True, _SINGLE, ("",), (result,))

    @classmethod
    def of_error(cls, message: str, backtrace: str) -> Reply:
        """The reply that carries an error."""
        return cls(False, _NAMED, ("message", "backtrace"), (message, backtrace))

    def result(self) -> Result:
        """The value, or the tuple or the dictionary of values; raises `JuliaError` if this is an error."""
        if not self.ok:
            raise JuliaError(str(self.values[0]), str(self.values[1]))
        if self.form == _NAMED:
            return dict(zip(self.names, self.values, strict=True))
        return self.values if self.form == _POSITIONAL else self.values[0]


def encode_request(name: str, args: Sequence[Argument]) -> Chunks:
    """The body of a request. TypeError or OverflowError names the argument that cannot be sent."""
    chunks: Chunks = [_text(name), _COUNT.pack(len(args))]
    for position, argument in enumerate(args, start=1):
        chunks += _encode_value(plain(argument, f"argument {position} of {name}"))
    return chunks


def decode_request(body: bytearray) -> tuple[str, list[Value]]:
    """The function name and the arguments in the body of a request; FormatError if it is none."""
    reader = _Reader(body)
    name, values = reader.text(), [reader.value() for _ in range(reader.count())]
    reader.finish()
    return name, values


def encode_reply(reply: Reply) -> Chunks:
    """The body of a response."""
    chunks: Chunks = [bytes((not reply.ok, reply.form)), _COUNT.pack(len(reply.values))]
    for name, value in zip(reply.names, reply.values, strict=True):
        chunks += [_text(name), *_encode_value(value)]
    return chunks


def decode_reply(body: bytearray) -> Reply:
    """The answer in the body of a response, whose arrays own their memory; FormatError if it is none."""
    reader = _Reader(body)
    status, form = reader.take(2)
    items = [(reader.text(), reader.value()) for _ in range(reader.count())]
    reader.finish()
    names, values = tuple(name for name, _ in items), tuple(value for _, value in items)
    if status not in (0, 1) or form not in (_SINGLE, _POSITIONAL, _NAMED):
        raise FormatError(f"a response of status {status} and form {form}")
    if form == _SINGLE and len(values) != 1:
        raise FormatError(f"{len(values)} values in the place of a single one")
    if len(set(names)) != len(names) if form == _NAMED else any(names):
        raise FormatError("names that do not fit the form of the response")
    if status and not (names == ("message", "backtrace") and all(isinstance(value, str) for value in values)):
        raise FormatError("an error without its message and backtrace")
    return Reply(not status, form, names, values)


def plain(argument: object, described: str) -> Value:
    """The numpy scalar, native-endian array or string that stands for `argument` on the wire."""
    if isinstance(argument, str):
        return argument
    if isinstance(argument, int) and not isinstance(argument, bool):
        if not -(2**63) <= argument < 2**63:
            raise OverflowError(f"{described} is {argument}, which Int64 cannot hold (use numpy.uint64?)")
        return np.int64(argument)
    if not isinstance(argument, bool | float | np.generic | np.ndarray):
        raise TypeError(f"{described} is a {type(argument).__name__}, not a number, string or numpy array")
    array: Array = np.asarray(argument)
    code = _CODES.get((array.dtype.kind, array.dtype.itemsize))
    if code is None:
        raise TypeError(f"{described} has dtype {array.dtype}; possible are {', '.join(map(str, DTYPES))}")
    array = array.astype(DTYPES[code], copy=False)
    return array if array.ndim else _scalar(array)


def kind_letter(value: Value) -> str:
    """`s`calar, `a`rray or s`t`ring, as reference/bridge/flat.jl calls them."""
    return "t" if isinstance(value, str) else "a" if isinstance(value, np.ndarray) else "s"


def _scalar(array: Array) -> np.generic:
    return cast("np.generic", array[()])


def _text(text: str) -> bytes:
    encoded = text.encode()
    return _COUNT.pack(len(encoded)) + encoded


def _encode_value(value: Value) -> Chunks:
    if isinstance(value, str):
        encoded = value.encode()
        return [_head(_STRING, _CODES["u", 1], (len(encoded),)), encoded]
    array: Array = np.asarray(value)
    kind, code = _ARRAY if array.ndim else _SCALAR, _CODES[array.dtype.kind, array.dtype.itemsize]
    raw: Array = np.ravel(array, order="F").view(np.uint8)
    return [_head(kind, code, array.shape), raw.data]


def _head(kind: int, code: int, shape: tuple[int, ...]) -> bytes:
    return struct.pack(f"<3B{len(shape)}q", kind, code, len(shape), *shape)


class _Reader:
    """Takes values off the front of a message body."""

    def __init__(self, body: bytearray) -> None:
        self._body = memoryview(body)
        self._position = 0

    def take(self, size: int) -> memoryview:
        """The next `size` bytes."""
        start, self._position = self._position, self._position + size
        if not start <= self._position <= len(self._body):
            raise FormatError(f"a message of {len(self._body)} bytes that ends in the middle of a value")
        return self._body[start : self._position]

    def finish(self) -> None:
        """Nothing may be left."""
        if self._position != len(self._body):
            raise FormatError(
                f"a message of {len(self._body)} bytes with more than its {self._position} bytes of values"
            )

    def count(self) -> int:
        """An Int64 that is not negative."""
        number: int = _COUNT.unpack(self.take(_COUNT.size))[0]
        if number < 0:
            raise FormatError(f"a count of {number}")
        return number

    def text(self) -> str:
        """A text; Julia strings need not be valid UTF-8."""
        return str(self.take(self.count()), "utf-8", "replace")

    def value(self) -> Value:
        """A value that shares no memory with the message."""
        kind, code, dimensions = self.take(3)
        if kind not in (_SCALAR, _ARRAY, _STRING) or code >= len(DTYPES) or dimensions > _MOST_DIMENSIONS:
            raise FormatError(f"a value of kind {kind}, dtype {code} and {dimensions} dimensions")
        shape = tuple(self.count() for _ in range(dimensions))
        if (kind == _SCALAR) != (dimensions == 0) or (kind == _STRING and (code, dimensions) != (_CODES["u", 1], 1)):
            raise FormatError(f"a value of kind {kind}, dtype {code} and {dimensions} dimensions")
        if kind == _STRING:
            return str(self.take(shape[0]), "utf-8", "replace")
        dtype = DTYPES[code]
        raw = np.frombuffer(self.take(math.prod(shape) * dtype.itemsize), dtype)
        if dtype.kind == "b" and raw.view(np.uint8).max(initial=0) > 1:
            raise FormatError("a Bool that is neither 0 nor 1")
        try:
            shaped = raw.reshape(shape, order="F")
        except ValueError as error:  # an empty array with a dimension beyond what numpy can count
            raise FormatError(f"an array of shape {shape}") from error
        return shaped.copy(order="F") if kind == _ARRAY else _scalar(shaped)
