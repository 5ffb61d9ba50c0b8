"""Figure 2: a binary network learns the delayed XOR, with and without flossing; the runs are binary-training.toml's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyflossing.figures.published import at, published
from pyflossing.figures.training_panels import (
    accuracies,
    best_accuracy,
    delays_of,
    draw_panels,
    geometric_mean,
    gradient_norms,
)
from pyflossing.figures.training_sweeps import Progress, Results, declared, part, results_of, write_figure
from pyflossing.sweeps import Sweep

NAME = "binary-training"
SHOWN = 9
"""The delay of panels A and C: d = 18."""

INFERRED = {
    "readout": "weights of spread 1/N: the published gradients fall within 50 epochs as those of such weights do, and "
    "with it d = 14 is learned without flossing and d = 18 is not, as published; with the README's 1 neither is",
    "sharpness": "0.8: without flossing gradients fall as the published ones over epochs and delays for 0.8 to 1; at 1 "
    "no way of flossing that was tried learns d = 18",
    "flossing": "8 exponents, 100 epochs before training, then one whenever the gradient of the initial state leaves "
    "1e-6 to 0.03, at most every tenth epoch; gradients clipped to 0.03. Ours: 'adaptive' is not described in print",
    "trials": "16 of 300 steps, the README call's; the published accuracies are multiples of 1/4992",
    "accuracy": "A: ours is the training batch's, which no epoch has seen before; theirs is a test accuracy. "
    "B: best epoch of each run, since the published 'final' accuracy at chance is 52.7 %, the best of 3001 draws",
    "gradients": "ours are norms; the published ones without flossing are smaller by about sqrt(N B), as if they were "
    "root mean squares",
}
_PUBLISHED = {
    "A": "binary_training_accuracy",
    "B": "binary_final_accuracy_vs_delay",
    "C": "binary_gradient_norm_vs_epoch",
    "D": "binary_gradient_norm_vs_delay",
}
_CONDITION = {"no_flossing": "no_flossing", "flossing": "adaptive_flossing"}


def distances(results: Results) -> dict[str, dict[str, float]]:
    """Distances from the published panels, for what was run: accuracies in %, gradients in factors of ten."""
    found: dict[str, dict[str, float]] = {name: {} for name in _PUBLISHED}
    for condition, theirs in _CONDITION.items():
        accuracy, norms = accuracies(results, condition, SHOWN), gradient_norms(results, condition, SHOWN)
        if len(accuracy):
            epochs = np.arange(1, accuracy.shape[1] + 1)
            median = at(published(_PUBLISHED["A"])[theirs]["median"], epochs)
            found["A"][condition] = float(np.abs(np.median(accuracy, axis=0) - median).mean())
            gradient = at(published(_PUBLISHED["C"])[theirs]["median"], epochs)
            with np.errstate(divide="ignore"):
                found["C"][condition] = float(np.abs(np.log10(np.median(norms, axis=0)) - np.log10(gradient)).mean())
        for delay in delays_of(results, condition):
            name = f"{condition}, d = {2 * delay}"
            best = at(published(_PUBLISHED["B"])[theirs], 2 * delay)
            found["B"][name] = abs(best_accuracy(accuracies(results, condition, delay)) - float(best))
            norm = at(published(_PUBLISHED["D"])[theirs], 2 * delay)
            ours = geometric_mean(gradient_norms(results, condition, delay))
            found["D"][name] = abs(float(np.log10(ours) - np.log10(norm)))
    return found


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
    """Compute, draw, and write binary-training.png and binary-training.json; runs go to a folder beside them.

    The whole figure is 90 runs, an hour on one core; a call after one that was cut short goes on from its checkpoints.

    Args:
        folder: made if there is none.
        sweep: other runs than binary-training.toml's, with the same conditions and axes.
        delays: half of d; all of the sweep's by default.
        seeds: of the realizations; the published ones are 1 to 9.
        conditions: "no_flossing", "flossing".
        n_epochs: of training.
        n_jobs, scheduler: where to compute, as in :func:`pyflossing.sweeps.run_sweep`.
        progress: called with a line whenever a run ends.
        only_kept: draw the runs that the folder holds, and compute nothing.

    Returns:
        the picture's path.

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
    curves: dict[str, dict[str, Any]] = {
        panel: {
            condition: curve.get("median", curve)
            for condition, theirs in _CONDITION.items()
            for curve in (published(figure)[theirs],)
        }
        for panel, figure in _PUBLISHED.items()
    }
    report = {
        "figure": "2A to 2D, binary network",
        "inferred": INFERRED,
        "settings of the first run": chosen.jobs[0].config.to_dict(),
        "distances (%; powers of ten)": distances(results),
    }
    return write_figure(folder, NAME, draw_panels(results, SHOWN, curves), chosen, results, report)
