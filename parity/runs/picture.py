"""Both languages' runs over each other, and below it their distance, its bound and the divergence horizon."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from parity.checks.free_running import Series
from parity.checks.model import Array
from pyflossing._support.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from parity.runs.compare import RunReport

_PANELS = (("loss", "loss (nats)"), ("accuracy", "accuracy"), ("spectra", "first exponent (1/step)"))
_FEW = 200  # points that are drawn one by one
_JULIA, _PYTHON, _BOUND = "#D55E00", "#0072B2", "#8C8C8C"  # Okabe and Ito


def draw(report: RunReport, path: Path) -> None:
    """Write the picture of a run.

    Raises:
        ImportError: matplotlib is not installed.
        OSError: the file cannot be written.
    """
    from io import BytesIO  # noqa: PLC0415 - with matplotlib, which is an extra

    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(13, 6.5), layout="constrained")
    axes = figure.subplots(2, 3, sharex="col", squeeze=False)
    for column, (name, title) in enumerate(_PANELS):
        _pair(report, name, title, axes[0, column], axes[1, column])
    shown = {label: line for ax in axes.flat for line, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    if shown:  # one for all panels, where it hides no curve
        figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=len(shown), frameon=False)
    figure.suptitle(report.provenance.get("run", ""), fontsize=10)
    content = BytesIO()
    figure.savefig(content, format="png", dpi=120)
    write_atomically(path, content.getvalue())


def _pair(report: RunReport, name: str, title: str, above: Axes, below: Axes) -> None:
    ours, theirs = (_first_column(rows.get(name, np.empty(0))) for rows in (report.ours, report.theirs))
    n = min(len(ours), len(theirs))
    above.set_ylabel(title)
    below.set_xlabel("flossing epoch" if name == "spectra" else "epoch")
    if n == 0:
        above.text(0.5, 0.5, "no such epochs", transform=above.transAxes, ha="center", color=_BOUND)
        return
    ours, theirs, x = ours[:n], theirs[:n], np.arange(1, n + 1)
    marker = "o" if n == 1 else None
    above.plot(x, theirs, color=_JULIA, lw=3, alpha=0.45, label="Julia", marker=marker)
    above.plot(x, ours, color=_PYTHON, lw=1, label="Python", marker=marker)
    distance = np.abs(ours - theirs)
    below.plot(
        x,
        np.where(distance > 0, distance, np.nan),
        color=_PYTHON,
        lw=0.7,
        marker="." if n <= _FEW else None,
        label="distance",
    )
    below.set_ylabel("distance")
    below.set_yscale("log")
    judged = report.judged.get(name)
    if isinstance(judged, Series) and len(judged.estimate.values):
        rows = len(judged.estimate.values)
        bound = np.broadcast_to(judged.estimate.bound, judged.estimate.values.shape)
        below.plot(x[:rows], _first_column(bound)[:rows], color=_BOUND, lw=1.5, ls="--", marker="_", label="bound")
        if rows < n:
            what = "divergence horizon" if rows < judged.computed else "end of what was measured"
            for ax in (above, below):
                ax.axvline(rows + 0.5, color=_BOUND, lw=1, ls=":", label=what if ax is below else None)


def _first_column(rows: Array) -> Array:
    return rows[:, 0] if rows.ndim == 2 and rows.shape[1] else rows.reshape(-1)
