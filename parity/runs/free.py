"""Both free runs: the schedule bit for bit, and every number until the divergence horizon."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from parity.bridge.connection import JuliaConnection
from parity.checks.cases import PARAMETERS
from parity.checks.comparators import Estimate
from parity.checks.free_running import Series
from parity.checks.model import Array, Check, Level, Provenance
from parity.runs.ours import Collected, OurRun
from pyflossing.config import TrainingConfig
from pyflossing.training.result import TrainingResult


def schedule_check(config: TrainingConfig, ours: OurRun, theirs: Collected, result: TrainingResult | None) -> Check:
    """Which epochs floss, and in which order the trials come."""
    n_epochs, places = len(theirs.rows()["loss"]), theirs.flossing_epochs()

    def found() -> dict[str, Array]:
        if result is None:
            return {"flossing epochs": ours.flossing_epochs, "trial order": ours.orders}
        return {
            "flossing epochs": result.flossing_epochs[: len(places)].reshape(-1, 2),
            "trial order": result.trial_order[:n_epochs],
        }

    def of_julia(julia: JuliaConnection) -> dict[str, Any]:
        orders: Any = julia.call("trial_order", config.n_epochs, config.trials.batch_size)
        return {"flossing epochs": places, "trial order": orders[:, :n_epochs].T}

    return Check("run/schedule", "which epochs floss, order of the trials", Provenance.OUR_JULIA, found, of_julia)


def free_check(
    judged: Mapping[str, Any], theirs: Mapping[str, Array], final: Mapping[str, Array], result: TrainingResult | None
) -> Iterator[Check]:
    """Losses, accuracies, spectra, gradient norms and final parameters; the recorded ones where there are any.

    Args:
        judged: ours up to the horizon, by name.
        theirs: Julia's, one row per epoch.
        final: Julia's parameters after the last epoch, by name, or none.
        result: what was recorded.
    """
    if not judged:
        return
    ours = dict(judged) if result is None else _recorded(judged, result)
    of_julia = dict(theirs) | {f"final {name}": values for name, values in final.items()}
    yield Check(
        "run/free",
        f"{'free' if result is None else 'recorded'} run: losses, accuracies, spectra, gradient norms, parameters",
        Provenance.OUR_JULIA,
        lambda: {name: values for name, values in ours.items() if name in of_julia},
        lambda _julia: {name: of_julia[name] for name in ours if name in of_julia},
        level=Level.TRAINING,
    )


def _recorded(judged: Mapping[str, Any], result: TrainingResult) -> dict[str, Any]:
    """The recorded numbers, with the bounds of a run of today."""
    numbers = {
        "loss": result.loss,
        "accuracy": result.accuracy,
        "flossing loss": result.flossing_loss,
        "spectra": result.spectra,
    }
    numbers |= {f"norm {name}": result.gradient_norms[name] for name in PARAMETERS}
    numbers |= {f"final {name}": result.final[name] for name in PARAMETERS}
    return {name: _with(values, numbers[name]) for name, values in judged.items()}


def _with(judged: Series | Estimate, numbers: Array) -> Series | Estimate:
    if isinstance(judged, Series):
        rows = numbers[: len(judged.estimate.values)]
        return replace(judged, estimate=replace(judged.estimate, values=rows))
    return replace(judged, values=numbers)
