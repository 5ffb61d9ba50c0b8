"""What a trained network does in one trial that it has not seen: spikes, membranes, readout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from pyflossing._support.arguments import require_integer
from pyflossing.model.loss import Parameters, drive, trajectory
from pyflossing.model.loss import readout as read
from pyflossing.model.networks import SpikingNetwork
from pyflossing.plots._style import BLACK, BLUE, GREY, VERMILION, axes
from pyflossing.training.result import TrainingResult

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trial:
    """One trial after training.

    Attributes:
        states: (T, n_states).
        readout: r, (T,); the answer is 1 where r >= 0.
        targets: 0 or 1, (T,).
    """

    states: FloatArray
    readout: FloatArray
    targets: FloatArray


def play(result: TrainingResult, trial: int = 1) -> Trial:
    """Run the trained network over a trial of the input seed after the last epoch's.

    Args:
        result: a run.
        trial: which of the batch, from 1; it starts from that column of the initial state.

    Raises:
        ValueError: no such trial.
    """
    config = result.config
    column = require_integer("trial", trial, 1, config.trials.batch_size) - 1
    seed = config.input_seed(config.n_epochs + 1) or 1  # 0 is no seed
    data = config.draw_trials(config.trials.batch_size, config.trials.n_steps, seed)
    parameters = Parameters(**{name: torch.from_numpy(np.asarray(array)) for name, array in result.final.items()})
    inputs = torch.from_numpy(np.ascontiguousarray(data.inputs[:, :, [column]])).to(parameters.J.dtype)
    with torch.no_grad():
        u = drive(parameters.ws, parameters.b, inputs)
        states = trajectory(config.network, parameters.J, parameters.x0[:, [column]], u)
        r = read(config.network, parameters.wr, parameters.offset, states)
    return Trial(
        states[:, :, 0].double().numpy(), r[:, 0, 0].double().numpy(), data.targets[:, 0, column].astype(float)
    )


def raster(result: TrainingResult, ax: Axes | None = None, *, trial: int = 1) -> Axes:
    """Spikes of all units of a spiking network in a trial after training: a mark where mem exceeds the threshold.

    Args:
        result: a run of a spiking network.
        ax: where to draw; None makes a new figure.
        trial: which of a batch that training has not seen, from 1.

    Returns:
        the axes.

    Raises:
        ValueError: another network, or no such trial.
    """
    threshold, membrane = _membranes(result, trial)
    ax = axes(ax)
    steps, units = np.nonzero(membrane > threshold)
    ax.plot(steps + 1, units + 1, "|", color=BLACK, ms=max(1.5, min(6.0, 200 / membrane.shape[1])), mew=0.8)
    ax.set_xlim(0.5, len(membrane) + 0.5)
    ax.set_ylim(0.5, membrane.shape[1] + 0.5)
    ax.set_xlabel("step")
    ax.set_ylabel("unit")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.set_title(f"{(membrane > threshold).mean():.2f} spikes per unit and step", fontsize="small", loc="left")
    return ax


def membranes(result: TrainingResult, ax: Axes | None = None, *, trial: int = 1, n_units: int = 5) -> Axes:
    """Membrane potentials of the first units in a trial after training, one above the other; dots: spikes.

    Every trace has a dotted line at the threshold. Arguments as in :func:`raster`, and

    Args:
        n_units: how many, 1 to N.

    Raises:
        ValueError: another network, no such trial, or a number of units out of range.
    """
    threshold, membrane = _membranes(result, trial)
    n_units = require_integer("n_units", n_units, 1, membrane.shape[1])
    ax = axes(ax)
    shown = membrane[:, :n_units]
    apart = 1.1 * max(float(np.ptp(shown, axis=0).max()), float(np.abs(shown - threshold).max()), 1e-6)
    steps = np.arange(1, len(shown) + 1)
    for i in range(n_units):
        base = -i * apart
        ax.axhline(base + threshold, color=GREY, ls=":", lw=0.8)
        ax.plot(steps, shown[:, i] + base, color=BLUE, lw=0.9)
        spikes = shown[:, i] > threshold
        ax.plot(steps[spikes], shown[spikes, i] + base, ".", color=VERMILION, ms=3)
    ax.set_yticks([threshold - i * apart for i in range(n_units)], [str(i + 1) for i in range(n_units)])
    ax.set_xlim(0.5, len(membrane) + 0.5)
    ax.set_xlabel("step")
    ax.set_ylabel("membrane of unit")
    return ax


def readout(result: TrainingResult, ax: Axes | None = None, *, trial: int = 1, n_steps: int = 60) -> Axes:
    """Target, and the answer's probability 1 / (1 + exp(-r)), in the last steps of a trial after training.

    Args:
        result: a run of any network.
        ax: where to draw; None makes a new figure.
        trial: which of a batch that training has not seen, from 1.
        n_steps: how many steps at most; those that do not count are left out.

    Returns:
        the axes.

    Raises:
        ValueError: no such trial, or n_steps < 1.
    """
    played = play(result, trial)
    n_steps = require_integer("n_steps", n_steps, 1)
    ax = axes(ax)
    first = max(result.config.task.first_scored_step - 1, len(played.targets) - n_steps, 0)
    steps = np.arange(first + 1, len(played.targets) + 1)
    probability = 0.5 * (1 + np.tanh(played.readout[first:] / 2))
    targets = played.targets[first:]
    right = (probability >= 0.5) == (targets > 0.5)
    ax.step(steps, targets, where="mid", color=GREY, lw=1.2, label="target")
    marks: dict[str, Any] = {"ls": "none", "ms": 4}
    ax.plot(steps[right], probability[right], "o", color=BLUE, label="right answer", **marks)
    ax.plot(steps[~right], probability[~right], "x", color=VERMILION, label="wrong answer", **marks)
    ax.axhline(0.5, color=GREY, ls=":", lw=1)
    ax.set_ylim(-0.05, 1.05)
    ax.set_xlabel("step")
    ax.set_ylabel("predicted P(target = 1)")
    ax.legend(frameon=False, fontsize="x-small", loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
    return ax


def _membranes(result: TrainingResult, trial: int) -> tuple[float, FloatArray]:
    """Threshold and membranes (T, N)."""
    network = result.config.network
    if not isinstance(network, SpikingNetwork):
        raise ValueError(f"network = {network!r} is not allowed: only a spiking network has spikes and membranes")
    return network.threshold, play(result, trial).states[:, : result.config.n_units]
