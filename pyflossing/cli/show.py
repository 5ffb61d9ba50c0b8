"""``pyflossing show``."""

from __future__ import annotations

import io
import math
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pyflossing._support.files import write_atomically
from pyflossing.cli.errors import Refused, guarded, require_file
from pyflossing.cli.output import write_json, write_line, write_table

if TYPE_CHECKING:
    from pyflossing.cli.run_folder import RunFolder
    from pyflossing.config.settings import TrainingConfig
    from pyflossing.training.result import TrainingResult

EXAMPLES = """\b
Examples:
  pyflossing show runs/quick
  pyflossing show runs/quick/result.npz --plot quick.png
"""
_SHOWN = 5
"""How many exponents of a spectrum are shown, besides the last."""


@guarded
def show(
    source: Annotated[Path, typer.Argument(metavar="RESULT_OR_FOLDER", help="A result, or the folder of a run.")],
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw the run on a page: png, pdf, svg...")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")] = False,
) -> None:
    """What a result, or a run in its folder, is: settings, how far it is, numbers, versions.

    A run that has not ended is shown from its log; its picture, from its last checkpoint.
    """
    from pyflossing.cli.run_folder import RunFolder  # noqa: PLC0415 - these need torch
    from pyflossing.runs.folder import result_so_far  # noqa: PLC0415
    from pyflossing.training.result import TrainingResult  # noqa: PLC0415

    run = RunFolder.read(source) if source.is_dir() else None
    if run is None and (source / "sweep.toml").is_file():
        raise Refused(f"{source} is the folder of a sweep: pyflossing sweep {quote(str(source))} --list shows its jobs")
    if source.is_dir() and run is None:
        raise Refused(f"{source} holds no run: there is no config.toml in it")
    result: TrainingResult | None
    if run is None:
        result = TrainingResult.load(require_file(source, "a result"))
    else:
        result = result_so_far(source) if run.state == "finished" or plot is not None else None
    config = run.config if run is not None else result.config  # type: ignore[union-attr]
    if plot is not None:
        if result is None:
            raise Refused(f"{source} has no checkpoint yet, so there is nothing to draw")
        _draw(result, plot)
    ended = run is None or run.state == "finished"
    if as_json:
        write_json(_document(config, run, result if ended else None))
        return
    write_table(_settings(config))
    write_line()
    if run is not None and not ended:
        write_table(_unfinished(run))
    elif result is not None:
        write_table(_finished(result))
    if plot is not None:
        write_line(f"{'picture':15} {plot}")


def _settings(config: TrainingConfig) -> dict[str, str]:
    flossing, schedule = config.flossing, config.flossing.schedule
    weights, adam, trials = config.weights, config.optimiser, config.trials
    values = {name: getattr(schedule, name) for name in type(schedule).LIMITS}
    flossed = f"{flossing.n_exponents} exponents of {flossing.n_steps} steps to {flossing.target:g} per step"
    if flossing.n_trials > 1:
        flossed += f", over {flossing.n_trials} trials"
    if flossing.clip_norm < math.inf:
        flossed += f", gradients clipped to {flossing.clip_norm:g}"
    if flossing.learning_rate is not None:
        flossed += f", learning rate {flossing.learning_rate:g}"
    when = ", ".join(f"{name} {value}" for name, value in values.items())
    seeds = ", ".join(f"{name} {getattr(config.seeds, name)}" for name in type(config.seeds).LIMITS)
    return {
        "network": f"{config.n_units} units, {config.dtype}, {config.network!r}",
        "weights": f"{weights.coupling}, gain {weights.gain:g}",
        "task": repr(config.task),
        "training": f"{config.n_epochs} epochs of {trials.batch_size} trials of {trials.n_steps} steps, "
        f"inputs {trials.offset:g} or {trials.offset + trials.amplitude:g}",
        "flossing": flossed if config.flosses else "none",
        **({"schedule": f"{type(schedule).__name__}: {when}"} if config.flosses else {}),
        "Adam": f"learning rate {adam.learning_rate:g}, decays {adam.beta1:g} and {adam.beta2:g}, "
        f"gradients clipped to {adam.clip_norm:g}",
        "seeds": seeds,
    }


def _finished(result: TrainingResult) -> dict[str, str]:
    rows = {"state": f"finished: {len(result.loss)} epochs, {len(result.flossing_loss)} flossing epochs"}
    if len(result.loss):
        rows["loss"] = f"{result.loss[0]:.4f} first, {result.loss[-1]:.4f} last"
        rows["accuracy"] = f"{result.accuracy[0]:.3f} first, {result.accuracy[-1]:.3f} last"
    if len(result.spectra) and result.spectra.shape[1]:
        for name, row in (("first spectrum", result.spectra[0]), ("last spectrum", result.spectra[-1])):
            some = " ".join(f"{value:+.3f}" for value in row[:_SHOWN])
            rows[name] = some + (f" ... {row[-1]:+.3f}" if len(row) > _SHOWN else "") + " per step"
    rows["computing time"] = f"{result.elapsed_seconds:.1f} s"
    rows["computed with"] = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    return rows


def _unfinished(run: RunFolder) -> dict[str, str]:
    from pyflossing.cli.running import resume_command  # noqa: PLC0415

    log, n_epochs = run.log, run.config.n_epochs
    rows = {"state": f"{run.state}: {log.epoch} of {n_epochs} epochs, {log.flossing_epochs} flossing epochs"}
    if log.last:
        rows["loss"] = f"{log.last['loss']:.4f} last"
        rows["accuracy"] = f"{log.last['accuracy']:.3f} last"
    if log.first_exponent is not None:
        rows["first exponent"] = f"{log.first_exponent:+.4f} per step"
    if run.state == "stopped":
        start = "" if run.has_checkpoint else " (from the start: there is no checkpoint)"
        rows["to resume"] = resume_command(run.folder) + start
    return rows


def _document(config: TrainingConfig, run: RunFolder | None, result: TrainingResult | None) -> dict[str, Any]:
    from pyflossing.cli.running import numbers, resume_command  # noqa: PLC0415

    document: dict[str, Any] = {"state": "finished" if run is None else run.state, "config": config.to_dict()}
    if result is not None:
        return document | numbers(result)
    assert run is not None
    document |= {
        "epochs": run.log.epoch,
        "loss": run.log.last.get("loss"),
        "accuracy": run.log.last.get("accuracy"),
        "flossing_epochs": run.log.flossing_epochs,
        "first_exponent": run.log.first_exponent,
        "has_checkpoint": run.has_checkpoint,
    }
    return document | ({"resume": resume_command(run.folder)} if run.state == "stopped" else {})


def _draw(result: TrainingResult, path: Path) -> None:
    """Write the overview page, atomically.

    Raises:
        Refused: the ending is of no format that can be written.
    """
    from pyflossing.plots import overview  # noqa: PLC0415 - matplotlib

    figure = overview(result)
    formats = figure.canvas.get_supported_filetypes()
    kind = path.suffix.removeprefix(".").lower()
    if kind not in formats:
        raise Refused(f"--plot = {path} is not allowed: it must end in one of {', '.join(sorted(formats))}")
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, dpi=110)
    try:
        write_atomically(path, stream.getvalue())
    except OSError as error:  # with the name that was meant, not a temporary one's
        raise type(error)(error.errno, f"cannot write: {error.strerror}", str(path)) from None
