"""How far a sweep is: a line that is rewritten on a terminal below what happened, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from rich.console import Console
from rich.live import Live
from rich.text import Text

from pyflossing.cli.errors import forget_stdout
from pyflossing.cli.output import on_terminal, write_line
from pyflossing.sweeps import SweepProgress

_SECONDS_BETWEEN_LINES = 60.0


@contextmanager
def shown(wanted: bool) -> Iterator[Callable[[SweepProgress], None]]:
    """A callback that shows a sweep's progress on standard output; losing the reader does not end the sweep."""
    console = Console(highlight=False)
    rewrites = wanted and on_terminal() and not console.is_dumb_terminal
    live = Live(console=console, auto_refresh=False) if rewrites else None
    last = -math.inf
    lost = not wanted

    def show(progress: SweepProgress) -> None:
        nonlocal last, lost
        if lost:
            return
        try:
            if live:
                if progress.event:
                    console.print(Text(progress.event))
                live.update(Text(str(progress), no_wrap=True, overflow="ellipsis"), refresh=True)
            elif progress.event or time.monotonic() - last >= _SECONDS_BETWEEN_LINES:
                last = time.monotonic()
                write_line(f"{progress.event} ({progress})" if progress.event else str(progress))
        except OSError:  # a closed pipe, or a terminal that is gone
            lost = True
            forget_stdout()

    context: AbstractContextManager[object] = live if live else nullcontext()
    with context:
        yield show
