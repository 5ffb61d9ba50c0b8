"""Claims about the file that a run is resumed from."""

from __future__ import annotations

import io
import pickle
from dataclasses import replace

import numpy as np
import pytest

from pyflossing import (
    AdaptiveSchedule,
    BinaryNetwork,
    DelayedXOR,
    Flossing,
    FlossingSchedule,
    SpikingNetwork,
    TanhNetwork,
    TrainingConfig,
    Trials,
    train,
)
from pyflossing.runs.checkpoints import Checkpoint
from pyflossing.training.loop import run

CONFIG = TrainingConfig(
    network=TanhNetwork(),
    n_units=6,
    task=DelayedXOR(1),
    trials=Trials(3, 7),
    flossing=Flossing(4, 0.0, 14, 16, FlossingSchedule(before=3, episode=2, period=2, n_episodes=2)),
    n_epochs=5,
)


def after(config, n_updates):
    checkpoint = Checkpoint.of_new_run(config)
    for _, record in zip(range(n_updates), run(config, checkpoint.state), strict=False):
        checkpoint.history(record)
    return checkpoint


def finish(checkpoint):
    for record in run(checkpoint.config, checkpoint.state):
        checkpoint.history(record)
    return checkpoint.history.result(checkpoint.config, checkpoint.initial, checkpoint.state.parameters, 0.0)


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        replace(CONFIG, network=BinaryNetwork(), dtype="float64"),
        replace(CONFIG, network=SpikingNetwork.per_step()),
        replace(CONFIG, flossing=replace(CONFIG.flossing, schedule=AdaptiveSchedule(1e9, 2, 2, cooldown=2))),
        replace(CONFIG, flossing=Flossing(0, 0.0, 14, 16)),
    ],
    ids=["tanh", "binary", "spiking", "adaptive", "without flossing"],
)
def test_a_run_resumed_after_any_update_gives_the_same_bits(config, tmp_path):
    whole = train(config)
    n_updates = len(whole.loss) + len(whole.flossing_loss)
    assert n_updates >= config.n_epochs
    for n in range(n_updates + 1):
        after(config, n).save(tmp_path / "c.npz")
        assert finish(Checkpoint.load(tmp_path / "c.npz")).same_numbers(whole), f"after {n} updates"


def test_optimisers_counters_and_memory_layout_come_back(tmp_path):
    saved = after(CONFIG, 8)
    saved.elapsed_seconds = 1.25
    saved.save(tmp_path / "c.npz")
    loaded = Checkpoint.load(tmp_path / "c.npz")
    ours, theirs = saved.state, loaded.state
    assert (loaded.config, loaded.elapsed_seconds) == (CONFIG, 1.25)
    assert (theirs.epoch, theirs.flossing_epoch, theirs.episodes, theirs.last_episode) == (3, 0, 1, 2)
    assert theirs.initial_state_norm == ours.initial_state_norm
    for optimiser in ("training_adam", "flossing_adam"):
        assert getattr(ours, optimiser).keys() == getattr(theirs, optimiser).keys()
        for name, adam in getattr(ours, optimiser).items():
            other = getattr(theirs, optimiser)[name]
            assert (adam.power1, adam.power2) == (other.power1, other.power2)
            assert adam.m.numpy().tobytes() == other.m.numpy().tobytes()
            assert adam.v.numpy().tobytes() == other.v.numpy().tobytes()
    for a, b in zip(ours.parameters, theirs.parameters, strict=True):
        assert a.stride() == b.stride()


def test_a_truncated_or_damaged_file_is_refused(tmp_path):
    path = tmp_path / "c.npz"
    after(CONFIG, 4).save(path)
    content = path.read_bytes()
    for length in range(0, len(content), 499):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"c\.npz is not a checkpoint of pyflossing"):
            Checkpoint.load(path)
    whole = train(CONFIG)
    for place in range(0, len(content), 211):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            loaded = Checkpoint.load(path)  # some bytes, such as dates in the archive, mean nothing
        except ValueError as error:
            assert str(path) in str(error)
        else:
            assert finish(loaded).same_numbers(whole)


def test_another_number_under_the_old_checksum_is_refused(tmp_path):
    path = tmp_path / "c.npz"
    after(CONFIG, 4).save(path)
    with np.load(path) as file:
        arrays = dict(file)
    arrays["parameters/J"][0, 0] += 1
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="does not match its checksum"):
        Checkpoint.load(path)


def test_foreign_files_are_refused_and_nothing_is_unpickled(tmp_path):
    path = tmp_path / "c.npz"
    stream = io.BytesIO()
    np.savez(stream, header=np.array({"a": 1}, dtype=object))
    for content in (b"", b"hello", pickle.dumps({"format": 1}), stream.getvalue()):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is not a checkpoint of pyflossing"):
            Checkpoint.load(path)
    train(CONFIG).save(path)
    with pytest.raises(ValueError, match="is not a checkpoint of pyflossing"):
        Checkpoint.load(path)
    with pytest.raises(FileNotFoundError):
        Checkpoint.load(tmp_path / "none.npz")
