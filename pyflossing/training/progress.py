"""Progress of a run, as text: one line that is rewritten on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from pyflossing.training.records import EpochRecord, Record

_SECONDS_BETWEEN_UPDATES = 0.2
_PLAIN_LINES = 20


class Progress:
    """A callback for ``train`` that tells epoch, loss, accuracy and first exponent.

    Args:
        n_epochs: training epochs of the run.
        stream: standard output by default, looked up when the run starts.
    """

    def __init__(self, n_epochs: int, stream: TextIO | None = None) -> None:
        self._n_epochs = n_epochs
        self._stream = stream or sys.stdout
        self._live = self._stream.isatty()
        self._shown = 0.0
        self._every = max(1, n_epochs // _PLAIN_LINES)
        self._exponent = ""

    def __call__(self, record: Record) -> None:
        """Show the record, if it is time to."""
        if isinstance(record, EpochRecord):
            last = record.epoch == self._n_epochs
            text = (
                f"epoch {record.epoch}/{self._n_epochs}  loss {record.loss:.4f}  accuracy {record.accuracy:.3f}"
                + self._exponent
            )
            self._show(text, plain=last or record.epoch == 1 or record.epoch % self._every == 0, end=last)
        else:
            self._exponent = f"  first exponent {record.exponents[0]:+.4f}"
            text = f"epoch {record.epoch}: flossing epoch {record.flossing_epoch}  loss {record.loss:.3e}"
            self._show(text + self._exponent, plain=record.flossing_epoch == 1, end=False)

    def _show(self, text: str, *, plain: bool, end: bool) -> None:
        if not self._live:
            if plain:
                self._stream.write(text + "\n")
                self._stream.flush()
            return
        now = time.monotonic()
        if end or now - self._shown >= _SECONDS_BETWEEN_UPDATES:
            self._shown = now
            self._stream.write("\r\x1b[2K" + text + ("\n" if end else ""))
            self._stream.flush()
