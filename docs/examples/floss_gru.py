"""Floss a GRU: move its 16 leading Lyapunov exponents to 0 along noisy inputs, before any training.

    python docs/examples/floss_gru.py spectrum.png

It prints the exponents before and after, on inputs that flossing did not see, and draws both spectra. All others come
along, because the nearest way to zero is an update gate that keeps the state as it is: floss for a few epochs only, or
together with a task, if that is not wanted.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from spectrum_figure import save_figure
from torch import nn

from pyflossing import LyapunovSpectrum, floss, lyapunov_spectrum

N_UNITS, N_FLOSSED, N_EXAMPLES, N_STEPS, TARGET = 64, 16, 4, 40, 0.0


def sample(seed: int, n_steps: int = N_STEPS) -> tuple[torch.Tensor, torch.Tensor]:
    """State at the start, and inputs, time first: white noise."""
    random = torch.Generator().manual_seed(seed)
    return torch.zeros(N_EXAMPLES, N_UNITS), torch.randn(n_steps, N_EXAMPLES, 1, generator=random)


def main(path: Path, n_epochs: int) -> tuple[LyapunovSpectrum, LyapunovSpectrum]:
    """The spectra before and after, on inputs of their own."""
    torch.manual_seed(1)
    gru = nn.GRUCell(1, N_UNITS)

    def spectrum() -> LyapunovSpectrum:
        return lyapunov_spectrum(gru, *sample(seed=10**6, n_steps=200))

    before = spectrum()
    optimiser = torch.optim.Adam(gru.parameters(), lr=0.01)
    history = floss(gru, gru.parameters(), optimiser, sample, n_epochs, N_FLOSSED, target=TARGET)
    after = spectrum()
    for name, found in (("before", before), ("after", after)):
        leading = found.exponents[:, :N_FLOSSED]
        print(f"{name:6}: mean distance from the target {(leading - TARGET).abs().mean():.3f} per step; {found}")
    save_figure(path, before, after, history, target=TARGET, title="GRU, 64 units")
    return before, after


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, nargs="?", default=Path("floss_gru.png"), help="of the figure")
    parser.add_argument("--epochs", type=int, default=60)
    arguments = parser.parse_args()
    main(arguments.path, arguments.epochs)
