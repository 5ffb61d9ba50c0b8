"""The search for figure 2's way of flossing at the long delays.

    python docs/figures/search_binary_training.py OUT.jsonl [GROUP ...]

Each line of the file is one run: its group, what its settings change in ``BASE``, the delay, the seed, and what came
out. Runs that the file already holds are skipped, so an interrupted search goes on where it stopped. A run of 3001
epochs takes 11 s on one core; it ends early when it is still at chance after ``HOPELESS`` epochs.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pyflossing import (
    BinaryNetwork,
    DelayedXOR,
    Flossing,
    Surrogate,
    TrainingConfig,
    WeightDistribution,
    train,
)
from pyflossing.sweeps.overrides import Overrides
from pyflossing.training import EpochRecord, Record

CHOOSE, SHOW = (11, 12), tuple(range(1, 10))
LONGER = (*CHOOSE, 13)
HOPELESS, CHANCE = 1200, 0.512
"""Epochs after which a run must have had a mean accuracy over a hundred of them above chance."""

BASE = Overrides(
    replace(
        TrainingConfig(),
        network=BinaryNetwork(Surrogate("sech2", 0.8)),
        weights=replace(WeightDistribution(), readout_spread=0.0125),
        flossing=replace(Flossing(), n_exponents=8, clip_norm=0.03),
        task=DelayedXOR(11),
    )
)


def flossed(before: int, episode: int = 0, n_episodes: int = 0, **more: Any) -> dict[str, Any]:
    """Flossing before training and before every hundredth epoch."""
    return {
        "flossing.schedule.kind": "periodic", "flossing.schedule.before": before, "flossing.schedule.episode": episode,
        "flossing.schedule.period": 100, "flossing.schedule.n_episodes": n_episodes, **more,
    }  # fmt: skip


def adaptive(
    threshold: float, episode: int = 1, cooldown: int = 10, before: int = 100, ceiling: float = 0.03, **more: Any
) -> dict[str, Any]:
    """Flossing whenever the gradient of the initial state leaves a band."""
    return {
        "flossing.schedule.kind": "adaptive", "flossing.schedule.threshold": threshold,
        "flossing.schedule.episode": episode, "flossing.schedule.n_episodes": 300,
        "flossing.schedule.cooldown": cooldown, "flossing.schedule.before": before,
        "flossing.schedule.ceiling": ceiling, **more,
    }  # fmt: skip


def surrogates(jacobian: float, backward: float | None = None) -> dict[str, Any]:
    """Sharpness of the surrogate in the Jacobian, and in the backward pass of training."""
    other = {} if backward is None else {
        "network.backward_surrogate.name": "sech2", "network.backward_surrogate.sharpness": backward,
    }  # fmt: skip
    return {"network.surrogate.sharpness": jacobian, **other}


K = "flossing.n_exponents"
INPUTS = {"trials.amplitude": 1.78, "trials.offset": -0.89}
HALVES = {"trials.amplitude": 1.0, "trials.offset": -0.5}
ENDLESS = {"flossing.schedule.n_episodes": 1000}
WHOLE = {"flossing.n_steps": 90}
TRIALS = {"trials.batch_size": 64, "trials.n_steps": 95}

# group: seeds, delays, epochs, settings
Group = tuple[tuple[int, ...], tuple[int, ...], int, list[dict[str, Any]]]
GROUPS: dict[str, Group] = {
    # gradients at d = 18 in the first epochs, against the published ones
    "gradients": (
        CHOOSE, (9,), 120,
        [
            flossed(before, before, 1, **{K: k, "flossing.clip_norm": clip}, **TRIALS)
            for k in (1, 8, 16)
            for before, clip in ((100, 0.03), (500, 0.03), (500, 1e9))
        ],
    ),
    "first": (
        CHOOSE, (11,), 3001,
        [
            adaptive(1e-6, **TRIALS),
            adaptive(1e-3, before=500, **TRIALS),
            adaptive(1e-3, before=500, **TRIALS) | {K: 16},
            *(flossed(500, 500, 4, **{K: k}, **TRIALS) for k in (8, 16, 32)),
        ],
    ),
    "one seed": (
        (11,), (11,), 3001,
        [
            adaptive(1e-5, before=300, **TRIALS),
            adaptive(1e-6, **INPUTS, **TRIALS),
            adaptive(1e-6, **surrogates(0.65), **TRIALS),
            adaptive(1e-6, **surrogates(0.8, 0.65), **TRIALS),
            adaptive(1e-6, **TRIALS) | {K: 4},
        ],
    ),
    "against explosions": (
        (11,), (11,), 3001,
        [
            flossed(500, 100, 30, **surrogates(0.65), **TRIALS) | {K: 16},
            adaptive(1e-4, 10, 20, ceiling=0.1, **surrogates(0.65), **TRIALS) | {K: 16},
            adaptive(1e-6, **surrogates(0.72), **TRIALS),
            adaptive(1e-6, 10, 20, **surrogates(0.72), **TRIALS) | {K: 16},
        ],
    ),
    "plateau": (
        (11,), (11,), 3001,
        [
            adaptive(1e-3, **TRIALS) | {K: 4},
            adaptive(1e-4, **TRIALS),
            adaptive(1e-4, **surrogates(0.76), **TRIALS) | {K: 4},
            adaptive(1e-3, before=500, ceiling=0.3, **TRIALS),
            adaptive(1e-3, cooldown=30, before=500, **TRIALS),
        ],
    ),
    "inputs and spectra": (
        (11,), (11,), 3001,
        [
            adaptive(1e-6, **TRIALS, **HALVES),
            adaptive(1e-3, cooldown=30, before=500, **TRIALS, **HALVES),
            adaptive(1e-3, cooldown=30, before=500, **TRIALS, **{"flossing.n_trials": 4}),
            adaptive(1e-3, cooldown=30, before=500, **TRIALS, **{"flossing.n_steps": 90}),
            adaptive(1e-3, cooldown=30, before=500, **TRIALS, **{"weights.readout_spread": 0.04}),
            adaptive(1e-6, **TRIALS, **{"trials.amplitude": 0.7, "trials.offset": -0.35}),
        ],
    ),
    "whole trials": (
        CHOOSE, (11,), 3001,
        [
            adaptive(1e-3, before=500, **WHOLE, **TRIALS),
            flossed(500, 30, 10, **WHOLE, **TRIALS),
            adaptive(1e-3, cooldown=30, before=1000, **WHOLE, **TRIALS),
            flossed(500, 100, 4, **TRIALS),
        ],
    ),
    "sharpness": (CHOOSE, (11,), 3001, [adaptive(1e-6, **surrogates(0.5), **TRIALS)]),
    "own rate": (
        CHOOSE, (11,), 3001,
        [adaptive(1e-3, before=500, **WHOLE, **TRIALS) | {"flossing.learning_rate": r} for r in (3e-4, 3e-3)],
    ),
    "sharper": (
        CHOOSE, (11,), 3001,
        [adaptive(1e-3, before=500, **WHOLE, **TRIALS, **surrogates(s)) for s in (0.84, 0.9, 1.0)],
    ),
    "learning rate": (
        CHOOSE, (11,), 3001,
        [adaptive(1e-3, before=500, **WHOLE, **TRIALS) | {"optimiser.learning_rate": r} for r in (5e-4, 2e-3)],
    ),
    "longer": (LONGER, (11, 9, 13), 10_001, [adaptive(1e-3, before=500, **WHOLE, **TRIALS) | ENDLESS]),
    "longer, as in the figure": (LONGER, (11, 9, 13), 10_001, [adaptive(1e-6, **TRIALS) | ENDLESS]),
    # seeds that nothing was chosen on
    "shown, longer": (SHOW, (11, 13, 9), 10_001, [adaptive(1e-6, **TRIALS) | ENDLESS]),
    "shown, longer, no flossing": (SHOW, (11,), 10_001, [flossed(0, **TRIALS)]),
    "shown, longer, more flossing": (
        SHOW, (11,), 10_001, [adaptive(1e-3, before=500, **WHOLE, **TRIALS) | ENDLESS],
    ),
    "shown, longer, trials of the figure": (SHOW, (11,), 10_001, [adaptive(1e-6) | ENDLESS]),
    # the runs of binary-training-64-trials.toml
    "shown": (
        SHOW, (11, 13, 9, 7, 5), 3001,
        [adaptive(1e-3, before=500, **WHOLE, **TRIALS), flossed(0, **WHOLE, **TRIALS)],
    ),
}  # fmt: skip


class Stopped(Exception):
    """A run that is still at chance."""


class Series:
    """What is recorded of a run."""

    def __init__(self, *, may_stop: bool) -> None:
        self.may_stop = may_stop
        self.accuracy: list[float] = []
        self.norm: list[float] = []
        self.exponents: list[tuple[int, list[float]]] = []

    def __call__(self, record: Record) -> None:
        if not isinstance(record, EpochRecord):
            self.exponents.append((record.epoch, record.exponents.tolist()))
            return
        self.accuracy.append(record.accuracy)
        self.norm.append(record.gradient_norms["x0"])
        if record.epoch == HOPELESS and self.may_stop and self.means().max() < CHANCE:
            raise Stopped

    def means(self) -> Any:
        """Of a hundred epochs each."""
        whole = len(self.accuracy) // 100 * 100
        return np.array(self.accuracy[:whole]).reshape(-1, 100).mean(axis=1)


def run(group: str, settings: dict[str, Any], delay: int, seed: int, n_epochs: int) -> dict[str, Any]:
    """One run."""
    begin, series = time.process_time(), Series(may_stop=seed in CHOOSE and n_epochs <= 3001)
    seeds = {f"seeds.{name}": seed for name in ("initial_state", "network", "frame")}
    config = BASE.config({**settings, "task.delay": delay, **seeds, "n_epochs": n_epochs})
    stopped = None
    try:
        train(config, [series])
    except (Stopped, ArithmeticError) as error:
        stopped = type(error).__name__
    outcome = summary(config, series, stopped)
    return {
        "group": group, "settings": settings, "delay": delay, "seed": seed, "n_epochs": n_epochs, **outcome,
        "seconds": round(time.process_time() - begin, 1),
    }  # fmt: skip


def summary(config: TrainingConfig, series: Series, stopped: str | None) -> dict[str, Any]:
    """What came out of a run."""
    batch = config.n_units * config.trials.batch_size
    rms = np.log10(np.array(series.norm) / np.sqrt(batch) + 1e-30)
    episodes = sorted({epoch for epoch, _ in series.exponents})
    last = dict(series.exponents)
    return {
        "epochs": len(series.accuracy), "stopped": stopped,
        "best": round(max(series.accuracy, default=0.0), 4),
        "accuracy of hundreds": series.means().round(3).tolist(),
        "log10 rms dL/dx0 at epochs 1, 11, 51, 91, 101": [
            round(float(rms[i]), 2) for i in (0, 10, 50, 90, 100) if i < len(rms)
        ],
        "its median over hundreds": [
            round(float(np.median(rms[i : i + 100])), 2) for i in range(0, len(rms) - 99, 100)
        ],
        "mean, first and last exponent of the last flossing epoch before training and of later episodes": [
            [round(float(x), 3) for x in (np.mean(last[e]), last[e][0], last[e][-1])] for e in episodes[:6]
        ],
        "flossing epochs": len(series.exponents),
    }  # fmt: skip


def key(row: dict[str, Any]) -> str:
    """What tells runs apart."""
    return json.dumps([row[name] for name in ("settings", "delay", "seed", "n_epochs")], sort_keys=True)


def main(path: Path, groups: list[str]) -> None:
    """Run what is missing."""
    done = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    seen = {key(row) for row in done}
    for group in groups or GROUPS:
        seeds, delays, n_epochs, grid = GROUPS[group]
        for one in ((s, d, n) for s in grid for d in delays for n in seeds):
            settings, delay, seed = one
            if key({"settings": settings, "delay": delay, "seed": seed, "n_epochs": n_epochs}) not in seen:
                line = json.dumps(run(group, settings, delay, seed, n_epochs))
                with path.open("a") as file:
                    file.write(line + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), sys.argv[2:])
