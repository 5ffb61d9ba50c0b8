"""Claims about the file of a result."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from pyflossing import (
    DelayedXOR,
    Flossing,
    FlossingSchedule,
    TanhNetwork,
    TrainingConfig,
    TrainingResult,
    Trials,
    train,
)


@pytest.fixture(scope="module")
def result():
    return train(
        TrainingConfig(
            network=TanhNetwork(),
            n_units=5,
            task=DelayedXOR(1),
            trials=Trials(2, 6),
            flossing=Flossing(2, 0.0, 13, 13, FlossingSchedule.before_training(2)),
            n_epochs=3,
        )
    )


def test_a_saved_result_comes_back_whole(result, tmp_path):
    path = tmp_path / "a result"
    result.save(path)
    loaded = TrainingResult.load(path)
    assert loaded.same_numbers(result)
    assert loaded.config == result.config
    assert loaded.versions == result.versions
    assert loaded.elapsed_seconds == result.elapsed_seconds
    assert [p.name for p in tmp_path.iterdir()] == ["a result"]
    assert "tanh network of 5 units, 3 epochs, 2 flossing epochs" in repr(loaded)


def test_one_changed_bit_is_not_the_same_numbers(result):
    final = dict(result.final)
    final["J"] = np.nextafter(final["J"], np.float32(9))
    assert not replace(result, final=final).same_numbers(result)


def test_a_truncated_file_is_refused_at_any_length(result, tmp_path):
    path = tmp_path / "r.npz"
    result.save(path)
    content = path.read_bytes()
    for length in range(0, len(content), 997):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"r\.npz is not a result of pyflossing"):
            TrainingResult.load(path)


def test_a_damaged_file_is_refused_or_tells_the_truth(result, tmp_path):
    path = tmp_path / "r.npz"
    result.save(path)
    content = bytearray(path.read_bytes())
    directory = content.rindex(b"PK\x01\x02")  # of the last array: method, lengths and flags stand behind it
    for place in [*range(0, len(content), 391), *range(46), *range(directory, len(content))]:
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            assert TrainingResult.load(path).same_numbers(result)
        except ValueError as error:
            assert str(path) in str(error)


def _npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage" * 100,
        _npz(x=np.zeros(3)),
        _npz(header=np.array("{}")),
        _npz(header=np.array(json.dumps({"format": "pyflossing training result 9"}))),
        _npz(header=np.array(json.dumps({"format": "pyflossing training result 1"}))),
        np.arange(3).tobytes(),
    ],
    ids=range(7),
)
def test_foreign_files_are_refused(content, tmp_path):
    path = tmp_path / "foreign.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"foreign\.npz"):
        TrainingResult.load(path)


def test_pickles_are_never_loaded(result, tmp_path):
    path = tmp_path / "r.npz"
    result.save(path)
    evil = io.BytesIO()
    np.save(evil, np.array([{}], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("extra.npy", evil.getvalue())
    with pytest.raises(ValueError, match="is not a result of pyflossing"):
        TrainingResult.load(path)


def test_an_unwritable_folder_is_an_os_error_and_leaves_nothing(result, tmp_path):
    with pytest.raises(OSError, match="No such file"):
        result.save(tmp_path / "nowhere" / "r.npz")
    with pytest.raises(FileNotFoundError):
        TrainingResult.load(tmp_path / "nothing.npz")
