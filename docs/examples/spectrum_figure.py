"""The figure of both examples: a spectrum before and after flossing, and the way in between."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("agg")  # into a file, also where there is no display
import matplotlib.pyplot as plt

from pyflossing import LyapunovSpectrum
from pyflossing.modules.flossing import FlossingHistory


def save_figure(
    path: Path,
    before: LyapunovSpectrum,
    after: LyapunovSpectrum,
    history: FlossingHistory,
    *,
    target: float,
    title: str,
) -> None:
    """Left the spectra, averaged over examples; right the flossed exponents, epoch by epoch."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    k = history.exponents.shape[-1]
    left.axvspan(0.5, k + 0.5, color="0.92", label="flossed")
    for spectrum, words, colour in ((before, "before", "0.45"), (after, "after", "tab:blue")):
        index = range(1, spectrum.settings.n_exponents + 1)
        n_examples = spectrum.exponents.shape[0]
        error = (spectrum.standard_error**2).sum(dim=0).sqrt() / n_examples  # of the mean of independent examples
        left.errorbar(index, spectrum.exponents.mean(dim=0), error, fmt=".", color=colour, label=words)
    right.plot(range(1, len(history.loss) + 1), history.exponents.mean(dim=1), color="tab:blue", lw=0.8)
    for axes in (left, right):
        axes.axhline(target, color="black", lw=0.8, ls="--")
        axes.set_ylabel("Lyapunov exponent (1/step)")
    left.set(xlabel="index", title=title)
    right.set(xlabel="flossing epoch", title=f"the leading {k}")
    left.legend(frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)
