"""One page that shows a whole run."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pyflossing.model.networks import SpikingNetwork
from pyflossing.plots._style import FEW, GREY
from pyflossing.plots.activity import membranes, raster, readout
from pyflossing.plots.epochs import accuracy, gradient_norm, loss
from pyflossing.plots.exponents import exponents, spectrum
from pyflossing.training.result import TrainingResult

_PANELS: tuple[Callable[[TrainingResult, Axes], Axes], ...] = (
    loss, accuracy, gradient_norm, spectrum, exponents, readout,
)  # fmt: skip
_TRACES = 5
"""Units whose membranes are drawn, where there are as many."""


def overview(result: TrainingResult) -> Figure:
    """A page for a run: loss, accuracy, gradient, exponents, answers; spikes and membranes of a spiking network.

    Triangles on the time axes mark flossing episodes.

    Args:
        result: a run.

    Returns:
        a figure, to be shown, or saved with its ``savefig``.
    """
    spiking = isinstance(result.config.network, SpikingNetwork)
    figure = pyplot.figure(figsize=(12, 9.5 if spiking else 6.6), layout="constrained")
    grid = figure.add_gridspec(3 if spiking else 2, 6)
    panels = [figure.add_subplot(grid[row, column : column + 2]) for row in range(2) for column in (0, 2, 4)]
    if spiking:
        raster(result, figure.add_subplot(grid[2, :3]))
        membranes(result, figure.add_subplot(grid[2, 3:]), n_units=min(_TRACES, result.config.n_units))
    for draw, ax in zip(_PANELS, panels, strict=True):
        draw(result, ax)
    figure.suptitle(_title(result))
    figure.supxlabel(_explained(result, spiking), fontsize="small", color=GREY)
    return figure


def _explained(result: TrainingResult, spiking: bool) -> str:
    """What the panels' signs mean, for the page's foot."""
    parts = []
    if len(result.loss) > FEW:
        parts.append("pale: every epoch, dark: running mean")
    if len(result.spectra):
        parts.append("triangles: flossing episodes")
    parts.append(f"dotted: loss and accuracy of guessing, target{', threshold' if spiking else ''}")
    parts.append(f"answers{', spikes and membranes' if spiking else ''}: one new trial, with the trained weights")
    return " · ".join(parts)


def _title(result: TrainingResult) -> str:
    config = result.config
    parts = [
        f"{config.network.kind} network of {config.n_units} units",
        f"{type(config.task).__name__}, delay {config.task.delay}",
        f"training epochs: {len(result.loss)}",
        f"flossing epochs: {len(result.spectra)}, exponents: {config.flossing.n_exponents}",
    ]
    if len(result.accuracy):
        parts.append(f"accuracy {100 * result.accuracy[-1]:.1f} %")
    return " · ".join(parts)
