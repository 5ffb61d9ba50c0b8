"""Calls to a live Julia that answers, over each kind of connection that this machine has."""

import os
import threading
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from parity.bridge.errors import JuliaConnectionError, JuliaError
from parity.bridge.executable import ExecutableConnection

PEER = r"""
module Peer
export echo, add, named, boom, noise, zero_dimensional, bits, sums, inexact, kind, nothing_at_all, complex, nested
const BRIDGE_NAMES = ["listed"]
echo(x) = x
echo(xs...) = xs
add(a, b) = a .+ b
named() = (loss = 1.5f0, weights = [1.0 2.0; 3.0 4.0], count = 3, name = "é", seed = typemax(UInt64))
boom(text) = error(text)
noise(n) = (foreach(i -> println("noise ", i), 1:n); println(stderr, "more"); n)
zero_dimensional() = fill(2.5f0)
bits() = BitArray([true false; false true])
sums(a::Matrix{Float32}) = (sum(a), view(a, 1, :), 1:3)
inexact(x) = Int64(x)
kind(x) = string(typeof(x))
nothing_at_all() = nothing
complex() = (1.0, 1.0 + 2.0im)
nested() = (inner = (1, 2),)
listed() = "listed"
hidden() = "hidden"
end
"""
CODES = ["?", "u1", "i4", "i8", "u8", "f4", "f8"]


@pytest.fixture(scope="module")
def peer(open_julia, tmp_path_factory):
    file = tmp_path_factory.mktemp("peer") / "Peer.jl"
    file.write_text(PEER)
    with open_julia(file, "Peer") as connection:
        yield connection


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes(order="F") == b.tobytes(order="F")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    array=st.sampled_from(CODES).flatmap(
        lambda code: hnp.arrays(code, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5))
    ),
    fortran=st.booleans(),
    step=st.sampled_from([1, 2, -1, -2]),
)
def test_arrays_of_any_dtype_shape_and_stride_come_back_bit_for_bit(peer, array, fortran, step):
    sent = (np.asfortranarray(array) if fortran else array)[::step]
    assert same_bits(peer.call("echo", sent), sent)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 4)])
@pytest.mark.parametrize("code", CODES)
def test_empty_arrays_keep_their_shape(peer, code, shape):
    assert same_bits(peer.call("echo", np.empty(shape, code)), np.empty(shape, code))


def test_special_floats_keep_every_bit(peer):
    double = np.array([0x7FF8DEADBEEF1234, 0xFFF0000000000001, 0x8000000000000000, 0x7FF0000000000000], "u8")
    single = np.array([0x7FC12345, 0xFF800001, 0x80000000, 0xFF800000], "u4")
    for sent in (double.view("f8"), single.view("f4")):
        assert same_bits(peer.call("echo", sent), sent)
        for scalar in sent:
            assert same_bits(peer.call("echo", scalar), scalar)


@pytest.mark.parametrize(
    ("sent", "julia_type", "python_type"),
    [
        (True, "Bool", np.bool_),
        (3, "Int64", np.int64),
        (-(2**63), "Int64", np.int64),
        (np.int32(3), "Int32", np.int32),
        (np.uint64(2**64 - 1), "UInt64", np.uint64),
        (np.uint8(255), "UInt8", np.uint8),
        (np.float32(0.1), "Float32", np.float32),
        (0.1, "Float64", np.float64),
        (np.array(0.1), "Float64", np.float64),
        ("naïve\0text", "String", str),
    ],
)
def test_scalars_keep_their_type(peer, sent, julia_type, python_type):
    assert peer.call("kind", sent) == julia_type
    answer = peer.call("echo", sent)
    assert type(answer) is python_type
    assert answer == sent


def test_arguments_are_plain_julia_arrays_and_views_come_back_as_arrays(peer):
    total, row, count = peer.call("sums", np.arange(6, dtype=np.float32).reshape(2, 3))
    assert total == 15
    assert row.tolist() == [0, 1, 2]
    assert count.tolist() == [1, 2, 3]


def test_named_tuples_are_dictionaries_in_order(peer):
    answer = peer.call("named")
    assert list(answer) == ["loss", "weights", "count", "name", "seed"]
    assert isinstance(answer["loss"], np.float32)
    assert answer["weights"].tolist() == [[1, 2], [3, 4]]
    assert answer["weights"].flags.owndata
    assert answer["name"] == "é"
    assert answer["seed"] == np.uint64(2**64 - 1)


def test_tuples_keep_their_length(peer):
    assert peer.call("echo") == ()
    assert peer.call("echo", 1, 2.5, "x") == (1, 2.5, "x")


def test_bit_arrays_and_arrays_without_dimensions_are_plain(peer):
    assert peer.call("bits").tolist() == [[True, False], [False, True]]
    assert isinstance(peer.call("zero_dimensional"), np.float32)


def test_errors_have_julias_message_and_backtrace_and_leave_the_connection_usable(peer):
    with pytest.raises(JuliaError) as caught:
        peer.call("boom", "bad thing")
    assert str(caught.value) == "bad thing"
    assert "boom" in caught.value.backtrace
    with pytest.raises(JuliaError, match=r"InexactError"):
        peer.call("inexact", 1.5)
    assert peer.call("add", 1, 2) == 3


@pytest.mark.parametrize("name", ["hidden", "absent", "Peer", "exit", ""])
def test_only_exported_and_listed_functions_can_be_called(peer, name):
    with pytest.raises(JuliaError, match=r"add, .*listed, "):
        peer.call(name)
    assert peer.call("listed") == "listed"


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("nothing_at_all", "Nothing (the result)"),
        ("complex", "value 2 of the result"),
        ("nested", "value `inner` of the result"),
    ],
)
def test_results_that_cannot_be_sent_are_named(peer, name, named):
    with pytest.raises(JuliaError, match="cannot send") as caught:
        peer.call(name)
    assert named.split(" (")[0] in str(caught.value)


def test_arguments_that_cannot_be_sent_leave_the_connection_usable(peer):
    with pytest.raises(TypeError, match="argument 2 of add has dtype complex128"):
        peer.call("add", 1, np.ones(2, complex))
    assert peer.call("add", 1, 2) == 3


def test_what_julia_prints_does_not_disturb_the_answers(peer):
    assert peer.call("noise", 20000) == 20000
    assert peer.call("add", 1, 2) == 3


def test_a_hundred_megabytes_go_there_and_back_in_seconds(peer):
    sent = np.arange(100_000_000 // 8, dtype=np.float64).reshape(-1, 4)
    start = time.monotonic()
    answer = peer.call("echo", sent, timeout=30)
    # 0.6 to 1.8 s on two slow cores; a loop over elements would take minutes.
    assert time.monotonic() - start < 10
    assert np.array_equal(answer, sent)


def test_calls_from_several_threads_do_not_mix(peer):
    answers = {}

    def work(k):
        answers[k] = [int(peer.call("add", k, i)) for i in range(30)]

    threads = [threading.Thread(target=work, args=(1000 * k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {1000 * k: [1000 * k + i for i in range(30)] for k in range(4)}


def test_provenance_names_julia_blas_cpu_threads_and_word_size(peer):
    facts = peer.provenance()
    assert facts["connection"] in ("executable", "juliacall")
    assert facts["julia"].split(".")[0] == "1"
    assert facts["julia_threads"] == "1"
    assert facts["word_size"] == "64"
    assert facts["blas"]
    assert facts["cpu"]


def test_a_thread_that_opens_a_connection_may_end_before_it(julia_installation, tmp_path):
    file = tmp_path / "Peer.jl"
    file.write_text(PEER)
    found, opened = julia_installation, []
    thread = threading.Thread(
        target=lambda: opened.append(ExecutableConnection(found.executable, found.environment, file, "Peer"))
    )
    thread.start()
    thread.join()
    with opened[0] as connection:
        time.sleep(0.1)
        assert connection.call("add", 1, 2) == 3


def test_closing_leaves_no_process_and_no_file_and_may_be_repeated(julia_installation, tmp_path):
    file = tmp_path / "Peer.jl"
    file.write_text(PEER)
    found, before = julia_installation, os.listdir("/proc/self/fd")  # noqa: PTH208
    connection = ExecutableConnection(found.executable, found.environment, file, "Peer")
    pid = connection.pid
    connection.close()
    connection.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208
    with pytest.raises(JuliaConnectionError, match="it was closed"):
        connection.call("add", 1, 2)
