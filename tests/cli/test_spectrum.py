"""Claims about ``pyflossing spectrum``."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from cli.program import quick

from pyflossing import SpikingNetwork, TrainingConfig, train
from pyflossing.runs import Stopped, train_in


@pytest.fixture
def config(tmp_path):
    return TrainingConfig.load(quick(tmp_path / "a.toml"))


def test_of_a_single_trial_it_is_the_spectrum_of_the_first_flossing_epoch(run, tmp_path, config):
    said = json.loads(run("spectrum", "a.toml", "-k", 3, "--steps", 14, "--trials", 1, "--json")[1])
    assert said["network"] == "initial"
    assert said["standard_errors_over"] == "blocks of time"
    assert said["exponents"] == pytest.approx(train(config).spectra[0].tolist(), abs=1e-6)


def test_its_errors_are_those_of_a_mean_over_independent_trials(run, config):
    said = json.loads(run("spectrum", "a.toml", "--steps", 40, "--trials", 7, "--json")[1])
    each = np.array(said["exponents_per_trial"])
    assert each.shape == (7, 5)
    assert said["exponents"] == pytest.approx(each.mean(axis=0).tolist())
    assert said["standard_errors"] == pytest.approx((each.std(axis=0, ddof=1) / math.sqrt(7)).tolist())
    longer = json.loads(run("spectrum", "a.toml", "--steps", 400, "--trials", 7, "--json", "--seed", 5)[1])
    assert longer["exponents"][0] == pytest.approx(said["exponents"][0], abs=6 * said["standard_errors"][0])
    assert longer["standard_errors"][0] < said["standard_errors"][0]


def test_of_a_result_it_is_the_final_networks_or_the_initial_ones(run, tmp_path, config):
    train(config).save(tmp_path / "r.npz")
    final = json.loads(run("spectrum", "r.npz", "--steps", 20, "--json")[1])
    initial = json.loads(run("spectrum", "r.npz", "--steps", 20, "--initial", "--json")[1])
    untrained = json.loads(run("spectrum", "a.toml", "--steps", 20, "--json")[1])
    assert final["network"] == "final"
    assert initial["exponents"] == untrained["exponents"] != final["exponents"]


def test_of_a_stopped_run_it_is_the_last_checkpoints(run, tmp_path, config):
    calls = iter(range(100))
    with pytest.raises(Stopped):
        train_in(tmp_path / "run", config, stop=lambda: next(calls) > 6)
    final = json.loads(run("spectrum", "run", "--steps", 20, "--json")[1])
    untrained = json.loads(run("spectrum", "a.toml", "--steps", 20, "--json")[1])
    assert final["network"] == "final"
    assert final["exponents"] != untrained["exponents"]


def test_the_table_shows_the_same_numbers(run, config):
    said = json.loads(run("spectrum", "a.toml", "--steps", 40, "-k", 2, "--json")[1])
    code, out, _ = run("spectrum", "a.toml", "--steps", 40, "-k", 2)
    assert code == 0
    rows = [line.split() for line in out.splitlines()[3:]]
    assert rows == [[str(i + 1), f"{said['exponents'][i]:+.5f}", f"{said['standard_errors'][i]:.5f}"] for i in range(2)]
    assert "means over 2 trials of 40 steps, of which the first 14 do not count" in out


def test_of_a_spiking_network_without_synaptic_decay_there_are_as_many_as_units(run, tmp_path, config):
    replace(config, network=SpikingNetwork.per_step()).save(tmp_path / "s.toml")
    said = json.loads(run("spectrum", "s.toml", "--steps", 60, "--json")[1])
    assert len(said["exponents"]) == 5
    assert run("spectrum", "s.toml", "-k", 6)[2] == (
        "pyflossing: --exponents = 6 is not allowed: it must be an integer from 1 to 5\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["a.toml", "--steps", 12], 2, "--steps = 12 is not allowed: of n steps the first"),
        (["a.toml"], 2, "--steps = 6 is not allowed: "),
        (["a.toml", "--steps", 20, "--trials", 0], 2, "--trials = 0 is not allowed: it must be an integer >= 1"),
        (["a.toml", "--steps", 20, "--seed", 0], 2, "--seed = 0 is not allowed: "),
        (["none.toml"], 2, "there is no file none.toml"),
        (["."], 2, ". holds no run: there is no config.toml in it"),
        (["b.npz"], 1, "b.npz is not a result of pyflossing, or it is damaged"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(run, tmp_path, config, arguments, code, message):
    (tmp_path / "b.npz").write_bytes(b"PK")
    found, out, err = run("spectrum", *arguments)
    assert (found, out) == (code, "")
    assert err.startswith(f"pyflossing: {message}")
    assert len(err.splitlines()) == 1
