"""The log of a run: one line of JSON for each update. It holds no times, so a resumed run's log is the same bytes."""

from __future__ import annotations

import io
import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy.typing as npt

from pyflossing._support.arguments import FieldError
from pyflossing._support.errors import DamagedFileError
from pyflossing._support.files import opened
from pyflossing._support.json import parsed
from pyflossing._support.schema import Items, Number, Table
from pyflossing._support.words import plain
from pyflossing.config.settings import TrainingConfig
from pyflossing.training.declared import PARAMETERS
from pyflossing.training.records import EpochRecord, Record

_TAIL = 16384  # bytes; a line holds up to hundreds of exponents


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


@dataclass
class Log:
    """What a log tells of a run.

    Attributes:
        epoch: training epochs.
        flossing_epochs: flossing epochs.
        last: the last line of a training epoch, empty before it.
        first_exponent: of the last flossing epoch, 1/step; None before it.
    """

    epoch: int = 0
    flossing_epochs: int = 0
    last: dict[str, Any] = field(default_factory=dict)
    first_exponent: float | None = None


def read_log(path: Path, config: TrainingConfig) -> Log:
    """The whole lines of a log; a killed process may have left a piece of one at the end, which does not count.

    Raises:
        FileNotFoundError: there is no log yet.
        OSError: it cannot be read.
        DamagedFileError: a ValueError: a line is none of a run of these settings.
    """
    found, lines = Log(), _declared(config)
    longest = 1000 + 40 * config.flossing.n_exponents
    with opened(path) as stream:
        for number in itertools.count(1):
            line = stream.readline(longest)
            if not line.endswith(b"\n") and len(line) < longest:
                return found
            try:
                _take(found, parsed(line.decode(), infinity=True), lines)
            except ValueError as error:
                raise DamagedFileError(f"{plain(str(path))}, line {number}: {error}") from None
    raise AssertionError("unreachable")


def share_done(path: Path, config: TrainingConfig) -> float:
    """The share of the training epochs, 0 to 1, of which the end of a log tells; 0 if it tells of none."""
    try:
        with opened(path) as log:
            log.seek(max(0, log.seek(0, io.SEEK_END) - _TAIL))
            lines = log.read(_TAIL).splitlines()
        epoch = parsed(lines[-2].decode())["epoch"]  # the last line may not be whole
        Number(int, 0, config.n_epochs).check("epoch", epoch)
    except (OSError, ValueError, LookupError, TypeError):
        return 0.0
    return float(epoch / max(1, config.n_epochs))


def _take(log: Log, line: Any, declared: Mapping[str, Table]) -> None:
    is_epoch = isinstance(line, dict) and "accuracy" in line
    declared["epoch" if is_epoch else "flossing"].check("the line", line)
    if line["epoch"] != log.epoch + 1:
        raise FieldError("epoch", line["epoch"], f"the epoch before it is {log.epoch}")
    if is_epoch:
        log.epoch, log.last = line["epoch"], line
    else:
        log.flossing_epochs += 1
        log.first_exponent = line["exponents"][0]


def _declared(config: TrainingConfig) -> dict[str, Table]:
    """The two kinds of lines."""
    epoch, loss = Number(int, 1, config.n_epochs), Number(float, 0, math.inf)
    norms = Table(dict.fromkeys(PARAMETERS, Number(float, 0, math.inf)))
    exponents = Items(Number(float), config.flossing.n_exponents)
    return {
        "epoch": Table({"epoch": epoch, "loss": loss, "accuracy": Number(float, 0, 1), "gradient_norms": norms}),
        "flossing": Table({"epoch": epoch, "flossing_epoch": Number(int, 1), "loss": loss, "exponents": exponents}),
    }
