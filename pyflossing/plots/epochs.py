"""Loss, accuracy and gradient norms over training epochs, and over delays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from pyflossing.plots._style import BLUE, GREY, VERMILION, axes, draw_series, label_gradient, say
from pyflossing.training.result import TrainingResult

_CHANCE_LOSS = float(np.log(2))


def loss(result: TrainingResult, ax: Axes | None = None, *, color: str = BLUE, label: str | None = None) -> Axes:
    """Training loss before each update, over epochs; dotted: ln 2, the loss of guessing.

    Args:
        result: a run.
        ax: where to draw; None makes a new figure.
        color: of the line.
        label: for a legend.

    Returns:
        the axes.
    """
    ax = axes(ax)
    _over_epochs(ax, result, result.loss, color, label)
    ax.axhline(_CHANCE_LOSS, color=GREY, ls=":", lw=1)
    ax.set_ylabel("loss (nats)")
    return ax


def accuracy(result: TrainingResult, ax: Axes | None = None, *, color: str = BLUE, label: str | None = None) -> Axes:
    """Training accuracy (%) before each update, over epochs; dotted: chance. Arguments as in :func:`loss`."""
    ax = axes(ax)
    _over_epochs(ax, result, 100 * result.accuracy, color, label)
    ax.axhline(50, color=GREY, ls=":", lw=1)
    # an untrained network may do worse than chance, but never by so much
    ax.set_ylim(min(40.0, 100 * float(np.nanmin(result.accuracy, initial=1))), 102)
    ax.set_ylabel("accuracy (%)")
    return ax


def gradient_norm(
    result: TrainingResult, ax: Axes | None = None, *, color: str = BLUE, label: str | None = None
) -> Axes:
    """Norm of the loss gradient of the initial state, before clipping, over epochs. Arguments as in :func:`loss`."""
    ax = axes(ax)
    norms = result.gradient_norms["x0"]
    if len(norms) and not np.any(norms > 0):
        say(ax, "no gradient reaches the initial state")
        ax.set_xlabel("epoch")
    else:
        _over_epochs(ax, result, norms, color, label, log=True)
        ax.set_yscale("log" if len(norms) else "linear")
    label_gradient(ax, " before clipping")
    return ax


def gradient_norm_by_delay(results: Iterable[TrainingResult], ax: Axes | None = None) -> Axes:
    """Norm of the loss gradient of the initial state against the delay, with and without flossing.

    A point is a run's geometric mean over its epochs; the lines join the geometric means of all runs of a delay.

    Args:
        results: runs of any delays.
        ax: where to draw; None makes a new figure.

    Returns:
        the axes.
    """
    ax = axes(ax)
    groups: dict[bool, dict[int, list[float]]] = {False: defaultdict(list), True: defaultdict(list)}
    for result in results:
        norms = result.gradient_norms["x0"]
        if np.any(norms > 0):
            groups[result.config.flosses][result.config.task.delay].append(_geometric_mean(norms))
    for flossed, color, label in ((False, GREY, "no flossing"), (True, VERMILION, "flossing")):
        means = groups[flossed]
        if means:
            delays = sorted(means)
            points = [(delay, value) for delay in delays for value in means[delay]]
            ax.plot(*zip(*points, strict=True), ".", color=color, alpha=0.6)
            ax.plot(delays, [_geometric_mean(np.array(means[d])) for d in delays], "o-", color=color, label=label)
    if any(groups.values()):
        ax.set_yscale("log")
        ax.legend(frameon=False)
    else:
        say(ax, "no runs with a gradient")
    ax.set_xlabel("delay (steps)")
    label_gradient(ax, ", mean over epochs")
    return ax


def _geometric_mean(values: npt.NDArray[np.float64]) -> float:
    return float(np.exp(np.mean(np.log(values[values > 0]))))


def _over_epochs(
    ax: Axes,
    result: TrainingResult,
    values: npt.NDArray[np.float64],
    color: str,
    label: str | None,
    *,
    log: bool = False,
) -> None:
    if len(values):
        draw_series(ax, np.arange(1, len(values) + 1), values, color, label, log=log)
        _mark_episodes(ax, result)
    else:
        say(ax, "no training epochs")
    ax.set_xlabel("epoch")
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))


def _mark_episodes(ax: Axes, result: TrainingResult) -> None:
    """A small triangle on the time axis before every epoch that a flossing episode precedes."""
    starts = np.unique(result.flossing_epochs[:, 0])
    if len(starts):
        ax.plot(starts, np.full(len(starts), 0.02), "^", color=VERMILION, ms=5, transform=ax.get_xaxis_transform())
