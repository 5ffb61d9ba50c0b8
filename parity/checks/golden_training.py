"""Checks of whole training runs against those recorded from the authors' Julia code (tanh network, Float32)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from parity.checks.free_running import judged_like, simulation, totals
from parity.checks.golden_files import ORIGINAL_NAMES, has, load, runs
from parity.checks.model import Arrays, Check, Level, Provenance, recorded
from pyflossing.config import TrainingConfig

# The README's whole call takes minutes: its first flossing epochs are enough for a report.
_MAX_RECORDS = {"c00_readme_full": 8}


def checks() -> Iterator[Check]:
    """Schedule and numbers of every recorded run."""
    for run in runs():
        for title, quantity, ours, theirs, level in (
            ("schedule", "which epochs floss, order of the trials", _schedule, _recorded_schedule, Level.EXACT),
            ("run", "losses, accuracies, spectra, final parameters", _run, _recorded_run, Level.TRAINING),
        ):
            yield Check(
                f"training/golden/{run}/{title}",
                f"tanh network: {quantity}",
                Provenance.AUTHORS_JULIA,
                partial(ours, run),
                recorded(partial(theirs, run)),
                level=level,
                needs_julia=False,
            )


def config(run: str) -> TrainingConfig:
    """The settings of a recorded run."""
    return TrainingConfig.from_legacy(*runs()[run].values(), network="tanh")


def _schedule(run: str) -> Arrays:
    ours, _ = simulation(config(run), _MAX_RECORDS.get(run))
    both = {"flossing epochs": ours.flossing_epochs, "trial order": ours.trial_order}
    return {name: values for name, values in both.items() if len(values)}


def _recorded_schedule(run: str) -> Arrays:
    ours = _schedule(run)
    where, order = (load(f"{run}/{name}").T.astype(np.int64) for name in ("floss_where", "train_order"))
    whole = run not in _MAX_RECORDS
    both = {"flossing epochs": where, "trial order": order}
    return {name: both[name] if whole else both[name][: len(values)] for name, values in ours.items()}


def _run(run: str) -> Arrays:
    _, judged = simulation(config(run), _MAX_RECORDS.get(run))
    return {name: values for name, values in judged.items() if not name.startswith("norm")}


def _recorded_run(run: str) -> Arrays:
    stored: dict[str, Any] = {
        "loss": load(f"{run}/train_loss").astype(np.float64),
        "accuracy": load(f"{run}/train_acc"),
        "flossing loss": load(f"{run}/floss_loss").astype(np.float64),
        "spectra": load(f"{run}/floss_ls").T.astype(np.float64),
    }
    missing = totals(config(run))["flossing epochs"] - len(stored["spectra"])
    if missing > 0:  # spectra that were left out of the file
        stored["spectra"] = np.pad(stored["spectra"], ((0, missing), (0, 0)), constant_values=np.nan)
    if has(f"{run}/final_J"):
        stored |= {f"final {name}": load(f"{run}/final_{original}") for name, original in ORIGINAL_NAMES.items()}
    return judged_like(_run(run), stored)
