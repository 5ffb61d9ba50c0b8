"""What flossing does for torch's own cells: the delayed copy, learnt by RNN, GRU and LSTM with and without it.

    python docs/flossing_cells.py OUT.jsonl

Each line of the file is one run: cell, delay, seed, how it was flossed, and what came out. Runs that the file already
holds are skipped, so an interrupted study goes on where it stopped. A run takes 5 to 15 s on one core.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pyflossing import floss, lyapunov_spectrum

N_UNITS, N_TRIALS, N_EPOCHS = 64, 16, 1000
FLOSSING_EPOCHS, FLOSSING_STEPS, FLOSSING_TRIALS = 20, 40, 2
LEARNING_RATE, FLOSSING_RATE = 2e-3, 1e-2

# when: before training, or also after a quarter and a half of it; adam: of its own, or shared with training
SETTINGS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "target 0, k = 1": {"k": 1, "target": 0.0},
    "target 0, k = 16": {"k": 16, "target": 0.0},
    "target 0, k = 64": {"k": 64, "target": 0.0},
    "target -0.05, k = 16": {"k": 16, "target": -0.05},
    "target 0, k = 16, three times": {"k": 16, "target": 0.0, "again": True},
    "target 0, k = 16, three times, shared Adam": {"k": 16, "target": 0.0, "again": True, "shared": True},
    "target 0, k = 16, three times, rate 0.002": {"k": 16, "target": 0.0, "again": True, "rate": LEARNING_RATE},
}
GRID = list(itertools.product(("RNN", "GRU", "LSTM"), (20, 40), (1, 2), SETTINGS))


class Network(nn.Module):
    """A layer and a readout."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.layer = getattr(nn, kind)(1, N_UNITS)
        self.readout = nn.Linear(N_UNITS, 1)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.readout(self.layer(x)[0])
        return found


def trials(delay: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random signs (T, B, 1), and the same later by the delay."""
    signs = torch.randint(0, 2, (3 * delay, N_TRIALS, 1), generator=random).float() * 2 - 1
    return signs, signs.roll(delay, 0)


def loss_of(network: Network, delay: int, random: torch.Generator) -> Tensor:
    """Mean squared error where the output is known; 1 is chance."""
    x, y = trials(delay, random)
    return functional.mse_loss(network(x)[delay:], y[delay:])


def start(kind: str, random: torch.Generator) -> tuple[Any, Tensor]:
    zeros = torch.zeros(1, FLOSSING_TRIALS, N_UNITS)
    x = torch.randint(0, 2, (FLOSSING_STEPS, FLOSSING_TRIALS, 1), generator=random).float() * 2 - 1
    return ((zeros, zeros) if kind == "LSTM" else zeros), x


def run(kind: str, delay: int, seed: int, name: str) -> dict[str, Any]:
    """One run of the grid."""
    begin = time.process_time()
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    network = Network(kind)
    adam = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    settings = SETTINGS[name]

    def exponents() -> list[float]:
        found = lyapunov_spectrum(network.layer, *start(kind, torch.Generator().manual_seed(1)), 16, transient=10)
        return [round(float(found.exponents[:, i].mean()), 3) for i in (0, 3, 15)]

    def flossed() -> None:
        if settings is None:
            return
        own = torch.optim.Adam(network.layer.parameters(), lr=settings.get("rate", FLOSSING_RATE))
        floss(
            network.layer, network.layer.parameters(), adam if settings.get("shared") else own,
            lambda _: start(kind, random), FLOSSING_EPOCHS, settings["k"], target=settings["target"], transient=10,
            clip_norm=1.0,
        )  # fmt: skip

    spectra = [exponents()]
    flossed()
    spectra.append(exponents())
    losses = []
    for epoch in range(N_EPOCHS):
        if settings and settings.get("again") and epoch in (N_EPOCHS // 4, N_EPOCHS // 2):
            flossed()
        loss = loss_of(network, delay, random)
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        adam.step()
        losses.append(loss.item())
    spectra.append(exponents())
    tail = losses[-N_EPOCHS // 10 :]
    return {
        "cell": kind, "delay": delay, "seed": seed, "flossing": name, "loss": round(sum(tail) / len(tail), 4),
        "exponents 1, 4, 16 at the start, when training begins, and at the end": spectra,
        "seconds": round(time.process_time() - begin, 1),
    }  # fmt: skip


def main(path: Path) -> None:
    """Run what is missing."""
    done = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    seen = {(row["cell"], row["delay"], row["seed"], row["flossing"]) for row in done}
    for settings in sorted(GRID, key=lambda one: one[2]):
        if settings not in seen:
            line = json.dumps(run(*settings))
            with path.open("a") as file:
                file.write(line + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
