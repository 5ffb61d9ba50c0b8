"""Draws the sweep of spiking-copy.toml: accuracy, and the gradient that reaches the initial state, over epochs.

python docs/draw_spiking_copy.py SWEEP PICTURE
"""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from pyflossing.sweeps import SweepResults

COLOURS = {"no_flossing": "#666666", "flossing": "#0072b2"}
WINDOW = 25


def smooth(series: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of so many epochs."""
    return series[: len(series) // WINDOW * WINDOW].reshape(-1, WINDOW).mean(axis=1)


def main(folder: str, picture: str) -> None:
    found: dict[str, list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = {name: [] for name in COLOURS}
    for job, result in SweepResults.load(folder):
        found[job.condition].append((100 * result.accuracy, np.log10(result.gradient_norms["x0"])))
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), constrained_layout=True)
    for name, runs in found.items():
        for column, ax in enumerate(axes):
            each = np.array([smooth(run[column]) for run in runs])
            epochs = (np.arange(each.shape[1]) + 0.5) * WINDOW
            ax.plot(epochs, each.T, color=COLOURS[name], lw=0.5, alpha=0.5)
            words = name.replace("_", " ")
            ax.plot(epochs, np.median(each, axis=0), color=COLOURS[name], lw=2, label=f"{words}, median of {len(runs)}")
    axes[0].axhline(50, color="black", ls=":", lw=0.8)
    axes[0].set(xlabel="epoch", ylabel="accuracy (%)", ylim=(48, 64))
    axes[1].set(xlabel="epoch", ylabel=r"$\log_{10}\,|\partial L / \partial x_0|$")
    axes[0].legend(frameon=False)
    figure.suptitle("Copying the input of 20 steps ago: 160 spiking units, seeds 4 to 12", fontsize=11)
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
