"""``pyflossing sweep``."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pyflossing._support.arguments import require_path
from pyflossing._support.signals import Stop, stop_on_signals
from pyflossing.cli.errors import FAILED, IN_USE, INTERRUPTED, Refused, complain, guarded, require_file
from pyflossing.cli.output import write_json, write_line
from pyflossing.cli.running import on_device
from pyflossing.cli.train import Device, Every, Json, Quiet

if TYPE_CHECKING:
    from pyflossing.sweeps import SweepResults

EXAMPLES = """\b
Examples:
  pyflossing sweep delays.toml            in sweeps/delays, on all cores
  pyflossing sweep delays.toml --jobs 2 -o second
  pyflossing sweep delays.toml --scheduler tcp://127.0.0.1:8786
  pyflossing sweep sweeps/delays          goes on with that sweep
  pyflossing sweep delays.toml --list     names the jobs, and runs none
"""

Jobs = Annotated[
    int,
    typer.Option("--jobs", "-j", metavar="N", help="Processes on this machine; -1 is one for each core.", min=-1),
]
Scheduler = Annotated[
    str | None,
    typer.Option("--scheduler", metavar="ADDRESS", help="A Dask scheduler (tcp://, tls://) whose workers are used."),
]


@guarded
def sweep(
    declared: Annotated[
        Path, typer.Argument(metavar="SWEEP", help="A TOML file (see docs/sweeps.md); or a sweep's folder.")
    ],
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FOLDER", help="The sweep's folder [default: sweeps/NAME].")
    ] = None,
    jobs: Jobs = -1,
    scheduler: Scheduler = None,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Jobs that differ in seeds alone in lock-step: equal to rounding only.")
    ] = False,
    only_list: Annotated[bool, typer.Option("--list", help="List the jobs as they stand, and run none.")] = False,
    checkpoint_every: Every = 30.0,
    device: Device = "cpu",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Run a grid of runs, each in a folder of its own, over the cores of this machine or a Dask cluster.

    What the folder holds already is not run again, and what was stopped goes on from its checkpoint. A job that fails
    does not end the others. Ctrl-C saves checkpoints and says how to resume; a second one ends at once.
    """
    is_folder = declared.is_dir()
    chosen = None if output is None else require_path("--output", output)
    if is_folder and chosen is not None and chosen.resolve() != declared.resolve():
        raise Refused(f"--output {output} is not allowed with the folder of a sweep: it goes on where it is")
    if is_folder and not (declared / "sweep.toml").is_file():
        raise Refused(f"{declared} holds no sweep: there is no sweep.toml in it")
    folder = declared if is_folder else chosen or Path("sweeps") / declared.stem
    file = declared / "sweep.toml" if is_folder else require_file(declared, "a TOML file of a sweep")

    talks = not (quiet or as_json)
    # a signal that comes before run_sweep heeds them itself, or after it, breaks nothing off
    with stop_on_signals(ends_process=True) as stop:
        from pyflossing.cli.sweep_progress import shown  # noqa: PLC0415 - these need torch
        from pyflossing.sweeps import Sweep, SweepResults, run_sweep  # noqa: PLC0415

        grid = Sweep.load(file)
        if only_list:
            _say(SweepResults.of(grid, folder), folder, quiet=quiet, as_json=as_json)
            return
        if talks:
            write_line(f"{len(grid.jobs)} jobs in {folder}")
        with _ends_told(folder, stop, device, as_json=as_json), shown(talks) as show:
            results = run_sweep(
                grid,
                folder,
                n_jobs=jobs,
                scheduler=scheduler,
                ensemble=ensemble,
                progress=show,
                stop=stop,
                checkpoint_every=checkpoint_every,
                device=device,
            )
    _say(results, folder, quiet=quiet, as_json=as_json)


@contextmanager
def sweep_errors(how_to_go_on: str, stop: Stop | None = None) -> Iterator[None]:
    """What only sweeps raise, as refusals with exit codes."""
    from pyflossing.runs.folder import FolderInUse  # noqa: PLC0415 - these need torch
    from pyflossing.sweeps import JobsFailed, SweepStopped  # noqa: PLC0415

    try:
        yield
    except FolderInUse as error:
        raise Refused(str(error), IN_USE) from None
    except JobsFailed as error:
        raise Refused(str(error), FAILED) from error
    except SweepStopped as error:
        done = f"{_done(error.results)} of {len(error.results.reports)} jobs done"
        number = error.signal or (stop and stop.signal) or signal.SIGINT
        raise Refused(f"stopped with {done}; {how_to_go_on}", 128 + number) from error
    except KeyboardInterrupt:
        lost = "ended at once; what came after the last checkpoints is lost"
        raise Refused(f"{lost}; {how_to_go_on}", INTERRUPTED) from None


@contextmanager
def _ends_told(folder: Path, stop: Stop, device: str, *, as_json: bool) -> Iterator[None]:
    try:
        with sweep_errors(f"to resume: pyflossing sweep {quote(str(folder))}{on_device(device)}", stop):
            yield
    except Refused as error:
        results = getattr(error.__cause__, "results", None)
        if results is not None and as_json:
            write_json(_document(results, folder))
        complain(str(error))
        raise typer.Exit(error.code) from None


def _say(results: SweepResults, folder: Path, *, quiet: bool, as_json: bool) -> None:
    if as_json:
        write_json(_document(results, folder))
    elif not quiet:
        write_line(results.table())


def _document(results: SweepResults, folder: Path) -> dict[str, Any]:
    """What ``--json`` says: sweep.json's content, with the folder and the state of the whole."""
    states = {report.state for report in results.reports.values()}
    state = "finished" if states == {"done"} else "stopped" if states & {"waiting", "stopped"} else "failed"
    return {"folder": str(folder), "state": state, **results.to_dict()}


def _done(results: SweepResults) -> int:
    return sum(report.state == "done" for report in results.reports.values())
