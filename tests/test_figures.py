"""Claims about the published figures: their data, our runs beside them, and what stands in the report."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import torch

mpl.use("Agg")

from pyflossing import (
    AdaptiveSchedule,
    BinaryNetwork,
    DelayedXOR,
    Flossing,
    FlossingSchedule,
    Seeds,
    SpikingNetwork,
    Surrogate,
    TrainingConfig,
    Trials,
    WeightDistribution,
    initial_weights,
)
from pyflossing.figures import (
    FIGURES,
    PUBLISHED_FIGURES,
    binary_flossing,
    published,
    training_sweeps,
)
from pyflossing.figures.binary_flossing import Settings, compute, distances, floss, knee
from pyflossing.figures.binary_training import INFERRED
from pyflossing.figures.provenance import kept
from pyflossing.figures.published import at
from pyflossing.figures.training_panels import accuracies, best_accuracy, geometric_mean
from pyflossing.figures.training_sweeps import declared, part, results_of

SMALL = Settings(n_steps=13, n_epochs=3)


def test_published_panels_hold_nine_realizations_that_average_to_their_mean():
    for figure in ("binary_flossing_lambda1", "binary_flossing_spectrum"):
        for name, curves in published(figure).items():
            if name != "what":
                assert len(curves["realizations"]) == 9
                x = curves["mean"]["x"]
                mean = np.mean([at(one, x) for one in curves["realizations"]], axis=0)
                # the graphics leave out points on nearly straight lines
                assert np.abs(mean - curves["mean"]["y"]).mean() < 2e-3
    assert all(published(figure)["what"] for figure in PUBLISHED_FIGURES)


def test_an_unknown_panel_is_refused():
    with pytest.raises(ValueError, match="figure = '3A' is not allowed"):
        published("3A")


def test_published_curves_are_read_between_their_points():
    assert at({"x": [0, 2], "y": [1.0, 3.0]}, [0, 1, 2]) == pytest.approx([1, 2, 3])


def test_a_run_starts_from_the_published_networks_and_ends_where_the_next_epoch_would_start():
    run = floss(SMALL, SMALL.config(0.5, 1, seed=2))
    assert {name: values.shape for name, values in run.items()} == {"first": (4,), "before": (52,), "after": (52,)}
    # panels A and B show the same first exponent
    assert run["before"][0] == pytest.approx(run["first"][0], abs=1e-6)
    assert run["after"][0] == pytest.approx(run["first"][3], abs=1e-6)
    longer = floss(replace(SMALL, n_epochs=5), SMALL.config(0.5, 1, seed=2))
    assert longer["first"] == pytest.approx(run["first"])


def test_the_knee_is_the_largest_drop():
    assert knee(np.array([0.1, 0.0, -0.05, -0.5, -0.6])) == 3
    spectra = published("binary_flossing_spectrum")
    assert [knee(np.array(spectra[name]["mean"]["y"])) for name in ("k1", "k16", "k32")] == [1, 16, 32]


def test_the_published_curves_are_at_distance_zero_from_themselves():
    curves, spectra = published("binary_flossing_lambda1"), published("binary_flossing_spectrum")
    ours = {(0.5, k): {"after": at(spectra[f"k{k}"]["mean"], range(1, 53))[None]} for k in (1, 16, 32)}
    ours[0.5, 1]["before"] = at(spectra["before"]["mean"], range(1, 53))[None]
    ours[1.0, 1] = {}
    for sharpness in (0.5, 1.0):
        ours[sharpness, 1]["first"] = at(curves[f"sharpness_{sharpness}"]["mean"], range(151))[None]
    found = distances(ours)
    assert found["1A sharpness 0.5"] == {"largest over epochs 0 to 10": 0, "mean over all epochs": 0}
    assert found["1B before"] == {"mean": 0, "largest": 0}
    assert found["1B k = 32"]["mean"] == 0
    assert found["1B k = 32"]["knee"] == 32
    ours[0.5, 1]["first"] = ours[0.5, 1]["first"] + np.where(np.arange(151) == 7, 0.5, 0)
    assert distances(ours)["1A sharpness 0.5"]["largest over epochs 0 to 10"] == pytest.approx(0.5)


def test_the_figure_1_in_the_documentation_is_of_these_settings_and_reaches_its_aims():
    report = json.loads((Path(__file__).parents[1] / "docs" / "figures" / "binary-flossing.json").read_text())
    assert report["settings"] == asdict(Settings())
    assert report["inferred"] == binary_flossing.INFERRED
    assert report["seeds"] == list(binary_flossing.SEEDS)
    found = report["distances (1/step)"]
    assert found["1A sharpness 0.5"]["largest over epochs 0 to 10"] < 0.05
    assert found["1B before"]["mean"] < 0.03
    for k in (16, 32):
        panel = found[f"1B k = {k}"]
        assert panel["largest of the flossed exponents from zero"] < 0.05
        assert panel["knee"] == panel["knee, published"] == k


def test_figure_1_is_drawn_and_reported_and_a_second_call_computes_nothing(tmp_path, monkeypatch):
    said: list[str] = []
    picture = FIGURES["binary-flossing"](tmp_path / "new", settings=SMALL, seeds=[1, 2], progress=said.append)
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert len(said) == 8  # four panels' runs of two seeds
    report = json.loads((tmp_path / "new" / "binary-flossing.json").read_text())
    assert report["settings"]["n_steps"] == 13
    assert "n_steps" in report["inferred"]
    assert report["versions"]["torch"] == torch.__version__
    assert report["seconds"] > 0
    assert set(report["distances (1/step)"]) == {
        "1A sharpness 0.5",
        "1A sharpness 1.0",
        "1B before",
        "1B k = 1",
        "1B k = 16",
        "1B k = 32",
    }
    monkeypatch.setattr(binary_flossing, "floss", None)
    FIGURES["binary-flossing"](tmp_path / "new", settings=SMALL, seeds=[1, 2])
    with pytest.raises(TypeError):
        FIGURES["binary-flossing"](tmp_path / "new", settings=SMALL, seeds=[3])


def test_kept_numbers_come_back_bit_for_bit_and_others_settings_are_computed_anew(tmp_path):
    file = tmp_path / "runs" / "a.json"
    numbers = {"x": np.array([0.1, 1 / 3, -np.inf, 1e-300])}
    kept(file, {"n": 1}, lambda: numbers)
    again = kept(file, {"n": 1}, lambda: pytest.fail("computed twice"))
    assert again["x"].tobytes() == numbers["x"].tobytes()
    assert kept(file, {"n": 2}, lambda: {"x": np.zeros(1)})["x"] == [0]
    file.write_text('{"settings": {}')
    with pytest.raises(ValueError, match="is not a job of a figure, or it is damaged"):
        kept(file, {"n": 2}, lambda: numbers)


def test_realizations_differ_and_are_stacked_in_the_order_of_the_seeds(tmp_path):
    ours, files = compute(tmp_path, SMALL, [2, 1])[:2]
    assert ours[0.5, 16]["first"].shape == (2, 4)
    assert len({file.name for file in files}) == 8
    alone = floss(SMALL, SMALL.config(0.5, 16, seed=1))
    assert np.array_equal(ours[0.5, 16]["first"][1], alone["first"])
    assert not np.array_equal(initial_weights(80, 1).J, initial_weights(80, 2).J)


@pytest.mark.parametrize(("name", "n_jobs"), [("binary-training", 2 * 9 * 5), ("spiking-training", 2 * 3 * 6)])
def test_a_declared_figure_has_whole_realizations_first_and_every_combination_once(name, n_jobs):
    jobs = declared(name).jobs
    assert len(jobs) == n_jobs
    seeds = [job.at["seed"] for job in jobs]
    assert seeds == sorted(seeds)
    assert {job.condition for job in jobs} == {"no_flossing", "flossing"}
    assert all(job.config.flosses == (job.condition == "flossing") for job in jobs)
    assert all(job.config.task == DelayedXOR(job.at["delay"]) for job in jobs)
    assert all(job.config.seeds == Seeds(job.at["seed"], 1, job.at["seed"], job.at["seed"]) for job in jobs)


def test_figure_2_is_declared_as_the_readme_s_call_but_for_what_is_inferred():
    job = declared("binary-training").jobs[-1]
    schedule = AdaptiveSchedule(1e-6, episode=1, n_episodes=300, before=100, cooldown=10, ceiling=0.03)
    assert job.config == TrainingConfig(
        network=BinaryNetwork(Surrogate("sech2", 0.8)),
        weights=WeightDistribution(readout_spread=1 / 80),
        task=DelayedXOR(13),
        flossing=Flossing(n_exponents=8, clip_norm=0.03, schedule=schedule),
        seeds=Seeds(initial_state=9, inputs=1, network=9, frame=9),
    )
    assert INFERRED.keys() >= {"readout", "sharpness", "flossing"}


def test_the_spiking_figure_is_declared_with_the_constants_per_step():
    job = declared("spiking-training").jobs[-1]
    assert job.config == TrainingConfig(
        network=SpikingNetwork.per_step(),
        task=DelayedXOR(6),
        trials=Trials(16, 180),
        flossing=Flossing(n_exponents=32, schedule=FlossingSchedule(100, 50, 100, 2)),
        seeds=Seeds(initial_state=3, inputs=1, network=3, frame=3),
        n_epochs=1200,
    )


def test_figure_2_takes_up_where_it_was_cut_short(tmp_path, monkeypatch):
    said: list[str] = []
    options = {"delays": [9], "conditions": ["no_flossing"], "n_epochs": 2}
    FIGURES["binary-training"](tmp_path, seeds=[1], progress=said.append, **options)
    picture = FIGURES["binary-training"](tmp_path, seeds=[1, 2], progress=said.append, **options)
    assert said == [
        "no_flossing_seed1_delay9: done (1/1 done, 0 running)",
        "no_flossing_seed2_delay9: done (2/2 done, 0 running)",
    ]
    monkeypatch.setattr(training_sweeps, "run_sweep", None)
    FIGURES["binary-training"](tmp_path, seeds=[1, 2, 3], only_kept=True, **options)
    report = json.loads((tmp_path / "binary-training.json").read_text())
    ran = ["no_flossing_seed1_delay9", "no_flossing_seed2_delay9"]
    assert (report["run"], report["not run"]) == (ran, ["no_flossing_seed3_delay9"])
    assert report["inferred"] == INFERRED
    found = report["distances (%; powers of ten)"]
    assert found["B"]["no_flossing, d = 18"] == pytest.approx(2.66, abs=2)  # ours at chance, theirs at 52.66 %
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_runs_with_other_settings_and_damaged_ones_are_refused(tmp_path):
    first, second = (part(declared("spiking-training"), [1], [1], ["no_flossing"], n) for n in (1, 2))
    where = {"n_jobs": 1, "scheduler": None, "progress": lambda _: None}
    (only,) = results_of(first, tmp_path, only_kept=False, **where)
    assert len(only[1].loss) == 1
    for only_kept in (True, False):
        with pytest.raises(
            ValueError, match="no_flossing_seed1_delay1 holds a run of other settings than the sweep says"
        ):
            results_of(second, tmp_path, only_kept=only_kept, **where)
    (tmp_path / "runs" / "no_flossing_seed1_delay1" / "result.npz").write_bytes(b"no result")
    with pytest.raises(ValueError, match="is not a result of pyflossing"):
        results_of(first, tmp_path, only_kept=True, **where)


def test_the_spiking_figure_is_drawn_with_its_summary(tmp_path):
    options = {"seeds": [1], "n_epochs": 2}
    FIGURES["spiking-training"](tmp_path, delays=[1], conditions=["no_flossing"], **options)  # panels A and C are empty
    options["delays"] = [4]
    picture = FIGURES["spiking-training"](tmp_path, conditions=["no_flossing"], **options)
    assert picture.read_bytes()[:4] == b"\x89PNG"
    report = json.loads((tmp_path / "spiking-training.json").read_text())
    assert report["panels"]["no_flossing, d = 8"]["runs"] == 1
    assert report["run"] == ["no_flossing_seed1_delay4"]


def test_summaries_are_medians_of_the_best_epochs_and_means_of_logarithms():
    assert best_accuracy(np.array([[50.0, 80.0, 70.0], [90.0, 50.0, 50.0], [51.0, 51.0, 52.0]])) == 80
    assert geometric_mean(np.array([[1e-2, 1e-4, 0.0]])) == pytest.approx(1e-3)
    assert np.isnan(geometric_mean(np.zeros((1, 2))))
    assert accuracies([], "flossing", 9).shape == (0,)
