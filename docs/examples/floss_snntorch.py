"""Floss a spiking network of snntorch: move the 16 leading Lyapunov exponents of its synaptic neurons to 0.

    python docs/examples/floss_snntorch.py spectrum.png

The neurons have a current and a membrane each, and spike with snntorch's own surrogate gradient, which defines a
backward pass only: directions are pushed by double backward, found out by itself.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import snntorch
import torch
from snntorch import surrogate
from spectrum_figure import save_figure
from torch import nn

from pyflossing import LyapunovSpectrum, floss, lyapunov_spectrum

N_UNITS, N_FLOSSED, N_EXAMPLES, N_STEPS, TARGET = 32, 16, 4, 40, 0.0
State = tuple[torch.Tensor, torch.Tensor]


class SpikingLayer(nn.Module):
    """Recurrently connected synaptic neurons: one step of (current, membrane)."""

    def __init__(self) -> None:
        super().__init__()
        self.neurons = snntorch.Synaptic(alpha=0.7, beta=0.8, spike_grad=surrogate.sigmoid(slope=2))
        self.recurrent = nn.Linear(N_UNITS, N_UNITS)

    def forward(self, state: State, x: torch.Tensor) -> State:
        spikes = self.neurons.fire(state[1])  # of the membrane so far
        _, current, membrane = self.neurons(self.recurrent(spikes) + x, *state)
        return current, membrane


def sample(seed: int, n_steps: int = N_STEPS) -> tuple[State, torch.Tensor]:
    """State at the start, and inputs, time first: white noise."""
    random = torch.Generator().manual_seed(seed)
    start = torch.zeros(N_EXAMPLES, N_UNITS)
    return (start, start), 0.3 * torch.randn(n_steps, N_EXAMPLES, N_UNITS, generator=random)


def main(path: Path, n_epochs: int) -> tuple[LyapunovSpectrum, LyapunovSpectrum]:
    """The spectra before and after, on inputs of their own."""
    torch.manual_seed(1)
    layer = SpikingLayer()

    def spectrum() -> LyapunovSpectrum:
        return lyapunov_spectrum(layer, *sample(seed=10**6, n_steps=200))

    before = spectrum()
    parameters = list(layer.recurrent.parameters())
    optimiser = torch.optim.Adam(parameters, lr=0.01)
    # through many steps the surrogate's gradients grow large, and the way to the target long: cut them every 5 steps
    history = floss(layer, parameters, optimiser, sample, n_epochs, N_FLOSSED, target=TARGET, truncate=5)
    after = spectrum()
    for name, found in (("before", before), ("after", after)):
        leading = found.exponents[:, :N_FLOSSED]
        print(f"{name:6}: mean distance from the target {(leading - TARGET).abs().mean():.3f} per step; {found}")
    save_figure(path, before, after, history, target=TARGET, title="32 synaptic neurons of snntorch")
    return before, after


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, nargs="?", default=Path("floss_snntorch.png"), help="of the figure")
    parser.add_argument("--epochs", type=int, default=60)
    arguments = parser.parse_args()
    main(arguments.path, arguments.epochs)
