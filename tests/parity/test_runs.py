"""Whole runs of one's own settings, against recorded answers of Julia; planted errors, and where they are found."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from mutation import Mutation

from parity.bridge.errors import JuliaError
from parity.bridge.recorded import RecordedConnection
from parity.checks.cases import NETWORKS, Case
from parity.checks.comparators import Estimate, Verdict
from parity.checks.training import GAUSSIAN, configuration
from parity.checks.yardstick import as_tensor
from parity.runs.compare import compare_run
from parity.runs.epochs import _exceeded_once_in_a_billion
from parity.runs.flips import Flips
from parity.runs.parting import parting
from parity.runs.settings import require_expressible, wanted
from parity.runs.tally import Tally
from parity.sources import reference_folder, sources_hash, transcript_file
from pyflossing import AdaptiveSchedule, BinaryNetwork, Surrogate, TrainingConfig, config, train
from pyflossing.model import loss, tasks
from pyflossing.runs import train_in

CONFIG = configuration(NETWORKS[0], GAUSSIAN, "float32")
VALUES = [str(value) for value in CONFIG.to_legacy()]


@pytest.fixture(scope="module")
def recorded():
    return RecordedConnection(transcript_file(), sources_hash(reference_folder()))


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return train(CONFIG)


def test_every_quantity_of_every_epoch_is_compared(recorded, result):
    report = compare_run(CONFIG, recorded, result=result)
    assert report.exit_code == 0, str(report)
    assert report.first_difference == ""
    outcomes = {outcome.check.name: outcome for outcome in report.outcomes}
    extents = {
        verdict.extent for name in ("run/epochs", "run/flossing") for verdict in outcomes[name].verdicts.values()
    }
    assert extents == {"all 6 epochs", "all 5 flossing epochs"}
    assert set(outcomes["run/epochs"].verdicts) >= {"loss", "accuracy", "gradient J", "gradient x0"}
    assert outcomes["run/updates"].verdicts["J x"].extent == "all 11 updates"
    assert len(report.ours["loss"]) == len(report.theirs["loss"]) == CONFIG.n_epochs
    assert report.ours["loss"] == pytest.approx(report.theirs["loss"], abs=1e-4)


def test_the_first_epochs_alone(recorded):
    report = compare_run(CONFIG, recorded, n_epochs=1)
    assert report.exit_code == 0, str(report)
    assert len(report.theirs["loss"]) == 1
    assert "1 of 6 epochs" in report.provenance["run"]
    with pytest.raises(ValueError, match=r"n_epochs = 7 .* \[1, 6\]"):
        compare_run(CONFIG, recorded, n_epochs=7)


PLANTED = {
    "learning rate Float64 instead of Float32": (
        Mutation(config.Adam, "rate", "float(np.float32(self.learning_rate))", "self.learning_rate", ()),
        r"^(flossing epoch \d before )?epoch \d, last bits of updates: .* differ in the last bit",
    ),
    "delay off by one": (
        Mutation(tasks.DelayedXOR, "generate", "- lag : len(bits) - lag", "- lag + 1 : len(bits) - lag + 1", ()),
        r"^epoch 1, targets: \d+ of 120 differ, first at ",
    ),
    "seed off by one": (
        Mutation(TrainingConfig, "input_seed", "+ index", "+ index + 1", ()),
        r"^flossing epoch 1 before epoch 1, flossing inputs: \d+ of 22 differ, first at \[\d+, 0, 0\] \(Julia ",
    ),
}


@pytest.mark.parametrize("title", PLANTED)
def test_a_planted_error_is_found_and_its_first_place_named(title, recorded, monkeypatch):
    mutation, place = PLANTED[title]
    mutation.apply(monkeypatch)
    report = compare_run(CONFIG, recorded, horizon_seconds=0)
    assert report.exit_code == 1
    assert f"the first place where they differ: {report.first_difference}" in report.summary()
    assert re.search(place, report.first_difference), report.first_difference


def test_recorded_numbers_are_what_is_judged(recorded, result):
    losses = result.loss.copy()
    losses[1] *= 1.001
    wrong = replace(result, loss=losses, trial_order=result.trial_order[::-1])
    report = compare_run(CONFIG, recorded, result=wrong)
    assert report.first_difference.startswith("run/schedule, trial order: ")
    failures = {outcome.check.name: set(outcome.failures) for outcome in report.outcomes if outcome.failures}
    assert failures == {"run/schedule": {"trial order"}, "run/free": {"loss"}}


def test_settings_come_from_a_file_a_folder_a_result_or_33_values(tmp_path, result):
    assert wanted(VALUES, "tanh").config == CONFIG
    assert wanted([", ".join(VALUES)], "tanh").config == CONFIG
    CONFIG.save(tmp_path / "my.toml")
    assert wanted([str(tmp_path / "my.toml")]).config == CONFIG
    result.save(tmp_path / "my.npz")
    assert wanted([str(tmp_path / "my.npz")]).result.same_numbers(result)
    train_in(tmp_path / "run", CONFIG)
    found = wanted([str(tmp_path / "run")])
    assert (found.config, found.title) == (CONFIG, "run")
    assert found.result.same_numbers(result)


def test_what_names_no_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="33 values are needed, not 32"):
        wanted(VALUES[:-1])
    with pytest.raises(ValueError, match="lr = 'x'"):
        wanted([*VALUES[:15], "x", *VALUES[16:]])
    with pytest.raises(FileNotFoundError, match=r"there is no file or folder nowhere\.toml"):
        wanted(["nowhere.toml"])
    with pytest.raises(FileNotFoundError, match="holds no run"):
        wanted([str(tmp_path)])
    CONFIG.save(tmp_path / "my.toml")
    with pytest.raises(ValueError, match="--network belongs to the 33 values"):
        wanted([str(tmp_path / "my.toml")], "tanh")


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        (replace(CONFIG, flossing=replace(CONFIG.flossing, clip_norm=1.0)), "flossing.clip_norm = 1.0"),
        (replace(CONFIG, flossing=replace(CONFIG.flossing, n_trials=2)), "flossing.n_trials = 2"),
        (replace(CONFIG, flossing=replace(CONFIG.flossing, learning_rate=0.01)), "flossing.learning_rate = 0.01"),
        (replace(CONFIG, flossing=replace(CONFIG.flossing, schedule=AdaptiveSchedule(0.1, 2, 1))), "flossing.schedule"),
        (replace(CONFIG, optimiser=replace(CONFIG.optimiser, clip_norm=1.0)), "optimiser.clip_norm = 1.0"),
        (replace(CONFIG, trials=replace(CONFIG.trials, offset=0.5)), "trials.offset = 0.5"),
        (
            replace(CONFIG, network=BinaryNetwork(Surrogate("sech2", 1.0), Surrogate("arctan", 1.0))),
            "two surrogates must have one name",
        ),
        (replace(CONFIG, n_epochs=0), "n_epochs = 0: there is nothing to compare"),
    ],
)
def test_what_the_reference_cannot_express_is_refused_by_name(changed, name):
    with pytest.raises(ValueError) as refused:
        require_expressible(changed)
    assert name in str(refused.value)


class Peer:
    """Answers with the states that it is given."""

    def __init__(self, states):
        self.states = states

    def call(self, name, *args, timeout=None):
        return self.states


def small_case():
    """A binary network of five units, one of which comes very near to zero in the first step."""
    rng = np.random.default_rng(3)
    n, trials = 5, 2
    parameters = {"ws": np.zeros((n, 1)), "J": rng.standard_normal((n, n)), "b": np.full(n, 0.3)}
    parameters |= {"wr": np.zeros((1, n)), "offset": np.zeros(1), "x0": rng.standard_normal((n, trials))}
    parameters = {name: values.astype("f4") for name, values in parameters.items()}
    signs = np.where(parameters["x0"][:, 0] > 0, 1, -1).astype("f4")
    parameters["b"][2] = 3e-8 - parameters["J"][2] @ signs
    inputs = np.zeros((1, 1, trials), "f4")
    return Case("small", BinaryNetwork(Surrogate("sech2", 1.0)), parameters, inputs, inputs, 1, np.zeros((n, 0)), 1)


def states_of(case):
    ws, b, J, x0 = (as_tensor(case.parameters[name], "float32") for name in ("ws", "b", "J", "x0"))
    drive = loss.drive(ws, b, as_tensor(case.inputs, "float32"))
    return loss.trajectory(case.network, J, x0, drive).permute(1, 2, 0).numpy()


@pytest.mark.parametrize(("unit", "by_rounding"), [(2, True), (0, False)])
def test_signs_may_part_where_a_state_lies_within_rounding_of_the_threshold(unit, by_rounding):
    case = small_case()
    theirs = states_of(case)
    assert parting(Peer(theirs), case, "float32") is None
    theirs[unit, 0, 0] *= -1
    if by_rounding and theirs[unit, 0, 0] == 0:
        theirs[unit, 0, 0] = 1e-8
    found = parting(Peer(theirs), case, "float32")
    assert (found.step, found.by_rounding) == (1, by_rounding)
    assert (found.distance < 1e-5) == by_rounding


def test_a_tally_keeps_the_first_failure_and_what_came_nearest():
    tally = Tally("epochs")
    for place, theirs in (("epoch 1", 1.0), ("epoch 2", 1.2), ("epoch 3", 1.1)):
        tally.add(place, Estimate(np.ones(2), np.asarray(0.25), "so").judge(np.full(2, theirs)))
    tally.leave_out()
    verdict = tally.verdict()
    assert verdict.passed
    assert verdict.extent.startswith("3 of 4 epochs")
    assert verdict.detail.endswith("in epoch 2")
    tally.add("epoch 5", Verdict(False, "off", 0.0))
    tally.add("epoch 6", Verdict(False, "worse", 0.0))
    assert tally.verdict().detail == "first in epoch 5: off; in 2 of 6 epochs"
    assert not Tally("epochs").verdict().passed


@pytest.mark.parametrize("mean", [1e-7, 0.01, 1.0, 30.0])
def test_rare_events_are_counted_as_poisson_says(mean):
    def more_than(n):
        return sum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(n + 1, n + 200))

    most = _exceeded_once_in_a_billion(mean)
    assert more_than(most) <= 1e-9 < more_than(most - 1)
    assert _exceeded_once_in_a_billion(0.0) == 0


@pytest.mark.parametrize(("by", "parts"), [(2e-5, True), (1.0, False)])
def test_free_runs_part_where_a_grown_rounding_turns_a_unit(by, parts):
    case = small_case()
    case.parameters["b"][2] += 1e-5 - states_of(case)[2, 0, 0]
    flips = Flips(replace(CONFIG, network=case.network))
    ours = {name: as_tensor(values, "float32") for name, values in case.parameters.items()}
    julias = case.parameters | {"b": case.parameters["b"] - np.float32(by) * (np.arange(5) == 2)}
    of = SimpleNamespace(flossing_epoch=0, case=case, parameters=case.parameters)
    record = SimpleNamespace(parameters=loss.Parameters(**ours))
    flips.look(of, record)
    assert not flips.found
    assert flips.rows("epochs", 9) == 9
    flips.look(SimpleNamespace(flossing_epoch=0, case=case, parameters=julias), record)
    assert flips.found == parts
    assert flips.rows("epochs", 9) == (1 if parts else 9)


class Stops:
    """The recorded Julia, whose run meets a number that is not finite in its second training epoch."""

    def __init__(self, julia):
        self.julia, self.calls = julia, 0

    def call(self, name, *args, timeout=None):
        self.calls += name == "training_gradient"
        if name == "training_gradient" and self.calls == 2:
            raise JuliaError("NonFiniteError: the loss is not finite in epoch 2, step 3", "")
        return self.julia.call(name, *args, timeout=timeout)


def test_a_run_that_only_julia_stops_is_told_and_fails(recorded):
    report = compare_run(CONFIG, Stops(recorded))
    (end,) = [outcome for outcome in report.outcomes if outcome.check.name == "run/end"]
    assert end.status == "failed"
    assert "Python's run goes on. Julia's run stopped: NonFiniteError" in end.verdicts["place"].detail
    assert "NonFiniteError" in report.notices[0]
    assert len(report.theirs["loss"]) == 1
