"""Lyapunov exponents that flossing recorded: the spectrum before and after, and all of them over its epochs."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from pyflossing.plots._style import BLUE, GREY, VERMILION, axes, say
from pyflossing.training.result import TrainingResult

_AT_MOST = 8


def spectrum(result: TrainingResult, ax: Axes | None = None) -> Axes:
    """The flossed exponents (1/step) by index, in the first and in the last flossing epoch; dotted: their target.

    Args:
        result: a run.
        ax: where to draw; None makes a new figure.

    Returns:
        the axes.
    """
    ax = axes(ax)
    n, k = result.spectra.shape
    if n and k:
        index = np.arange(1, k + 1)
        ends = ((0, BLUE, "before flossing"), (-1, VERMILION, _after(result)))
        for row, color, label in ends if n > 1 else ends[:1]:
            ax.plot(index, result.spectra[row], "o-", ms=3 if k > 1 else 6, lw=1.2, color=color, label=label)
        ax.axhline(result.config.flossing.target, color=GREY, ls=":", lw=1)
        ax.legend(frameon=False)
        ax.set_xlim(0.5, k + 0.5)
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
    else:
        say(ax, "no flossing epochs")
    ax.set_xlabel("index of exponent")
    ax.set_ylabel("Lyapunov exponent (1/step)")
    return ax


def exponents(result: TrainingResult, ax: Axes | None = None) -> Axes:
    """The flossed exponents (1/step) over all flossing epochs, one line each; dotted: their target.

    Of more than eight, eight are drawn, evenly spaced. Where episodes meet stands a line with the training epoch.
    Arguments as in :func:`spectrum`.
    """
    ax = axes(ax)
    n, k = result.spectra.shape
    if n and k:
        epochs = np.arange(1, n + 1)
        shown = np.unique(np.linspace(0, k - 1, min(k, _AT_MOST)).round().astype(int))
        for place, i in enumerate(shown):
            color = colormaps["viridis"](0.9 * place / max(len(shown) - 1, 1))
            marker = "o" if n == 1 else None
            ax.plot(epochs, result.spectra[:, i], color=color, lw=1, marker=marker, label=rf"$\lambda_{{{i + 1}}}$")
        ax.axhline(result.config.flossing.target, color=GREY, ls=":", lw=1)
        ax.set_xlim(0.5, n + 0.5)
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        starts = np.flatnonzero(np.diff(result.flossing_epochs[:, 0])) + 1
        for start in starts:
            ax.axvline(start + 0.5, color=GREY, lw=0.8)
            words = f" epoch {result.flossing_epochs[start, 0]}"
            ax.text(start + 0.5, 1.0, words, transform=ax.get_xaxis_transform(), va="bottom", fontsize="x-small")
        ax.legend(
            title=f"{len(shown)} of {k}" if len(shown) < k else None, title_fontsize="x-small",
            frameon=False, fontsize="x-small", loc="center left", bbox_to_anchor=(1, 0.5), handlelength=1,
        )  # fmt: skip
    else:
        say(ax, "no flossing epochs")
    ax.set_xlabel("flossing epoch")
    ax.set_ylabel("Lyapunov exponent (1/step)")
    return ax


def _after(result: TrainingResult) -> str:
    n = len(result.spectra) - 1  # the last spectrum is the one before the last update
    return f"after {n} flossing epoch{'s' if n > 1 else ''}"
