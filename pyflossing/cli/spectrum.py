"""``pyflossing spectrum``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pyflossing._support.arguments import FieldError, require_integer
from pyflossing._support.memory import require_memory
from pyflossing.cli.errors import guarded
from pyflossing.cli.output import write_json, write_line
from pyflossing.cli.train import Device

if TYPE_CHECKING:
    from pyflossing.config.settings import TrainingConfig

EXAMPLES = """\b
Examples:
  pyflossing spectrum quick.toml --exponents 20 --trials 32
  pyflossing spectrum runs/quick --steps 1000 --json
"""
_EXPONENTS = 10


@guarded
def spectrum(
    source: Annotated[
        Path, typer.Argument(metavar="CONFIG_OR_RESULT", help="A TOML file, a result, or the folder of a run.")
    ],
    exponents: Annotated[
        int | None, typer.Option("--exponents", "-k", metavar="K", help=f"How many; {_EXPONENTS}, or all if fewer.")
    ] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="Steps of each trial; those of training.")] = None,
    trials: Annotated[int | None, typer.Option(metavar="B", help="How many trials; the batch of training.")] = None,
    initial: Annotated[bool, typer.Option("--initial", help="Of a result, the network before the run.")] = False,
    seed: Annotated[int | None, typer.Option(metavar="SEED", help="Of the trials; the first flossing epoch's.")] = None,
    device: Device = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")] = False,
) -> None:
    """Lyapunov exponents (1/step) of a configuration's initial network, or of a result's final one.

    Means over trials of the task, with their standard errors; of a single trial, with that of its time average. The
    first 10 + ceil(N / 10) steps of N do not count.
    """
    import torch  # noqa: PLC0415

    from pyflossing._support.devices import require_device  # noqa: PLC0415
    from pyflossing.cli.sources import load_source  # noqa: PLC0415
    from pyflossing.config.settings import TrainingConfig  # noqa: PLC0415
    from pyflossing.model.loss import Parameters  # noqa: PLC0415
    from pyflossing.training.state import initial_parameters  # noqa: PLC0415
    from pyflossing.training.trial_spectra import trial_spectra  # noqa: PLC0415

    place = require_device("--device", device)
    found = load_source(source)
    config = found if isinstance(found, TrainingConfig) else found.config
    k, n_steps, n_trials = _checked(config, exponents, steps, trials)
    if seed is not None and not require_integer("--seed", seed, -(2**63), 2**63 - 1):
        raise FieldError("--seed", seed, "it must be any 64-bit integer but 0")
    if isinstance(found, TrainingConfig):
        which, parameters = "initial", initial_parameters(config)
    else:
        which = "initial" if initial else "final"
        arrays = found.initial if initial else found.final
        parameters = Parameters(**{name: torch.from_numpy(array) for name, array in arrays.items()})
    parameters = Parameters(*(array.to(place) for array in parameters))
    spectra = trial_spectra(config, parameters, k, n_steps, n_trials, seed)
    each = spectra.exponents.double()
    mean = each.mean(dim=0).tolist()
    errors = (each.std(dim=0) / n_trials**0.5 if n_trials > 1 else spectra.standard_error[0]).tolist()
    if as_json:
        document: dict[str, Any] = {
            "network": which,
            "exponents": mean,
            "standard_errors": errors,
            "standard_errors_over": "trials" if n_trials > 1 else "blocks of time",
            "exponents_per_trial": each.tolist(),
            "n_steps": n_steps,
            "transient": spectra.settings.transient,
            "n_trials": n_trials,
        }
        write_json(document)
        return
    write_line(f"{which} {config.network.kind} network of {config.n_units} units: exponents in 1/step")
    over = "1 trial" if n_trials == 1 else f"{n_trials} trials"
    write_line(f"means over {over} of {n_steps} steps, of which the first {spectra.settings.transient} do not count")
    write_line("index   exponent  standard error")
    for index, (value, error) in enumerate(zip(mean, errors, strict=True), start=1):
        write_line(f"{index:5}  {value:+9.5f}  {error:14.5f}")


def _checked(
    config: TrainingConfig, exponents: int | None, steps: int | None, trials: int | None
) -> tuple[int, int, int]:
    """The numbers to use.

    Raises:
        ValueError: one out of range, naming the option.
    """
    from pyflossing.model.spectrum import require_counted_steps  # noqa: PLC0415
    from pyflossing.training.trial_spectra import spectra_bytes  # noqa: PLC0415

    most = config.most_exponents[0]
    k = min(_EXPONENTS, most) if exponents is None else require_integer("--exponents", exponents, 1, most)
    n_steps = config.trials.n_steps if steps is None else steps
    require_counted_steps("--steps", n_steps)
    n_trials = config.trials.batch_size if trials is None else require_integer("--trials", trials, minimum=1)
    sizes = {"n_units": config.n_units, "--exponents": k, "--steps": n_steps, "--trials": n_trials}
    require_memory("the states of all trials", sizes, spectra_bytes)
    return k, n_steps, n_trials
