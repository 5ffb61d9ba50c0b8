"""The numbers of a run as they come in, and the result that they make in the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pyflossing.config.settings import TrainingConfig
from pyflossing.model.loss import Parameters
from pyflossing.training.records import EpochRecord, Record
from pyflossing.training.result import TrainingResult, versions


class History:
    """Collects the numbers of a run; not the records, whose parameters would fill the memory."""

    def __init__(self) -> None:
        self._epochs: list[tuple[float, float]] = []
        self._norms: dict[str, list[float]] = {name: [] for name in Parameters._fields}
        self._orders: list[npt.NDArray[np.int64]] = []
        self._flossing: list[tuple[int, int, float]] = []
        self._spectra: list[npt.NDArray[np.float64]] = []

    def __call__(self, record: Record) -> None:
        if isinstance(record, EpochRecord):
            self._epochs.append((record.loss, record.accuracy))
            self._orders.append(record.trial_order)
            for name, norm in record.gradient_norms.items():
                self._norms[name].append(norm)
        else:
            self._flossing.append((record.epoch, record.flossing_epoch, record.loss))
            self._spectra.append(record.exponents)

    def series(self, config: TrainingConfig) -> dict[str, npt.NDArray[Any]]:
        """The numbers so far, under their names in ``TrainingResult.arrays``."""
        epochs = np.array(self._epochs, dtype=np.float64).reshape(-1, 2)
        flossing = np.array(self._flossing, dtype=np.float64).reshape(-1, 3)
        k = config.flossing.n_exponents
        norms = {f"gradient_norms/{name}": np.array(norms, dtype=np.float64) for name, norms in self._norms.items()}
        return norms | {
            "loss": epochs[:, 0].copy(),
            "accuracy": epochs[:, 1].copy(),
            "spectra": np.array(self._spectra, dtype=np.float64).reshape(-1, k) if k else np.empty((0, 0)),
            "flossing_loss": flossing[:, 2].copy(),
            "flossing_epochs": flossing[:, :2].astype(np.int64),
            "trial_order": np.array(self._orders, dtype=np.int64).reshape(-1, config.trials.batch_size),
        }

    @classmethod
    def from_series(cls, series: Mapping[str, npt.NDArray[Any]]) -> History:
        """The history whose numbers so far are these."""
        history = cls()
        history._epochs = list(zip(series["loss"].tolist(), series["accuracy"].tolist(), strict=True))
        history._norms = {name: series[f"gradient_norms/{name}"].tolist() for name in Parameters._fields}
        history._orders = list(series["trial_order"])
        places, losses = series["flossing_epochs"].tolist(), series["flossing_loss"].tolist()
        history._flossing = [(epoch, i, loss) for (epoch, i), loss in zip(places, losses, strict=True)]
        history._spectra = list(series["spectra"])
        return history

    def result(
        self, config: TrainingConfig, initial: Parameters, final: Parameters, elapsed_seconds: float
    ) -> TrainingResult:
        series = self.series(config)
        norms = {name: series.pop(f"gradient_norms/{name}") for name in Parameters._fields}
        return TrainingResult(
            config=config,
            **series,
            gradient_norms=norms,
            initial=_arrays(initial),
            final=_arrays(final),
            versions=versions(final.J.device),
            elapsed_seconds=elapsed_seconds,
        )


def _arrays(parameters: Parameters) -> dict[str, npt.NDArray[np.floating]]:
    return {name: p.detach().cpu().numpy().copy() for name, p in parameters._asdict().items()}
