"""Claims about what memory cannot hold: it is refused at once, by name, with both figures; validation takes no time."""

from __future__ import annotations

import math
import re
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sweep_cases import sweep
from typer.testing import CliRunner

from pyflossing import (
    AdaptiveSchedule,
    Flossing,
    FlossingSchedule,
    Seeds,
    TrainingConfig,
    Trials,
    initial_weights,
    train,
    train_ensemble,
    trainSRNNflossing,
)
from pyflossing._support.memory import in_words, machine_bytes
from pyflossing.cli.app import app
from pyflossing.config.schedule import Episodes
from pyflossing.runs import train_in
from pyflossing.sweeps import Axis, Condition, Sweep, run_sweep
from pyflossing.training import initial_parameters, trial_spectra
from pyflossing.training.sizes import require_training_fits

LARGE = {
    "n_units": TrainingConfig(n_units=10**9),
    "trials.batch_size": TrainingConfig(trials=Trials(10**9)),
    "trials.n_steps": TrainingConfig(trials=Trials(n_steps=10**12)),
    "flossing.trial_steps": TrainingConfig(flossing=Flossing(trial_steps=10**13)),
    "flossing.n_steps": TrainingConfig(flossing=Flossing(n_steps=10**10, trial_steps=10**10)),
    "flossing.n_trials": TrainingConfig(flossing=Flossing(n_trials=10**11)),
    "flossing.schedule.before": TrainingConfig(flossing=Flossing(schedule=FlossingSchedule(before=10**12))),
    "flossing.schedule.episode": TrainingConfig(flossing=Flossing(schedule=FlossingSchedule(episode=10**12))),
    "n_epochs": TrainingConfig(n_epochs=10**11, flossing=Flossing(schedule=FlossingSchedule(period=1))),
}
FIGURES = r" is not allowed: the run's arrays would take at least [\d.e+^ ]+ [kMGTPE]?B of memory; this machine has "


@contextmanager
def at_once(seconds: float = 2.0):
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


@pytest.mark.parametrize("name", LARGE)
def test_a_run_that_no_memory_holds_is_refused_before_anything_is_done(name, tmp_path):
    config = LARGE[name]
    for call in (
        lambda: train(config),
        lambda: train_ensemble([config, replace(config, seeds=Seeds(network=2))]),
        lambda: train_in(tmp_path / "run", config),
    ):
        with at_once(), pytest.raises(ValueError, match=f"^{re.escape(name)} = 10+{FIGURES}"):
            call()
    assert not list(tmp_path.iterdir())


def test_the_legacy_call_and_the_command_use_their_own_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = TrainingConfig(n_units=10**9).to_legacy()
    with at_once(), pytest.raises(ValueError, match=f"^N = 1000000000{FIGURES}"):
        trainSRNNflossing(*values)
    LARGE["n_epochs"].save(tmp_path / "large.toml")
    TrainingConfig(n_units=8, flossing=Flossing(2)).save(tmp_path / "small.toml")
    LARGE["n_units"].save(tmp_path / "wide.toml")
    for arguments, name in (
        (["legacy", *map(str, values)], "N = "),
        (["train", "large.toml"], "n_epochs = "),
        (["spectrum", "small.toml", "--trials", str(10**9)], "--trials = "),
        (["spectrum", "small.toml", "--steps", str(10**18)], "--steps = "),
        (["spectrum", "small.toml", "--steps", "1" + "0" * 400], "--steps = "),
        (["spectrum", "wide.toml"], "n_units = "),
    ):
        with at_once(10):
            found = CliRunner().invoke(app, arguments)
        assert (found.exit_code, found.stdout) == (2, "")
        assert found.stderr.startswith(f"pyflossing: {name}")
        assert " of memory; this machine has " in found.stderr
        assert len(found.stderr.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_parts_of_a_run_are_refused_too():
    small = TrainingConfig(n_units=8, flossing=Flossing(2))
    for name, call in (
        ("n_units", lambda: initial_weights(10**9, 1)),
        ("n_units", lambda: initial_parameters(LARGE["n_units"])),
        ("trials.batch_size", lambda: initial_parameters(TrainingConfig(trials=Trials(10**11)))),
        ("n_trials", lambda: trial_spectra(small, initial_parameters(small), 2, 100, 10**10)),
        ("n_steps", lambda: trial_spectra(small, initial_parameters(small), 2, 10**18, 1)),
    ):
        with at_once(), pytest.raises(ValueError, match=f"^{re.escape(name)} = "):
            call()


def test_what_fits_is_not_refused():
    require_training_fits(TrainingConfig())
    require_training_fits(TrainingConfig(n_epochs=0, trials=Trials(n_steps=10**12)))
    adaptive = AdaptiveSchedule(1e-3, 10**12, 10**12)
    require_training_fits(TrainingConfig(flossing=Flossing(schedule=adaptive)))  # its episodes may never come
    require_training_fits(TrainingConfig(flossing=Flossing(0, schedule=FlossingSchedule(10**12))))


def test_a_sweep_of_more_jobs_than_memory_holds_is_refused():
    axes = [Axis.of(f"seeds.{name}", range(1, 10**4 + 1)) for name in ("network", "frame", "initial_state", "inputs")]
    with (
        at_once(),
        pytest.raises(ValueError, match=r"^axes\.network = 10000 .*: 10000000000000000 jobs would take"),
    ):
        Sweep(sweep().base, (), tuple(axes))


def test_a_job_that_does_not_fit_is_refused_before_any_is_run(tmp_path):
    wide = replace(sweep(), conditions=(*sweep().conditions, Condition("wide", {"n_units": 10**9})))
    with at_once(), pytest.raises(ValueError, match=r"^job wide_seed1: n_units = 1000000000 is not allowed: the run's"):
        run_sweep(wide, tmp_path / "sweep", n_jobs=1)
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize("schedule", [FlossingSchedule(1, 1, 1, 10**30), AdaptiveSchedule(1e-3, 1, 10**30)])
def test_validation_takes_no_time_however_many_epochs_there_are(schedule):
    with at_once(1):
        config = TrainingConfig(n_epochs=10**17, flossing=Flossing(schedule=schedule))
        assert config.flosses
        with pytest.raises(ValueError, match=r"^seeds\.inputs = -1 .*would be 0"):
            replace(config, seeds=Seeds(inputs=-1))
        with pytest.raises(ValueError, match=r"^seeds\.inputs = 100 .*within 64 bits"):
            replace(config, seeds=Seeds(inputs=100))


@given(
    first=st.integers(1, 5),
    n=st.integers(0, 5),
    step=st.integers(1, 4),
    length=st.integers(0, 6),
    index=st.integers(-2, 40),
)
def test_episodes_are_counted_as_if_one_by_one(first, n, step, length, index):
    episodes = Episodes(range(first, first + n * step, step), length)
    drawn = {epoch + i for epoch in episodes.epochs for i in range(1, length + 1)}
    assert bool(episodes) == bool(drawn)
    assert episodes.draws(index) == (index in drawn)
    assert episodes.count(index) == sum(length for epoch in episodes.epochs if epoch >= index)
    if drawn:
        assert episodes.indices == (min(drawn), max(drawn))


def test_figures_are_told_in_few_digits():
    for n, said in ((999, "999 B"), (1500, "1.5 kB"), (25 * 10**9, "25 GB"), (10**400, "10^400 B")):
        assert in_words(n) == said
    assert in_words(10**5000) == "more than 10^3000 B"
    assert math.log10(machine_bytes()) > 8
