"""``pyflossing figure``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from pyflossing._support.arguments import FieldError, require_path
from pyflossing.cli.errors import INTERRUPTED, Refused, guarded
from pyflossing.cli.output import write_line
from pyflossing.cli.sweep import Scheduler, sweep_errors
from pyflossing.figures import FIGURES, options_of

EXAMPLES = """\b
Examples:
  pyflossing figure binary-flossing --output figures
  pyflossing figure binary-training --delays 5,9 --seeds 1,2
  pyflossing figure binary-training --only-kept
"""


def _names() -> list[str]:
    return list(FIGURES)


@guarded
def figure(
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=_names, help=f"One of {', '.join(FIGURES)}.")],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FOLDER", help="Folder of the picture, its report and its runs.")
    ] = "figures",
    seeds: Annotated[str | None, typer.Option(metavar="1,2,...", help="Seeds of the realizations.")] = None,
    delays: Annotated[str | None, typer.Option(metavar="5,7,...", help="Delays of the task; half of d.")] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="Training epochs of each run.")] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", metavar="N", help="Processes; -1 is one for each core [default: 1].")
    ] = None,
    scheduler: Scheduler = None,
    only_kept: Annotated[
        bool, typer.Option("--only-kept", help="Draw the runs that the folder holds, and compute none.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Draw a figure from its runs, which are computed where the folder does not hold them yet.

    Runs are kept: after Ctrl-C the same command goes on.
    """
    if name not in FIGURES:
        raise FieldError("NAME", name, f"it must be one of {', '.join(FIGURES)}")
    folder = require_path("--output", output)
    if folder.exists() and not folder.is_dir():
        raise FieldError("--output", output, "it is no folder")
    given: dict[str, Any] = {
        "seeds": None if seeds is None else _integers("--seeds", seeds),
        "delays": None if delays is None else _integers("--delays", delays),
        "n_epochs": epochs,
        "n_jobs": jobs,
        "scheduler": scheduler,
        "only_kept": only_kept or None,
    }
    options = {key: value for key, value in given.items() if value is not None}
    odd = options.keys() - options_of(name)
    if odd:
        flags = {"n_epochs": "--epochs", "n_jobs": "--jobs"}
        raise Refused(f"{name} has no {', '.join(sorted(flags.get(key, _flag(key)) for key in odd))}")
    runs = folder / f"{name}-runs"
    if only_kept and not (runs.is_dir() and any(runs.iterdir())):
        raise Refused(f"{folder} holds no runs of {name}: leave out --only-kept to compute them")
    with _ends_told(name):
        picture = FIGURES[name](folder, progress=(lambda _: None) if quiet else write_line, **options)
    if not quiet:
        write_line(f"written: {picture}, {picture.with_suffix('.json')}")


@contextmanager
def _ends_told(name: str) -> Iterator[None]:
    if "n_jobs" in options_of(name):
        with sweep_errors("the same command goes on"):
            yield
        return
    try:
        yield
    except KeyboardInterrupt:
        kept = "runs that have ended are kept, and the same command goes on with the others"
        raise Refused(f"interrupted; {kept}", INTERRUPTED) from None


def _flag(option: str) -> str:
    return "--" + option.replace("_", "-")


def _integers(name: str, text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(word) for word in text.split(","))
    except ValueError:
        raise FieldError(name, text, "it must be whole numbers with commas between them") from None
    if min(numbers) < 1:
        raise FieldError(name, text, "the numbers must be >= 1")
    return numbers
