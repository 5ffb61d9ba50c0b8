"""How far a run is: a bar and a line that are rewritten on a terminal, plain lines now and then elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pyflossing.cli.errors import forget_stdout
from pyflossing.cli.output import on_terminal, write_line
from pyflossing.config.schedule import FlossingSchedule
from pyflossing.config.settings import TrainingConfig
from pyflossing.training.records import EpochRecord, FlossingRecord, Record

_SECONDS_BETWEEN_PICTURES = 0.1
_SECONDS_BETWEEN_LINES = 10.0
_WIDEST_BAR = 60


class Meter:
    """The numbers that progress shows, from the records of a run.

    Args:
        config: all settings.
        clock: seconds.
    """

    def __init__(self, config: TrainingConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self.config = config
        self._clock, self._now = clock, clock()
        self._seconds = {EpochRecord: 0.0, FlossingRecord: 0.0}
        self._counts = {EpochRecord: 0, FlossingRecord: 0}
        self._loss_accuracy: tuple[float, float] | None = None
        self._exponent: float | None = None
        self.place = (1, 0)

    def update(self, record: Record) -> None:
        """Take a record in."""
        now = self._clock()
        self._seconds[type(record)] += now - self._now
        self._counts[type(record)] += 1
        self._now = now
        if isinstance(record, EpochRecord):
            self._loss_accuracy, self.place = (record.loss, record.accuracy), (record.epoch + 1, 0)
        else:
            self._exponent, self.place = float(record.exponents[0]), (record.epoch, record.flossing_epoch)

    @property
    def ended(self) -> bool:
        """Whether the last epoch is over."""
        return self.place[0] > self.config.n_epochs

    def remaining(self) -> tuple[int, int]:
        """Training and flossing epochs to come, without episodes that cannot be foreseen: an adaptive schedule's."""
        epoch, done = self.place
        return max(0, self.config.n_epochs - epoch + 1), _planned(self.config, epoch) - done

    def seconds_left(self) -> float | None:
        """Estimated from the mean times so far; None where there is none yet."""
        left = 0.0
        for kind, n in zip((EpochRecord, FlossingRecord), self.remaining(), strict=True):
            if n > 0 and not self._counts[kind]:
                return None
            left += n * self._seconds[kind] / max(1, self._counts[kind])
        return left

    def fraction(self) -> float:
        """Share of the updates that are done, 0 to 1."""
        total = self.config.n_epochs + _planned(self.config, 1)
        return 1 - sum(self.remaining()) / max(1, total)

    def words(self) -> list[Word]:
        """The line's parts in order."""
        epoch, flossing_epoch = self.place
        flosses = bool(flossing_epoch)
        head = f"epoch {epoch if flosses else epoch - 1}/{self.config.n_epochs}"
        words = [Word(0, f"{head}, flossing {flossing_epoch}" if flosses else head)]
        if self._loss_accuracy is not None:
            loss, accuracy = self._loss_accuracy
            words += [Word(3, f"loss {loss:.4f}"), Word(2, f"accuracy {accuracy:.3f}")]
        if self._exponent is not None:
            text = f"exponent {self._exponent:+.4f}"
            words.append(Word(1 if flosses else 4, f"first {text}", text))
        left = self.seconds_left()
        if left is not None and not self.ended:
            words.append(Word(1, f"{clock_time(left)} left"))
        return words


class Word(NamedTuple):
    """A part of the line.

    Attributes:
        rank: where room is short, high ranks go first.
        text: as it is.
        short: as it is where room is short.
    """

    rank: int
    text: str
    short: str = ""


class _Picture:
    """The meter as a bar, and a line below it, for a terminal of any width."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width - 1  # a line as wide as the terminal would wrap on some
        fraction = self._meter.fraction()
        percent = f" {100 * fraction:3.0f} %"
        bar = Table.grid()
        bar.add_row(
            ProgressBar(1.0, fraction, min(_WIDEST_BAR, max(1, width - len(percent))), style="bright_black",
                        complete_style="cyan", finished_style="green"),
            Text(percent, no_wrap=True, overflow="crop"),
        )  # fmt: skip
        yield bar
        yield Text(fitted(self._meter.words(), width)[:width], no_wrap=True)


def fitted(words: list[Word], width: int) -> str:
    """As many of the words as fit, in their order."""
    if len(_joined(words)) > width:
        words = [word._replace(text=word.short or word.text) for word in words]
    while len(words) > 1 and len(_joined(words)) > width:
        worst = max(words, key=lambda word: word.rank)
        words = [word for word in words if word is not worst]
    return _joined(words)


def clock_time(seconds: float) -> str:
    """Hours, minutes and seconds: 1:02:03."""
    whole = math.ceil(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


@contextmanager
def shown(config: TrainingConfig) -> Iterator[Callable[[Record], None]]:
    """A callback that shows the run's progress on standard output; losing the reader does not end the run."""
    meter = Meter(config)
    console = Console(highlight=False)
    live = Live(console=console, auto_refresh=False) if on_terminal() and not console.is_dumb_terminal else None
    last = -math.inf
    lost = False

    def show(record: Record) -> None:
        nonlocal last, lost
        meter.update(record)
        now = time.monotonic()
        pause = _SECONDS_BETWEEN_PICTURES if live else _SECONDS_BETWEEN_LINES
        if lost or (now - last < pause and not meter.ended):
            return
        last = now
        try:
            if live:
                live.update(_Picture(meter), refresh=True)
            else:
                write_line(_joined(meter.words()))
        except OSError:  # the reader has gone, or the disk of a log is full
            lost = True
            forget_stdout()

    context: AbstractContextManager[object] = live if live else nullcontext()
    with context:
        yield show


def _planned(config: TrainingConfig, epoch: int) -> int:
    """Flossing epochs from the episode before ``epoch`` on, as far as they can be foreseen."""
    foreseen = config.possible_episodes()
    if not isinstance(config.flossing.schedule, FlossingSchedule):  # all but those before training depend on gradients
        foreseen = [episodes for episodes in foreseen if episodes.epochs[0] == 1]
    return sum(episodes.count(epoch) for episodes in foreseen)


def _joined(words: list[Word]) -> str:
    return "  ".join(word.text for word in words)
