"""A run in its folder under the eyes of a user: progress, signals, and what is said at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import typer

from pyflossing._support.arguments import require_seconds
from pyflossing._support.signals import stop_on_signals
from pyflossing._support.words import shown
from pyflossing.cli.errors import IN_USE, INTERRUPTED, Refused, complain
from pyflossing.cli.output import write_json, write_line, write_table

if TYPE_CHECKING:
    from pyflossing.config.settings import TrainingConfig
    from pyflossing.training.result import TrainingResult


def run_in_folder(
    folder: Path,
    config: TrainingConfig,
    *,
    must_resume: bool = False,
    checkpoint_every: float = 30.0,
    device: str = "cpu",
    quiet: bool = False,
    as_json: bool = False,
) -> None:
    """Run a configuration in a folder, or go on with the run of the same settings that it holds.

    Args:
        folder: of the run.
        config: all settings.
        must_resume: refuse to start a run.
        checkpoint_every: seconds between checkpoints; 0 for one after every update.
        device: where to compute, as in ``pyflossing.train``.
        quiet: say nothing but errors.
        as_json: say one JSON document at the end, and nothing else.

    Raises:
        Refused: the folder holds a run of other settings, or none where one must be resumed, or is in use.
        typer.Exit: a signal stopped the run.
        ValueError, OSError, NonFiniteError: as in ``pyflossing.runs.train_or_resume``.
    """
    require_seconds("--checkpoint-every", checkpoint_every)
    with stop_on_signals(ends_process=True) as stop:
        from pyflossing._support.devices import device_in_words, require_device  # noqa: PLC0415 - these need torch
        from pyflossing.cli.progress import shown  # noqa: PLC0415
        from pyflossing.gradients.kernel.library import path_in_use  # noqa: PLC0415
        from pyflossing.runs.folder import FolderInUse, Stopped, train_or_resume  # noqa: PLC0415
        from pyflossing.training.sizes import require_training_fits  # noqa: PLC0415

        talks, again = not (quiet or as_json), resume_command(folder, device)
        place = require_device("--device", device)
        line = _opening_line(
            folder, config, must_resume, "" if place.type == "cpu" else f" on {device_in_words(place)}"
        )
        require_training_fits(config)
        path_in_use(place)
        if talks:
            write_line(line)
        progress: Any = shown(config) if talks else nullcontext(None)
        try:
            with _interruptions(again), progress as show:
                result = train_or_resume(
                    folder, config, [show] if show else [], checkpoint_every=checkpoint_every, stop=stop, device=place
                )
        except FolderInUse as error:
            raise Refused(str(error), IN_USE) from None
        except Stopped as stopped:
            if as_json:
                write_json({"folder": str(folder), "state": "stopped", "epoch": stopped.epoch})
            complain(f"stopped after epoch {stopped.epoch} of {config.n_epochs}; to resume: {again}")
            raise typer.Exit(stop.exit_code) from None
    if as_json:
        write_json(summary(folder, result))
    elif talks:
        write_table(_closing_rows(folder, result))


def resume_command(folder: Path, device: str = "cpu") -> str:
    """The command that goes on with a folder's run, on a device."""
    return f"pyflossing train {quote(str(folder))}" + on_device(device)


def on_device(device: str) -> str:
    """What a command needs to compute there again."""
    return "" if device == "cpu" else f" --device {device}"


def summary(folder: Path, result: TrainingResult) -> dict[str, Any]:
    """What ``--json`` says of a finished run."""
    return {"folder": str(folder), "state": "finished"} | numbers(result)


def numbers(result: TrainingResult) -> dict[str, Any]:
    """The last loss and accuracy, the spectra at the first and last flossing epoch (1/step), and the provenance."""
    spectra = result.spectra
    return {
        "epochs": len(result.loss),
        "loss": float(result.loss[-1]) if len(result.loss) else None,
        "accuracy": float(result.accuracy[-1]) if len(result.accuracy) else None,
        "flossing_epochs": len(result.flossing_loss),
        "first_spectrum": spectra[0].tolist() if len(spectra) else None,
        "last_spectrum": spectra[-1].tolist() if len(spectra) else None,
        "elapsed_seconds": result.elapsed_seconds,
        "versions": dict(result.versions),
    }


def differences(ours: TrainingConfig, theirs: TrainingConfig) -> list[str]:
    """The settings in which a folder's run differs from what was asked for, in words."""
    wanted, held = _flat(ours.to_dict()), _flat(theirs.to_dict())
    names = dict.fromkeys([*held, *wanted])
    return [
        f"{name} is {shown(held.get(name, 'absent'))} there, {shown(wanted.get(name, 'absent'))} here"
        for name in names
        if held.get(name) != wanted.get(name)
    ]


def _opening_line(folder: Path, config: TrainingConfig, must_resume: bool, where: str) -> str:
    from pyflossing.cli.run_folder import RunFolder  # noqa: PLC0415

    if folder.exists() and not folder.is_dir():
        raise Refused(f"{folder} is a file; a run needs a folder (--output)")
    found = RunFolder.read(folder)
    if found is None:
        if must_resume:
            raise Refused(f"{folder} holds no run to be resumed")
        _require_free(folder)
        return f"new run in {folder}{where}"
    different = differences(config, found.config)
    if different:
        raise Refused(f"{folder} holds a run of other settings ({'; '.join(different)}): choose another with --output")
    if found.state == "finished":
        return f"{folder} holds the finished run of these settings"
    return f"resuming the run in {folder} from its last checkpoint{where}"


def _require_free(folder: Path) -> None:
    from pyflossing._support.folders import require_no_others  # noqa: PLC0415

    try:
        require_no_others(folder, "run")
    except FileExistsError as error:
        raise Refused(f"{error} (--output)") from None


@contextmanager
def _interruptions(again: str) -> Iterator[None]:
    """A second signal ends the run at once."""
    try:
        yield
    except KeyboardInterrupt:
        complain(f"ended at once; what came after the last checkpoint is lost. To go on: {again}")
        raise typer.Exit(INTERRUPTED) from None


def _closing_rows(folder: Path, result: TrainingResult) -> dict[str, str]:
    rows = {}
    if len(result.loss):
        rows["finished"] = f"{len(result.loss)} epochs, loss {result.loss[-1]:.4f}, accuracy {result.accuracy[-1]:.3f}"
    if len(result.spectra):
        rows["first exponent"] = f"{result.spectra[0, 0]:+.4f} to {result.spectra[-1, 0]:+.4f} per step"
    rows["computing time"] = f"{result.elapsed_seconds:.1f} s"
    rows["result"] = str(folder / "result.npz")
    return rows


def _flat(settings: dict[str, Any], path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= _flat(value, f"{path}{name}.") if isinstance(value, dict) else {path + name: value}
    return found
