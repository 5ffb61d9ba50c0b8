"""Claims about pictures: what they draw is what the result holds, and odd results are drawn too."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from warm import python

mpl.use("Agg")

from matplotlib import pyplot

from pyflossing import (
    BinaryNetwork,
    DelayedXOR,
    Flossing,
    FlossingSchedule,
    SpikingNetwork,
    TanhNetwork,
    TrainingConfig,
    Trials,
    plots,
    train,
)
from pyflossing.plots._style import running_mean
from pyflossing.plots.activity import play

CONFIG = TrainingConfig(
    network=SpikingNetwork.per_step(),
    n_units=12,
    task=DelayedXOR(1),
    trials=Trials(3, 20),
    flossing=Flossing(4, 0.0, 20, 20, FlossingSchedule(before=3, episode=2, period=4, n_episodes=1)),
    n_epochs=6,
)


@pytest.fixture(scope="module")
def result():
    return train(CONFIG)


@pytest.fixture(autouse=True)
def _closed():
    yield
    pyplot.close("all")


def _drawn(ax, label):
    (line,) = [line for line in ax.lines if line.get_label() == label]
    return np.array(line.get_xdata()), np.array(line.get_ydata())


def _words(ax):
    return [text.get_text() for text in ax.texts]


@pytest.mark.parametrize(
    ("draw", "values", "ylabel"),
    [
        (plots.loss, lambda r: r.loss, "loss (nats)"),
        (plots.accuracy, lambda r: 100 * r.accuracy, "accuracy (%)"),
        (plots.gradient_norm, lambda r: r.gradient_norms["x0"], r"$|\partial L/\partial x_0|$ before clipping"),
    ],
)
def test_series_over_epochs_are_drawn_as_they_are_on_the_given_axes(result, draw, values, ylabel):
    given = pyplot.figure().subplots()
    ax = draw(result, given, label="a run")
    assert ax is given
    epochs, drawn = _drawn(ax, "a run")
    assert np.array_equal(epochs, np.arange(1, 7))
    assert np.array_equal(drawn, values(result))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", ylabel)
    marks = [list(line.get_xdata()) for line in ax.lines if line.get_marker() == "^"]
    assert marks == [[1, 4]]  # the epochs that the two flossing episodes precede


@pytest.mark.parametrize("spread", [1.5, 30.0, 1e6])
def test_the_label_of_a_gradients_norm_keeps_away_from_the_tick_labels(result, spread):
    norms = {"x0": 1e-7 * np.geomspace(1, spread, 6)}
    shown = replace(result, gradient_norms=norms)
    for ax in (plots.gradient_norm(shown), plots.gradient_norm_by_delay([shown])):
        ax.figure.canvas.draw()
        ticks = [label.get_window_extent() for label in ax.get_yticklabels(which="both") if label.get_text()]
        gap = min(box.x0 for box in ticks) - ax.yaxis.label.get_window_extent().x1
        assert gap * 72 / ax.figure.dpi >= 7.9  # points


def test_a_long_series_has_its_running_mean_on_top(result):
    long = replace(result, loss=np.sin(np.arange(300.0)))
    ax = plots.loss(long, label="mean")
    assert np.array_equal(ax.lines[0].get_ydata(), long.loss)
    assert np.abs(_drawn(ax, "mean")[1][5:-5]).max() < 0.3


def test_a_running_mean_keeps_its_place_and_leaves_out_what_is_not_finite():
    y = np.array([1.0, 2.0, np.nan, 4.0, 5.0])
    assert running_mean(y, 3) == pytest.approx([1.5, 1.5, 3.0, 4.5, 4.5])
    assert running_mean(np.array([1.0, 0.0, 100.0]), 3, log=True) == pytest.approx([1.0, 10.0, 100.0])


def test_the_spectrum_is_drawn_before_and_after_with_its_target(result):
    ax = plots.spectrum(result)
    assert np.array_equal(_drawn(ax, "before flossing")[1], result.spectra[0])
    index, after = _drawn(ax, "after 4 flossing epochs")
    assert np.array_equal(after, result.spectra[-1])
    assert np.array_equal(index, [1, 2, 3, 4])
    assert ax.get_ylabel() == "Lyapunov exponent (1/step)"


def test_exponents_are_drawn_over_all_episodes_with_the_epoch_where_the_second_begins(result):
    ax = plots.exponents(result)
    epochs, drawn = _drawn(ax, r"$\lambda_{3}$")
    assert np.array_equal(epochs, np.arange(1, 6))
    assert np.array_equal(drawn, result.spectra[:, 2])
    assert _words(ax) == [" epoch 4"]


def test_of_many_exponents_eight_are_drawn_the_first_and_last_among_them(result):
    ax = plots.exponents(replace(result, spectra=np.arange(100.0).reshape(5, 20)))
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert len(labels) == 8
    assert labels[0] == r"$\lambda_{1}$"
    assert labels[-1] == r"$\lambda_{20}$"


def test_the_raster_marks_every_spike_and_membranes_cross_the_threshold_there(result):
    membrane = play(result, trial=2).states[:, :12]
    steps, units = np.nonzero(membrane > 0.5)
    assert len(steps) > 5
    (marks,) = plots.raster(result, trial=2).lines
    assert np.array_equal(marks.get_xdata(), steps + 1)
    assert np.array_equal(marks.get_ydata(), units + 1)
    ax = plots.membranes(result, trial=2, n_units=2)
    traces = [line for line in ax.lines if len(line.get_xdata()) == 20 and line.get_marker() == "None"]
    assert np.allclose(traces[0].get_ydata(), membrane[:, 0])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["1", "2"]


def test_the_readout_shows_the_scored_steps_and_counts_wrong_answers_as_wrong(result):
    ax = plots.readout(result)
    played = play(result)
    steps, targets = _drawn(ax, "target")
    assert np.array_equal(steps, np.arange(2, 21))  # scored from step 2 delay = 2
    assert np.array_equal(targets, played.targets[1:])
    wrong = (played.readout[1:] >= 0) != (played.targets[1:] == 1)
    assert np.array_equal(_drawn(ax, "wrong answer")[0], steps[wrong])


def test_gradient_norms_by_delay_are_geometric_means_with_and_without_flossing(result):
    norms = {**result.gradient_norms, "x0": np.array([1e-2, 1e-4])}
    flossed = replace(result, gradient_norms=norms)
    plain = replace(CONFIG, flossing=replace(CONFIG.flossing, schedule=FlossingSchedule.none()))
    ax = plots.gradient_norm_by_delay([flossed, replace(flossed, config=plain), replace(flossed, config=plain)])
    assert ax.get_yscale() == "log"
    for label in ("flossing", "no flossing"):
        delays, means = _drawn(ax, label)
        assert (list(delays), list(means)) == ([1], pytest.approx([1e-3]))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_epochs": 0}, ["no training epochs"] * 3 + ["no flossing epochs"] * 2),
        ({"flossing": Flossing(0)}, ["no flossing epochs"] * 2),
        ({"flossing": Flossing(1, 0.0, 20, 20, FlossingSchedule.before_training(1))}, []),
        ({"network": TanhNetwork(), "n_epochs": 1}, []),
        ({"network": BinaryNetwork(), "n_epochs": 120}, []),
    ],
    ids=["no epochs", "no flossing", "one exponent once", "tanh", "long"],
)
def test_any_run_has_a_page_that_can_be_saved(changes, words, tmp_path):
    figure = plots.overview(train(replace(CONFIG, **changes)))
    figure.savefig(tmp_path / "page.png")
    said = [text for ax in figure.axes for text in _words(ax) if text.startswith("no ")]
    assert sorted(said) == sorted(words)


def test_a_result_with_nan_and_without_gradients_is_drawn(result, tmp_path):
    spectra, loss = result.spectra.copy(), result.loss.copy()
    spectra[1], loss[2] = np.nan, np.nan
    norms = {**result.gradient_norms, "x0": np.zeros(6)}
    figure = plots.overview(replace(result, spectra=spectra, loss=loss, gradient_norms=norms))
    figure.savefig(tmp_path / "page.png")
    assert "no gradient reaches the initial state" in [text for ax in figure.axes for text in _words(ax)]
    assert _words(plots.gradient_norm_by_delay([])) == ["no runs with a gradient"]


def test_spikes_of_another_network_and_trials_out_of_range_are_refused(result):
    binary = replace(result, config=replace(CONFIG, network=BinaryNetwork()))
    with pytest.raises(ValueError, match="only a spiking network has spikes"):
        plots.raster(binary)
    with pytest.raises(ValueError, match="trial = 4 is not allowed: it must be an integer from 1 to 3"):
        plots.membranes(result, trial=4)
    with pytest.raises(ValueError, match="n_units = 13"):
        plots.membranes(result, n_units=13)


def test_without_matplotlib_the_error_says_what_to_install():
    code = "import sys; sys.modules['matplotlib'] = None\nimport pyflossing\nimport pyflossing.plots"
    run = subprocess.run([*python(), "-c", code], capture_output=True, text=True)
    assert run.returncode == 1
    assert "pip install 'pyflossing[plot]'" in run.stderr
