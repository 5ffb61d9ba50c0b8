"""The arrays of a run as its files must hold them: names, types, shapes and ranges, from the configuration."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from pyflossing._support.arguments import FieldError
from pyflossing._support.schema import Array
from pyflossing.config.schedule import FlossingSchedule
from pyflossing.config.settings import TrainingConfig

PARAMETERS = ("ws", "J", "wr", "b", "offset", "x0")
_MOST_STEPS = 2**63 - 1


def parameter_arrays(config: TrainingConfig) -> dict[str, Array]:
    """Of the parameters, by name."""
    n = config.n_units
    shapes: dict[str, tuple[int, ...]] = {
        "ws": (n, 1),
        "J": (n, n),
        "wr": (1, n),
        "b": (n,),
        "offset": (1,),
        "x0": (config.n_states, config.trials.batch_size),
    }
    # infinity is where the last update, or a draw, may have led; it stops the next epoch
    return {name: Array(config.dtype, shape, -math.inf, math.inf) for name, shape in shapes.items()}


def series_arrays(config: TrainingConfig, epochs: int) -> dict[str, Array]:
    """Of the numbers of the first training epochs and the flossing epochs before them (``History.series``)."""
    k, batch = config.flossing.n_exponents, config.trials.batch_size
    series = {
        "loss": Array("float64", (epochs,), 0, math.inf),
        "accuracy": Array("float64", (epochs,), 0, 1),
        "spectra": Array("float64", ("n", k) if k else (0, 0)),
        "flossing_loss": Array("float64", ("n",), 0, math.inf),
        "flossing_epochs": Array("int64", ("n", 2), 1, _MOST_STEPS),
        "trial_order": Array("int64", (epochs, batch), 1, batch),
    }
    norms = {f"gradient_norms/{name}": Array("float64", (epochs,), 0, math.inf) for name in PARAMETERS}
    return series | norms


def require_episodes(config: TrainingConfig, places: npt.NDArray[Any], *, ended: bool) -> None:
    """Refuse flossing epochs that no run of these settings has.

    Args:
        config: all settings.
        places: (n, 2), training epoch and number within the episode.
        ended: whether the run is at its end.

    Raises:
        ValueError: naming the first of them that does not fit.
    """
    schedule, name = config.flossing.schedule, "flossing_epochs"
    foreseen = config.possible_episodes()
    most = sum(episodes.count() for episodes in foreseen)
    if not isinstance(schedule, FlossingSchedule):
        most = (schedule.before + schedule.n_episodes * schedule.episode) if foreseen else 0
    if len(places) > most or (ended and isinstance(schedule, FlossingSchedule) and len(places) < most):
        raise FieldError(
            name, len(places), f"a run with these settings has {most} {'at the end' if ended else 'at most'}"
        )
    if not len(places):
        return
    epochs, numbers = places[:, 0], places[:, 1]
    begins = numbers == 1
    goes_on = (np.diff(epochs) == 0) & (np.diff(numbers) == 1)
    fits = np.append(begins[:1], goes_on | (begins[1:] & (np.diff(epochs) > 0)))
    lengths = np.where(epochs == 1, schedule.before, schedule.episode)
    fits &= (epochs <= config.n_epochs) & (numbers <= lengths)
    if isinstance(schedule, FlossingSchedule):
        fits &= (epochs == 1) | (epochs % schedule.period == 0)
    if not fits.all():
        raise FieldError(name, places[~fits][0].tolist(), "a run with these settings has none there")
