"""What all pictures share: colours, bare axes, running means, words where there is nothing to draw."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib import pyplot
from matplotlib.axes import Axes

BLACK, ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
"""Okabe and Ito's colours, without the yellow that is pale on white."""

GREY = "#8C8C8C"

FEW = 100
"""Numbers up to which a line is drawn without its running mean."""


def axes(ax: Axes | None) -> Axes:
    """The given axes, or those of a new figure, without the frame's upper and right lines."""
    chosen = pyplot.subplots(figsize=(4.8, 3.2), layout="constrained")[1] if ax is None else ax
    chosen.spines[["top", "right"]].set_visible(False)
    return chosen


def label_gradient(ax: Axes, words: str = "") -> None:
    """Name the vertical axis after the norm of the loss gradient of the initial state."""
    # the usual distance of 4 points is little beside tick labels with exponents
    ax.set_ylabel(rf"$|\partial L/\partial x_0|${words}", labelpad=8)


def say(ax: Axes, words: str) -> None:
    """Words in the middle of axes that have nothing to show."""
    ax.text(0.5, 0.5, words, transform=ax.transAxes, ha="center", va="center", color=GREY)


def draw_series(
    ax: Axes,
    x: npt.NDArray[np.integer],
    y: npt.NDArray[np.float64],
    color: str,
    label: str | None,
    *,
    log: bool = False,
) -> None:
    """A line; a long one pale, with its running mean (in logarithms where ``log``) over a fiftieth of it on top."""
    if len(x) <= FEW:
        ax.plot(x, y, color=color, label=label, marker="o" if len(x) == 1 else None, lw=1.3)
        return
    ax.plot(x, y, color=color, alpha=0.3, lw=0.6)
    ax.plot(x, running_mean(y, len(x) // 50, log=log), color=color, label=label, lw=1.6)


def running_mean(y: npt.NDArray[np.float64], window: int, *, log: bool = False) -> npt.NDArray[np.float64]:
    """Centred mean over ``window`` values, fewer at the ends; what is not finite is left out."""
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.log(y) if log else y
        counted = np.isfinite(values)
        kernel = np.ones(window | 1)  # an odd number keeps the mean in its place
        sums = np.convolve(np.where(counted, values, 0), kernel)
        numbers = np.convolve(counted, kernel)
        half = len(kernel) // 2
        means = (sums / numbers)[half : half + len(y)]
    return np.asarray(np.exp(means) if log else means)
