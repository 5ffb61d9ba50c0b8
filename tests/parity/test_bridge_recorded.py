"""Recording Julia's answers and answering from the record."""

import contextlib
import datetime

import numpy as np
import pytest

from parity.bridge.errors import JuliaConnectionError, JuliaError, NotRecorded, StaleTranscript
from parity.bridge.recorded import RecordedConnection, RecordingConnection
from parity.sources import sources_hash

DAY = datetime.date(2026, 1, 2)


class Calculator:
    """A connection without Julia behind it."""

    closed = False
    drift = 0

    def call(self, name, *args, timeout=None):
        if name == "boom":
            raise JuliaError("bad thing", "at /home/somebody/file.jl")
        if name == "drift":
            self.drift += 1
            return np.int64(self.drift)
        if name == "named":
            return {"a": np.float32(0.1), "b": np.asfortranarray([[1.0, np.nan], [-0.0, np.inf]]), "c": "é"}
        return tuple(np.asarray(x) * 2 for x in args)

    def provenance(self):
        return {"connection": "executable", "julia": "1.5.3"}

    def close(self):
        self.closed = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def record(path, calls, sources="hash-1"):
    with RecordingConnection(Calculator(), sources_hash=sources, package_version="0.1", date=DAY) as recording:
        for name, *args in calls:
            with contextlib.suppress(JuliaError):
                recording.call(name, *args)
    recording.save(path)
    return path


CALLS = [("named",), ("twice", np.arange(6.0).reshape(2, 3), np.arange(3)), ("boom", 1)]


def test_recorded_answers_are_those_of_julia_bit_for_bit(tmp_path):
    path = record(tmp_path / "t.npz", CALLS)
    with RecordedConnection(path, "hash-1") as recorded:
        live = Calculator()
        answer, expected = recorded.call("named"), live.call("named")
        assert list(answer) == list(expected)
        assert isinstance(answer["a"], np.float32)
        assert answer["b"].tobytes() == expected["b"].tobytes()
        assert answer["c"] == "é"
        first, second = recorded.call("twice", np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.arange(3))
        assert first.tolist() == [[0, 2, 4], [6, 8, 10]]
        assert second.dtype == np.int64


def test_errors_of_julia_are_recorded_without_paths_of_the_machine(tmp_path):
    path = record(tmp_path / "t.npz", CALLS)
    with pytest.raises(JuliaError, match=r"^bad thing$") as caught:
        RecordedConnection(path, "hash-1").call("boom", 1)
    assert "somebody" not in caught.value.backtrace
    assert b"somebody" not in path.read_bytes()


def test_provenance_tells_what_was_recorded(tmp_path):
    path = record(tmp_path / "t.npz", CALLS)
    assert RecordedConnection(path, "hash-1").provenance() == {
        "connection": "recorded",
        "recorded_from": "executable",
        "julia": "1.5.3",
        "recorded_on": "2026-01-02",
        "sources_hash": "hash-1",
        "package_version": "0.1",
    }


def test_equal_content_gives_equal_bytes(tmp_path):
    one = record(tmp_path / "one.npz", CALLS)
    two = record(tmp_path / "two.npz", CALLS[::-1])
    assert one.read_bytes() == two.read_bytes()


def test_other_sources_are_refused_with_both_hashes_and_the_command(tmp_path):
    path = record(tmp_path / "t.npz", CALLS)
    with pytest.raises(StaleTranscript, match=r"hash-1.*hash-2.*python -m parity record"):
        RecordedConnection(path, "hash-2")


@pytest.mark.parametrize("args", [(), (np.arange(6.0),), (np.arange(6.0).reshape(2, 3), np.arange(3.0))])
def test_a_call_that_was_not_recorded_is_described(tmp_path, args):
    recorded = RecordedConnection(record(tmp_path / "t.npz", CALLS), "hash-1")
    with pytest.raises(NotRecorded, match=r"no answer to twice\(") as caught:
        recorded.call("twice", *args)
    assert all(f"float64{list(x.shape)}" in str(caught.value) for x in args)


def test_an_answer_that_changes_cannot_be_recorded():
    recording = RecordingConnection(Calculator(), sources_hash="h", package_version="0.1")
    recording.call("drift")
    with pytest.raises(JuliaConnectionError, match=r"drift\(\).*two ways"):
        recording.call("drift")


def test_every_truncation_is_refused(tmp_path):
    path = record(tmp_path / "t.npz", CALLS)
    whole = path.read_bytes()
    for size in range(0, len(whole), 37):
        path.write_bytes(whole[:size])
        with pytest.raises(JuliaConnectionError, match="damaged or no transcript"):
            RecordedConnection(path, "hash-1")


def test_a_flipped_byte_in_an_answer_is_refused(tmp_path):
    path = record(tmp_path / "t.npz", CALLS)
    whole = bytearray(path.read_bytes())
    whole[whole.index(b"bad thing")] ^= 1
    path.write_bytes(whole)
    with pytest.raises(JuliaConnectionError, match="damaged"):
        RecordedConnection(path, "hash-1")


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "t.npz"
    np.savez(path, a=np.ones(3))
    with pytest.raises(JuliaConnectionError, match="no transcript"):
        RecordedConnection(path, "hash-1")
    with path.open("wb") as file:
        np.save(file, np.ones(3))
    with pytest.raises(JuliaConnectionError, match="no transcript"):
        RecordedConnection(path, "hash-1")
    path.write_text("something else")
    with pytest.raises(JuliaConnectionError, match="no transcript"):
        RecordedConnection(path, "hash-1")


def test_a_missing_file_is_named_with_the_command(tmp_path):
    with pytest.raises(JuliaConnectionError, match=r"absent\.npz.*python -m parity record"):
        RecordedConnection(tmp_path / "absent.npz", "hash-1")


def test_saving_replaces_the_old_file_and_leaves_no_other(tmp_path):
    path = record(tmp_path / "t.npz", CALLS)
    record(path, CALLS[:1], sources="hash-2")
    assert list(tmp_path.iterdir()) == [path]
    RecordedConnection(path, "hash-2")


def test_a_closed_transcript_answers_no_more(tmp_path):
    with RecordedConnection(record(tmp_path / "t.npz", CALLS), "hash-1") as recorded:
        pass
    with pytest.raises(JuliaConnectionError, match="closed"):
        recorded.call("named")


def test_the_hash_of_the_sources_follows_names_and_contents_but_not_tests_or_line_endings(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "test").mkdir()
    (tmp_path / "src" / "a.jl").write_bytes(b"x = 1\ny = 2\n")
    first = sources_hash(tmp_path)
    (tmp_path / "test" / "runtests.jl").write_text("nothing")
    (tmp_path / "notes.md").write_text("nothing")
    (tmp_path / "src" / "a.jl").write_bytes(b"x = 1\r\ny = 2\r\n")
    assert sources_hash(tmp_path) == first
    (tmp_path / "src" / "a.jl").write_bytes(b"x = 1\ny = 3\n")
    assert sources_hash(tmp_path) != first
    (tmp_path / "src" / "a.jl").write_bytes(b"x = 1\ny = 2\n")
    assert sources_hash(tmp_path) == first
    (tmp_path / "src" / "a.jl").rename(tmp_path / "src" / "b.jl")
    assert sources_hash(tmp_path) != first
