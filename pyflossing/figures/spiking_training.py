"""Our own figure: a spiking network learns the delayed XOR, with and without flossing. Nothing of it is published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pyflossing.config import Flossing, FlossingSchedule, Seeds, TrainingConfig, Trials
from pyflossing.config_toml import to_dict
from pyflossing.figures.provenance import write_report
from pyflossing.figures.training_panels import (
    CONDITIONS,
    accuracies,
    draw_panels,
    final_accuracy,
    geometric_mean,
    gradient_norms,
)
from pyflossing.figures.training_runs import Progress, grid, run_jobs
from pyflossing.networks import SpikingNetwork
from pyflossing.results import versions
from pyflossing.tasks import DelayedXOR

NAME = "spiking-training"
DELAYS = (1, 2, 3, 4, 5, 6)
SEEDS = (1, 2, 3)
SHOWN = 4
"""The delay of panels A and C."""


def config(condition: str, delay: int, seed: int, n_epochs: int = 1200) -> TrainingConfig:
    """One run: the settings of docs/spiking_constants.md; flossing before training and before epochs 100 and 200."""
    schedule = FlossingSchedule(100, 50, 100, 2) if condition == "flossing" else FlossingSchedule.none()
    return TrainingConfig(
        network=SpikingNetwork.per_step(),
        task=DelayedXOR(delay),
        trials=Trials(16, max(100, 30 * delay)),
        flossing=Flossing(n_exponents=32, schedule=schedule),
        seeds=Seeds(initial_state=seed, inputs=1, network=seed, frame=seed),
        n_epochs=n_epochs,
    )


def make(
    folder: Path,
    *,
    delays: Sequence[int] = DELAYS,
    seeds: Sequence[int] = SEEDS,
    conditions: Sequence[str] = ("no_flossing", "flossing"),
    n_epochs: int = 1200,
    progress: Progress = lambda _: None,
    only_kept: bool = False,
) -> Path:
    """Compute, draw, and write spiking-training.png and spiking-training.json; arguments as for binary-training.

    Raises:
        ValueError: a run's file is damaged, or a setting out of range.
    """
    jobs = grid(lambda c, d, s: config(c, d, s, n_epochs), conditions, delays, seeds)
    results = run_jobs(jobs, folder / f"{NAME}-runs", progress, only_kept=only_kept)
    picture = folder / f"{NAME}.png"
    draw_panels(results, SHOWN, {}).savefig(picture, dpi=110)
    summary = {
        f"{condition}, d = {2 * delay}": {
            "runs": len(accuracies(results, condition, delay)),
            "accuracy of the last 100 epochs (%)": final_accuracy(accuracies(results, condition, delay)),
            "gradient norm": geometric_mean(gradient_norms(results, condition, delay)),
        }
        for condition in CONDITIONS
        for delay in sorted({job.delay for job in results if job.condition == condition})
    }
    report = {
        "figure": "ours: spiking network, constants per step",
        "panels": summary,
        "run": [job.name for job in results],
        "not run": [job.name for job in jobs if job not in results],
        "settings of the last run": to_dict(jobs[-1].config) if jobs else {},
        "seconds": round(sum(result.elapsed_seconds for result in results.values()), 1),
        "versions": versions(),
    }
    write_report(folder / f"{NAME}.json", report)
    return picture
