"""The four panels of a training figure: accuracy and gradient over epochs, and both against the delay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pyflossing.figures.published import FloatArray
from pyflossing.figures.training_sweeps import Results
from pyflossing.plots._style import BLACK, BLUE, GREY, VERMILION, label_gradient, running_mean, say
from pyflossing.training.result import TrainingResult

CONDITIONS = {"no_flossing": ("no flossing", BLUE), "flossing": ("flossing", VERMILION)}


def accuracies(results: Results, condition: str, delay: int) -> FloatArray:
    """Accuracy (%) over epochs of all seeds, (seeds, E)."""
    return np.array([100 * result.accuracy for result in _of(results, condition, delay)])


def gradient_norms(results: Results, condition: str, delay: int) -> FloatArray:
    """Norm of the loss gradient of the initial state over epochs of all seeds, (seeds, E)."""
    return np.array([result.gradient_norms["x0"] for result in _of(results, condition, delay)])


def delays_of(results: Results, condition: str) -> list[int]:
    """The delays at which a condition was run, in order."""
    return sorted({int(job.at["delay"]) for job, _ in results if job.condition == condition})


def best_accuracy(values: FloatArray) -> float:
    """Median over seeds of the best epoch's accuracy, %: at chance a little above 50, as published."""
    return float(np.median(values.max(axis=1)))


def geometric_mean(values: FloatArray) -> float:
    """Over seeds and epochs, of what is positive; NaN where nothing is."""
    positive = values[values > 0]
    return float(np.exp(np.log(positive).mean())) if len(positive) else float("nan")


def draw_panels(results: Results, delay: int, published: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Panels A to D of a grid of runs; A and C at one delay.

    Args:
        results: the runs.
        delay: of panels A and C; the XOR reaches back d = 2 delay steps.
        published: for the panels "A" to "D" the published curves by condition, drawn dashed; none is needed.
    """
    figure = Figure(figsize=(11, 7.6), layout="constrained")
    a, b, c, d = figure.subplots(2, 2).flat
    for condition, (label, color) in CONDITIONS.items():
        _over_epochs(a, accuracies(results, condition, delay), color, label, log=False)
        _over_epochs(c, gradient_norms(results, condition, delay), color, label, log=True)
        delays = delays_of(results, condition)
        if delays:
            twice = [2 * one for one in delays]
            best = [best_accuracy(accuracies(results, condition, one)) for one in delays]
            norms = [geometric_mean(gradient_norms(results, condition, one)) for one in delays]
            b.plot(twice, best, "o-", color=color, label=label)
            d.plot(twice, norms, "o-", color=color, label=label)
        for ax, panel in ((a, "A"), (b, "B"), (c, "C"), (d, "D")):
            if panel in published:
                curve = published[panel][condition]
                ax.plot(curve["x"], curve["y"], "--", color=color, lw=1, zorder=5)
    a.set(xlabel="epoch", ylabel="accuracy (%)", title=f"A: d = {2 * delay}", ylim=(45, 102))
    b.set(xlabel="d (steps)", ylabel="best accuracy (%)", title="B", ylim=(45, 102))
    c.set(xlabel="epoch", title=f"C: d = {2 * delay}")
    d.set(xlabel="d (steps)", title="D")
    label_gradient(c)
    label_gradient(d, ", mean over epochs")
    for ax in (a, b, c, d):
        ax.spines[["top", "right"]].set_visible(False)
        if not any(line.get_label()[0] != "_" for line in ax.lines):
            say(ax, "not run")
    for ax in (c, d):
        if ax.lines:
            ax.set_yscale("log")
    for ax in (a, b):
        ax.axhline(50, color=GREY, ls=":", lw=0.8)
    if published:
        a.plot([], [], "--", color=BLACK, lw=1, label="published")
    if a.get_legend_handles_labels()[0]:
        a.legend(frameon=False, loc="upper left")
    return figure


def _of(results: Results, condition: str, delay: int) -> Iterator[TrainingResult]:
    return (result for job, result in results if (job.condition, job.at["delay"]) == (condition, delay))


def _over_epochs(ax: Axes, values: FloatArray, color: str, label: str, *, log: bool) -> None:
    if not len(values):
        return
    window = max(1, values.shape[1] // 50)
    epochs = np.arange(1, values.shape[1] + 1)
    smooth = np.array([running_mean(one, window, log=log) for one in values])
    ax.plot(epochs, smooth.T, color=color, alpha=0.3, lw=0.7)
    ax.plot(
        epochs,
        np.median(smooth, axis=0),
        color=color,
        lw=2,
        label=f"{label}, {len(values)} run{'s' if len(values) > 1 else ''}",
    )
