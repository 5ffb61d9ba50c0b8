"""Lyapunov spectra of a built-in network along several trials of its task."""

from __future__ import annotations

import warnings
from dataclasses import replace

import torch

from pyflossing._support.alignment import aligned
from pyflossing._support.arguments import require_integer
from pyflossing._support.memory import require_memory
from pyflossing._support.threads import suitable_threads
from pyflossing.config.settings import TrainingConfig
from pyflossing.model.loss import Parameters, drive
from pyflossing.model.tasks import trial_bytes
from pyflossing.modules.logs import RoundingWarning
from pyflossing.modules.lyapunov import lyapunov_spectrum
from pyflossing.modules.result import LyapunovSpectrum
from pyflossing.modules.steps import network_step


def spectra_bytes(n_units: int, k: int, n_steps: int, n_trials: int) -> int:
    """A lower bound of what the spectra of trials take: the trials, their drive, and the frames of one step."""
    return trial_bytes(n_trials, n_steps) + 4 * n_trials * n_units * (n_steps + k)


def trial_spectra(
    config: TrainingConfig, parameters: Parameters, k: int, n_steps: int, n_trials: int, input_seed: int | None = None
) -> LyapunovSpectrum:
    """The leading k exponents (1/step) along each of B trials, (B, k), with the hand-written Jacobian.

    Directions that a surrogate lets collapse count with what rounding leaves of them, as in the original.

    Trial j starts from column j of the initial state, modulo the columns that there are.

    Args:
        config: of the network and its task.
        parameters: of the network, such as ``initial_parameters(config)``; where they lie is where it is computed.
        k: number of exponents.
        n_steps: of each trial; of these the first 10 + ceil(n_steps / 10) do not count.
        n_trials: B.
        input_seed: of the trials; by default that of the first flossing epoch, whose trial is then the first one of
            a single trial.

    Raises:
        ValueError: a number out of range, or of which memory cannot hold the trials.
        NonFiniteError: a state or direction that is not finite.
    """
    require_memory(
        "the states of all trials",
        {
            "n_units": config.n_units,
            "k": require_integer("k", k, 1),
            "n_steps": require_integer("n_steps", n_steps, 1),
            "n_trials": require_integer("n_trials", n_trials, 1),
        },
        spectra_bytes,
    )
    seed = config.input_seed(2) if input_seed is None else input_seed
    data = config.draw_trials(n_trials, n_steps, seed)
    p = parameters._replace(J=aligned(parameters.J))
    with torch.no_grad(), suitable_threads(config.n_units):
        u = drive(p.ws, p.b, torch.from_numpy(data.inputs).to(p.J))
        columns = torch.arange(n_trials, device=p.x0.device) % p.x0.shape[1]
        step, action = network_step(config.network, p.J)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RoundingWarning)
            found = lyapunov_spectrum(
                step, p.x0[:, columns].mT.contiguous(), u.mT.contiguous(), k, frame=config.seeds.frame,
                batch_first=False, jacobian_action=action,
            )  # fmt: skip
    return replace(found, exponents=found.logs.mean(dim=0))
