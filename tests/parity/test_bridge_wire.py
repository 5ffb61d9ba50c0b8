"""The wire format alone, without Julia."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from parity.bridge import wire
from parity.bridge.errors import JuliaError

CODES = ["?", "u1", "i4", "i8", "u8", "f4", "f8"]


@st.composite
def arrays(draw):
    """Arrays of every dtype in C and Fortran order, reversed, strided and empty, with any bits in their floats."""
    dtype = np.dtype(draw(st.sampled_from(CODES)))
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5))
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), np.uint8)
    array = (raw % 2 == 1 if dtype.kind == "b" else raw.view(dtype)).reshape(shape)
    if draw(st.booleans()):
        array = np.asfortranarray(array)
    return array[tuple(slice(None, None, draw(st.sampled_from([1, -1, 2, -2]))) for _ in shape)]


values = st.one_of(
    arrays(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 2**64 - 1).map(np.uint64),
    st.floats(),
    st.floats(width=32).map(np.float32),
    st.booleans(),
    st.text(),
)


def content(value):
    """What must survive: the type, the shape and every bit."""
    value = wire.plain(value, "it")
    return value if isinstance(value, str) else (value.dtype, value.shape, value.tobytes(order="F"))


def body(chunks):
    return bytearray(b"".join(chunks))


@given(st.text(), st.lists(values))
def test_requests_keep_names_types_shapes_and_bits(name, args):
    decoded_name, decoded = wire.decode_request(body(wire.encode_request(name, args)))
    assert decoded_name == name
    assert [content(x) for x in decoded] == [content(x) for x in args]


@given(st.one_of(values, st.lists(values).map(tuple), st.dictionaries(st.text(), values)))
def test_replies_keep_their_form_and_their_bits(result):
    def plain(x):
        return wire.plain(x, "it")

    if isinstance(result, tuple):
        result = tuple(map(plain, result))
    elif isinstance(result, dict):
        result = {name: plain(x) for name, x in result.items()}
    else:
        result = plain(result)
    decoded = wire.decode_reply(body(wire.encode_reply(wire.Reply.of_result(result)))).result()
    assert type(decoded) is type(result)
    if isinstance(result, dict):
        assert {k: content(v) for k, v in decoded.items()} == {k: content(v) for k, v in result.items()}
    elif isinstance(result, tuple):
        assert list(map(content, decoded)) == list(map(content, result))
    else:
        assert content(decoded) == content(result)


@given(arrays())
def test_decoded_arrays_own_their_memory_and_are_fortran_ordered(array):
    _, (decoded,) = wire.decode_request(body(wire.encode_request("f", [array])))
    assert decoded.flags.owndata
    assert decoded.flags.writeable
    assert decoded.flags.f_contiguous


def test_errors_are_raised_with_message_and_backtrace():
    reply = wire.decode_reply(body(wire.encode_reply(wire.Reply.of_error("bad\nthing", "there"))))
    with pytest.raises(JuliaError) as caught:
        reply.result()
    assert str(caught.value) == "bad\nthing"
    assert caught.value.backtrace == "there"


def test_big_endian_arrays_are_converted():
    _, (decoded,) = wire.decode_request(body(wire.encode_request("f", [np.array([1.5, -0.0], ">f4")])))
    assert decoded.dtype == np.dtype("<f4")
    assert decoded.tolist() == [1.5, 0.0]
    assert np.signbit(decoded[1])


def test_arrays_without_dimensions_are_scalars():
    _, (decoded,) = wire.decode_request(body(wire.encode_request("f", [np.array(2.5, np.float32)])))
    assert isinstance(decoded, np.float32)


@pytest.mark.parametrize(
    "bad",
    [
        np.array([None]),
        np.array([1j]),
        np.array([1], np.float16),
        np.array(["a"]),
        np.longdouble(1),
        1j,
        None,
        [1.0],
    ],
    ids=lambda bad: f"{type(bad).__name__}-{getattr(bad, 'dtype', '')}",
)
def test_unsupported_types_are_named_with_their_position(bad):
    kind = str(bad.dtype) if hasattr(bad, "dtype") else type(bad).__name__
    with pytest.raises(TypeError, match="argument 2 of f") as caught:
        wire.encode_request("f", [1, bad])
    assert kind in str(caught.value)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_integers_beyond_int64_are_refused(number):
    with pytest.raises(OverflowError, match="argument 1 of f"):
        wire.encode_request("f", [number])


@given(st.lists(values, min_size=1), st.data())
def test_a_message_cut_short_is_refused(args, data):
    whole = body(wire.encode_request("f", args))
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(wire.FormatError):
        wire.decode_request(whole[:cut])


REPLY = st.one_of(values, st.lists(values).map(tuple), st.dictionaries(st.text(), values))


@given(REPLY, st.data())
def test_a_damaged_answer_is_refused_or_still_an_answer(result, data):
    """Bytes changed, removed or added: never another exception than the one that says so."""
    plain = {
        tuple: lambda: tuple(wire.plain(x, "it") for x in result),
        dict: lambda: {name: wire.plain(x, "it") for name, x in result.items()},
    }.get(type(result), lambda: wire.plain(result, "it"))()
    damaged = body(wire.encode_reply(wire.Reply.of_result(plain)))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged)))
        kind = data.draw(st.sampled_from(["change", "remove", "add"]))
        if kind == "change" and place < len(damaged):
            damaged[place] = data.draw(st.integers(0, 255))
        elif kind == "remove":
            del damaged[place : place + data.draw(st.integers(1, 9))]
        else:
            damaged[place:place] = data.draw(st.binary(max_size=9))
    answer_or_refusal(damaged)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_an_answer(data):
    answer_or_refusal(bytearray(data))


def answer_or_refusal(data):
    try:
        reply = wire.decode_reply(data)
    except wire.FormatError:
        return
    try:
        reply.result()
    except JuliaError:
        assert not reply.ok


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (bytes([1, 5, 1]) + struct.pack("<q", -1), "a count of -1"),
        (bytes([1, 5, 2]) + struct.pack("<2q", 2**62, 4), "ends in the middle of a value"),
        (bytes([1, 5, 2]) + struct.pack("<2q", 0, 2**63 - 1), "an array of shape"),
        (bytes([1, 9, 0]), "a value of kind 1, dtype 9"),
        (bytes([1, 5, 200]), "200 dimensions"),
        (bytes([0, 0, 0, 7]), "a Bool that is neither 0 nor 1"),
        (bytes([2, 5, 1]) + struct.pack("<q", 0), "a value of kind 2, dtype 5"),
    ],
)
def test_values_that_cannot_be_are_described(value, said):
    with pytest.raises(wire.FormatError, match=said):
        wire.decode_reply(bytearray(bytes([0, 0]) + struct.pack("<2q", 1, 0) + value))
