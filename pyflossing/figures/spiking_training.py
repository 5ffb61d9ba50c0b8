"""Our own figure: a spiking network learns the delayed XOR, with and without flossing. Nothing of it is published.

The runs are spiking-training.toml's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pyflossing.figures.training_panels import (
    CONDITIONS,
    accuracies,
    best_accuracy,
    delays_of,
    draw_panels,
    geometric_mean,
    gradient_norms,
)
from pyflossing.figures.training_sweeps import Progress, declared, part, results_of, write_figure
from pyflossing.sweeps import Sweep

NAME = "spiking-training"
SHOWN = 4
"""The delay of panels A and C."""


def make(
    folder: Path,
    *,
    sweep: Sweep | None = None,
    delays: Sequence[int] | None = None,
    seeds: Sequence[int] | None = None,
    conditions: Sequence[str] | None = None,
    n_epochs: int | None = None,
    n_jobs: int = 1,
    scheduler: str | None = None,
    progress: Progress = lambda _: None,
    only_kept: bool = False,
) -> Path:
    """Compute, draw, and write spiking-training.png and spiking-training.json; arguments as for binary-training.

    Raises:
        ValueError: a run is damaged or of other settings, or a setting out of range; and what ``run_sweep`` raises.
    """
    chosen = part(sweep or declared(NAME), delays, seeds, conditions, n_epochs)
    results = results_of(
        chosen,
        folder / f"{NAME}-runs",
        n_jobs=n_jobs,
        scheduler=scheduler,
        progress=progress,
        only_kept=only_kept,
    )
    summary = {
        f"{condition}, d = {2 * delay}": {
            "runs": len(accuracies(results, condition, delay)),
            "best accuracy (%)": best_accuracy(accuracies(results, condition, delay)),
            "gradient norm": geometric_mean(gradient_norms(results, condition, delay)),
        }
        for condition in CONDITIONS
        for delay in delays_of(results, condition)
    }
    report = {
        "figure": "ours: spiking network, constants per step",
        "panels": summary,
        "settings of the last run": chosen.jobs[-1].config.to_dict(),
    }
    return write_figure(folder, NAME, draw_panels(results, SHOWN, {}), chosen, results, report)
