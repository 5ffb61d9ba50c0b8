"""Our own free run, one epoch after the other, beside Julia's."""

from __future__ import annotations

from typing import Any

import numpy as np

from parity.checks.cases import PARAMETERS
from parity.checks.julia_run import JuliaEpoch
from parity.checks.model import Array
from pyflossing._support.errors import NonFiniteError
from pyflossing._support.threads import suitable_threads
from pyflossing.config import TrainingConfig
from pyflossing.training import loop
from pyflossing.training.records import EpochRecord, Record
from pyflossing.training.state import initial_state


class OurRun:
    """A run of ours, from the settings alone.

    Attributes:
        initial: parameters before the first epoch, by name.
        frame: the exponents' initial frame.
        stopped: why it ended early, or "".
        last: the latest epoch, or None.
    """

    def __init__(self, config: TrainingConfig) -> None:
        self._config = config
        self._state = initial_state(config)
        self.initial: dict[str, Array] = {n: p.numpy() for n, p in self._state.parameters._asdict().items()}
        self.frame: Array = self._state.frame.numpy()
        self.stopped = ""
        self.last: Record | None = None
        self._records = loop.run(config, self._state)
        self._series = Collected(config)

    def advance(self) -> None:
        """One epoch more, flossing or training."""
        if self.stopped:
            return
        try:
            with suitable_threads(self._config.n_units):
                record = next(self._records, None)
        except NonFiniteError as error:
            self.stopped = f"our run stopped: {error}"
            return
        self.last = record
        if record is not None:
            self._series.add_ours(record)

    @property
    def rows(self) -> dict[str, Array]:
        """Numbers by name, one row per epoch, as in ``parity.checks.free_running.Run``."""
        return self._series.rows()

    @property
    def order(self) -> Array:
        """Of the latest training epoch's trials, from 1; empty before the first."""
        return self.orders[-1] if self._series.orders else np.empty(0, np.int64)

    @property
    def orders(self) -> Array:
        """Of all trials so far, (epochs, B)."""
        return np.array(self._series.orders, dtype=np.int64).reshape(-1, self._config.trials.batch_size)

    @property
    def flossing_epochs(self) -> Array:
        """(n, 2), training epoch and number before it, from 1."""
        return self._series.flossing_epochs()


class Collected:
    """Numbers of a run, of either side, as they come in."""

    def __init__(self, config: TrainingConfig) -> None:
        self._k = config.flossing.n_exponents
        self.orders: list[Array] = []
        self._places: list[tuple[int, int]] = []
        names = ("loss", "accuracy", *(f"norm {name}" for name in PARAMETERS), "flossing loss", "spectra")
        self._lists: dict[str, list[Any]] = {name: [] for name in names}

    def add_ours(self, record: Record) -> None:
        """An epoch of ours."""
        if isinstance(record, EpochRecord):
            self.orders.append(record.trial_order)
            numbers = {"loss": record.loss, "accuracy": record.accuracy}
            self._append(numbers | {f"norm {name}": norm for name, norm in record.gradient_norms.items()})
        else:
            self._places.append((record.epoch, record.flossing_epoch))
            self._append({"flossing loss": record.loss, "spectra": record.exponents})

    def add_theirs(self, of: JuliaEpoch) -> None:
        """An epoch of Julia's."""
        answer = of.answer
        if of.flossing_epoch:
            self._places.append((of.epoch, of.flossing_epoch))
            exponents = np.asarray(answer["flossing exponents"]).astype(np.float64)
            self._append({"flossing loss": answer["flossing loss"], "spectra": exponents})
        else:
            norms = {f"norm {n}": np.linalg.norm(np.ravel(g).astype(np.float64)) for n, g in of.gradients.items()}
            self._append({"loss": answer["loss"], "accuracy": answer["accuracy"], **norms})

    def rows(self) -> dict[str, Array]:
        """By name, one row per epoch."""
        found = {name: np.array(values, dtype=np.float64) for name, values in self._lists.items()}
        return found | {"spectra": found["spectra"].reshape(-1, self._k)}

    def flossing_epochs(self) -> Array:
        """(n, 2), training epoch and number before it, from 1."""
        return np.array(self._places, dtype=np.int64).reshape(-1, 2)

    def _append(self, numbers: dict[str, Any]) -> None:
        for name, value in numbers.items():
            self._lists[name].append(value)
