"""The runs of a training figure: a sweep whose file, NAME.toml, lies beside this module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from pyflossing.figures.provenance import write_report
from pyflossing.sweeps import Job, Sweep, SweepProgress, SweepResults, run_sweep
from pyflossing.training.result import TrainingResult, versions

Progress = Callable[[str], None]
Results = Sequence[tuple[Job, TrainingResult]]


def declared(name: str) -> Sweep:
    """The sweep of a figure."""
    return Sweep.from_toml(files("pyflossing.figures").joinpath(f"{name}.toml").read_text(encoding="utf-8"))


def part(
    sweep: Sweep,
    delays: Sequence[int] | None = None,
    seeds: Sequence[int] | None = None,
    conditions: Sequence[str] | None = None,
    n_epochs: int | None = None,
) -> Sweep:
    """Some delays, seeds and conditions of a sweep, None for all of them; and another number of epochs.

    Raises:
        ValueError: what the sweep does not have, or a number of epochs out of range.
    """
    points = {name: values for name, values in (("delay", delays), ("seed", seeds)) if values is not None}
    chosen = sweep.select(conditions, **points)
    return chosen if n_epochs is None else replace(chosen, base=replace(chosen.base, n_epochs=n_epochs))


def results_of(
    sweep: Sweep, folder: Path, *, n_jobs: int, scheduler: str | None, progress: Progress, only_kept: bool
) -> Results:
    """The jobs' results: from the folder where it holds them, computed otherwise (see ``run_sweep``).

    Args:
        sweep: what to run.
        folder: made if there is none.
        n_jobs, scheduler: where, as in ``run_sweep``.
        progress: called with a line whenever a run ends.
        only_kept: leave out what the folder does not hold, and compute nothing.

    Raises:
        ValueError: a run is damaged or of other settings; and what ``run_sweep`` raises.
    """
    if only_kept:
        return list(SweepResults.of(sweep, folder))

    def tell(reached: SweepProgress) -> None:
        if reached.event:
            progress(f"{reached.event} ({reached})")

    return list(run_sweep(sweep, folder, n_jobs=n_jobs, scheduler=scheduler, progress=tell))


def write_figure(
    folder: Path, name: str, figure: Figure, sweep: Sweep, results: Results, report: dict[str, Any]
) -> Path:
    """Write NAME.png, and NAME.json: the report, and with it what was run, what was not, seconds and versions.

    Returns:
        the picture's path.
    """
    picture = folder / f"{name}.png"
    figure.savefig(picture, dpi=110)
    ran = {job.name for job, _ in results}
    provenance = {
        "run": [job.name for job, _ in results],
        "not run": [job.name for job in sweep.jobs if job.name not in ran],
        "seconds": round(sum(result.elapsed_seconds for _, result in results), 1),
        "versions": versions(),
    }
    write_report(folder / f"{name}.json", report | provenance)
    return picture
