"""The search for the spiking network's constants per step: accuracy on the delayed XOR without flossing.

    python docs/spiking_constants.py OUT.jsonl

Each line of the file is one run: constants, delay, and the mean accuracy and loss of its last 100 epochs. Runs that the
file already holds are skipped, so an interrupted search goes on where it stopped. A run takes 15 to 30 s on one core.
"""

from __future__ import annotations

import itertools
import json
import sys
from dataclasses import replace
from pathlib import Path

from pyflossing import DelayedXOR, Flossing, FlossingSchedule, SpikingNetwork, Surrogate, TrainingConfig, Trials, train

BASE = replace(
    TrainingConfig(),
    flossing=replace(Flossing(), schedule=FlossingSchedule.none()),
    trials=Trials(16, 100),
    n_epochs=1200,
)
# The grid at delay 3, then the best at the longer delays.
GRID = [
    *(
        {"delay": 3, "beta": b, "threshold": t, "gamma": g}
        for b, t, g in itertools.product((0, 0.5), (0.25, 0.5, 1), (0.5, 1, 2))
    ),
    *({"delay": d, "beta": 0, "threshold": t, "gamma": 1} for d in (1, 2, 4, 5, 6) for t in (0.25, 0.5, 1)),
    *({"delay": d, "beta": 0.2, "threshold": 0.5, "gamma": 1} for d in (3, 5)),
]


def run(settings: dict[str, float]) -> dict[str, float]:
    """One run of the grid."""
    surrogate = Surrogate("fast_sigmoid", settings["gamma"])
    network = SpikingNetwork(0.0, settings["beta"], 1.0, settings["threshold"], surrogate, surrogate)
    delay = int(settings["delay"])
    trials = Trials(16, max(100, 30 * delay))
    result = train(replace(BASE, network=network, task=DelayedXOR(delay), trials=trials))
    return {
        **settings,
        "accuracy": round(float(result.accuracy[-100:].mean()), 3),
        "loss": round(float(result.loss[-100:].mean()), 4),
    }


def main(path: Path) -> None:
    """Run what is missing."""
    done = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    seen = [{name: row[name] for name in ("delay", "beta", "threshold", "gamma")} for row in done]
    for settings in GRID:
        if settings not in seen:
            with path.open("a") as file:
                file.write(json.dumps(run(settings)) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
