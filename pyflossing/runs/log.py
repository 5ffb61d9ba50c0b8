"""The log of a run: one line of JSON for each update. It holds no times, so a resumed run's log is the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy.typing as npt

from pyflossing.training.records import EpochRecord, Record


def log_line(record: Record) -> str:
    """The line of one update, with its newline."""
    if isinstance(record, EpochRecord):
        return _epoch_line(record.epoch, record.loss, record.accuracy, record.gradient_norms)
    return _flossing_line(record.epoch, record.flossing_epoch, record.loss, record.exponents.tolist())


def log_of_series(series: Mapping[str, npt.NDArray[Any]]) -> Iterator[str]:
    """The lines of all updates of a history (``History.series``), flossing before the epoch that it precedes."""
    norms = {name.split("/")[1]: array.tolist() for name, array in series.items() if name.startswith("gradient_norms/")}
    places = series["flossing_epochs"].tolist()
    losses, exponents = series["flossing_loss"].tolist(), series["spectra"].tolist()
    flossed = 0
    for e, (loss, accuracy) in enumerate(zip(series["loss"].tolist(), series["accuracy"].tolist(), strict=True)):
        while flossed < len(places) and places[flossed][0] <= e + 1:
            yield _flossing_line(places[flossed][0], places[flossed][1], losses[flossed], exponents[flossed])
            flossed += 1
        yield _epoch_line(e + 1, loss, accuracy, {name: values[e] for name, values in norms.items()})
    for i in range(flossed, len(places)):
        yield _flossing_line(places[i][0], places[i][1], losses[i], exponents[i])


def _epoch_line(epoch: int, loss: float, accuracy: float, norms: Mapping[str, float]) -> str:
    return json.dumps({"epoch": epoch, "loss": loss, "accuracy": accuracy, "gradient_norms": dict(norms)}) + "\n"


def _flossing_line(epoch: int, flossing_epoch: int, loss: float, exponents: list[float]) -> str:
    line = {"epoch": epoch, "flossing_epoch": flossing_epoch, "loss": loss, "exponents": exponents}
    return json.dumps(line) + "\n"
