"""Does flossing help spiking networks? The search on the delayed copy, and its best settings on seeds of their own.

    python docs/spiking_copy.py OUT.jsonl

Each line of the file is one run: what differs from BASE, the seed, and what came out. Runs that the file already holds
are skipped, so an interrupted search goes on where it stopped. A run takes 10 to 60 s on one core.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pyflossing import NonFiniteError, TrainingConfig, train
from pyflossing.sweeps.overrides import Overrides

PLACES = {
    "units": ["n_units"],
    "epochs": ["n_epochs"],
    "delay": ["task.delay"],
    "steps": ["trials.n_steps"],
    "batch": ["trials.batch_size"],
    "amplitude": ["trials.amplitude"],
    "offset": ["trials.offset"],
    "threshold": ["network.threshold"],
    "membrane decay": ["network.membrane_decay"],
    "membrane gain": ["network.membrane_gain"],
    "synaptic decay": ["network.synaptic_decay"],
    "sharpness": ["network.jacobian_surrogate.sharpness", "network.spike_surrogate.sharpness"],
    "jacobian sharpness": ["network.jacobian_surrogate.sharpness"],
    "spike sharpness": ["network.spike_surrogate.sharpness"],
    "surrogate": ["network.jacobian_surrogate.name", "network.spike_surrogate.name"],
    "reset": ["network.jacobian_reset"],
    "coupling": ["weights.coupling"],
    "gain": ["weights.gain"],
    "mean coupling": ["weights.mean_coupling"],
    "input": ["weights.input_spread"],
    "readout": ["weights.readout_spread"],
    "bias": ["weights.bias_mean"],
    "bias spread": ["weights.bias_spread"],
    "rate": ["optimiser.learning_rate"],
    "beta2": ["optimiser.beta2"],
    "clip": ["optimiser.clip_norm"],
    "flossing rate": ["flossing.learning_rate"],
    "flossing clip": ["flossing.clip_norm"],
    "k": ["flossing.n_exponents"],
    "target": ["flossing.target"],
    "flossing steps": ["flossing.n_steps"],
    "flossing trials": ["flossing.n_trials"],
    "schedule": ["flossing.schedule.kind"],
    "before": ["flossing.schedule.before"],
    "episode": ["flossing.schedule.episode"],
    "period": ["flossing.schedule.period"],
    "episodes": ["flossing.schedule.n_episodes"],
    "floor": ["flossing.schedule.threshold"],
    "ceiling": ["flossing.schedule.ceiling"],
    "cooldown": ["flossing.schedule.cooldown"],
    "seed": ["seeds.initial_state", "seeds.network", "seeds.frame"],
}
"""What a setting of a line is in ``TrainingConfig``."""
BASE = {"delay": 20, "steps": 100, "epochs": 3000, "k": 0, "before": 500, "episode": 50, "period": 100, "episodes": 20}
"""Settings that differ from the defaults of ``TrainingConfig`` in all runs, unless a line says otherwise."""

# How runs were flossed; 32 exponents with both surrogates at sharpness 0.5, 48 with twice the units.
EPISODES = {"k": 32, "sharpness": 0.5}
ENDLESS = 100_000
OFTEN = {**EPISODES, "before": 100, "episode": 1, "period": 2, "episodes": ENDLESS, "flossing rate": 0.003}
BAND = {"schedule": "adaptive", "episode": 3, "episodes": ENDLESS, "floor": 1e-4}
ADAPTIVE = {**EPISODES, **BAND, "before": 200, "ceiling": 0.03, "cooldown": 2, "flossing rate": 0.003}
WIDE = {"units": 160, "k": 48}
SHORT = {
    **WIDE, "steps": 60, "epochs": 2000, "rate": 0.002,
    "flossing rate": 0.003, "before": 200, "episode": 15, "episodes": 100,
}  # fmt: skip
BEST = {"units": 160, "epochs": 1500, "rate": 0.003}
FLOSSED = {**BEST, "k": 48, "flossing rate": 0.001}
SEARCH: list[dict[str, Any]] = [
    {"seed": 2},
    {**EPISODES, "seed": 2},
    {**EPISODES, "flossing rate": 0.003, "seed": 2},
    {**EPISODES, "rate": 0.003, "seed": 2},
    {**EPISODES, "epochs": 8000, "episodes": 70, "seed": 2},
    {**EPISODES, "readout": 0.0125, "seed": 2},
    {**OFTEN, "seed": 2},
    {**WIDE, "seed": 2},
    {**WIDE, "rate": 0.003, "flossing rate": 0.001, "seed": 2},
    {**EPISODES, "epochs": 6000, "rate": 0.0003, "flossing rate": 0.003, "episodes": 60, "seed": 2},
    {**OFTEN, "rate": 0.003, "seed": 2},
    {**OFTEN, "flossing rate": 0.001, "seed": 2},
    {**OFTEN, "input": 0.3, "seed": 2},
    {**OFTEN, "gain": 1.5, "seed": 2},
    {**OFTEN, "rate": 0.003, "flossing rate": 0.01, "period": 1, "seed": 2},
    {**OFTEN, "rate": 0.002, "k": 64, "seed": 2},
    {**OFTEN, "input": 0.3, "rate": 0.002, "seed": 2},
    {**OFTEN, "gain": 1.5, "rate": 0.002, "seed": 2},
    {**OFTEN, "threshold": 0, "seed": 2},
    {**OFTEN, "offset": -0.5, "seed": 2},
    {**OFTEN, "mean coupling": -2, "seed": 2},
    {**OFTEN, "threshold": 1, "seed": 2},
    {**OFTEN, "threshold": 0.75, "bias spread": 0, "seed": 2},
    {**OFTEN, "units": 160, "k": 48, "seed": 2},
    {**OFTEN, "delay": 12, "threshold": 1, "seed": 2},
    {"delay": 12, "threshold": 1, "sharpness": 0.5, "seed": 2},
    {**ADAPTIVE, "delay": 12, "threshold": 1, "seed": 2},
    {**WIDE, "rate": 0.003, "flossing rate": 0.001, "episodes": 100, "seed": 2},
    {**WIDE, "delay": 15, "rate": 0.003, "flossing rate": 0.003, "episode": 20, "episodes": 100, "seed": 2},
    {**SHORT, "seed": 3},
    {**WIDE, "epochs": 1500, "rate": 0.003, "flossing rate": 0.001, "episodes": 100, "seed": 3},
    {**SHORT, "epochs": 4000, **BAND, "ceiling": 0.01, "cooldown": 5, "seed": 3},
    {**SHORT, "threshold": 0.75, "bias spread": 0, "seed": 3},
    {**SHORT, "units": 320, "rate": 0.001, "k": 64, "seed": 3},
    {**SHORT, "batch": 64, "rate": 0.003, "seed": 3},
    {**SHORT, "delay": 15, "seed": 3},
    {**SHORT, "readout": 0.1, "seed": 3},
    {**SHORT, "input": 2, "seed": 3},
    {**SHORT, "membrane decay": 0.5, "seed": 3},
    {**SHORT, "spike sharpness": 0.5, "seed": 3},
    {**SHORT, "target": -0.05, "seed": 3},
    {**SHORT, "spike sharpness": 2, "seed": 3},
    {**SHORT, "readout": 0.1, "rate": 0.001, "seed": 3},
    {**SHORT, "readout": 0.1, "rate": 0.001, **BAND, "ceiling": 0.003, "cooldown": 3, "seed": 3},
    {**SHORT, "readout": 0.1, "rate": 0.001, "episode": 10, "period": 25, "seed": 3},
    {**SHORT, "readout": 0.1, "rate": 0.0005, "epochs": 3000, "seed": 3},
    {**SHORT, "surrogate": "gaussian", "seed": 3},
    {**SHORT, "coupling": "orthogonal", "seed": 3},
    {**SHORT, "k": 96, "seed": 3},
    {"units": 160, "delay": 15, "rate": 0.003, "seed": 2},
    {**FLOSSED, "delay": 15, "seed": 2},
    {**FLOSSED, "delay": 15, "seed": 3},
    {**BEST, "delay": 15, "seed": 3},
    {"delay": 12, "seed": 2},
    *({**FLOSSED, "delay": 15, "rate": 0.002, "flossing rate": 0.002, "seed": seed} for seed in (2, 3)),
    *({**FLOSSED, "delay": 17, "seed": seed} for seed in (2, 3)),
]
"""The search, on seeds 2 and 3."""
SHOWN: list[dict[str, Any]] = [{**settings, "seed": seed} for seed in range(4, 13) for settings in (FLOSSED, BEST)]
"""The best of the search with and without flossing, on seeds that it did not use."""
FACTOR = {**SHORT, "reset": "factor"}
FEWER = {**FACTOR, "k": 16, "before": 600}
CLOSER = {**FEWER, "episode": 2, "period": 5, "episodes": ENDLESS}
OF_RESET: list[dict[str, Any]] = [
    {**settings, "seed": seed}
    for settings in (
        FLOSSED,
        SHORT,
        {**FLOSSED, "reset": "factor"},
        FEWER,
        CLOSER,
        FACTOR,
        {**CLOSER, "rate": 0.001},
        {**CLOSER, "rate": 0.001, "target": -0.1},
        {**FEWER, "target": -0.1},
        {**FEWER, "target": -0.2},
        {**SHORT, "k": 16, "before": 600},
        {**FACTOR, "target": -0.05},
        {**FEWER, "bias": -0.5},
    )
    for seed in (2, 3, 13)
] + [{**CLOSER, "threshold": 1, "seed": 2}]
"""With the factor of the reset in the Jacobian that is flossed, beside the best two settings without it."""
LONG: list[dict[str, Any]] = [
    {**FLOSSED, "epochs": 4001, "episodes": episodes, "seed": seed} for episodes in (14, 40) for seed in (2, 3, 13)
]
"""The best setting for longer, flossed in its first part alone or throughout."""
GRID = [*SEARCH, *SHOWN, *OF_RESET, *LONG]


def config_of(settings: dict[str, Any]) -> TrainingConfig:
    """The settings of one run."""
    given = {"schedule": "periodic", **BASE, **settings}
    if given["schedule"] == "adaptive":
        given.pop("period")
    changes = {place: value for name, value in given.items() for place in PLACES[name]}
    base = {"task": {"kind": "delayed_copy", "delay": BASE["delay"]}}
    return Overrides(TrainingConfig.from_dict(base)).config(changes)


def run(settings: dict[str, Any]) -> dict[str, Any]:
    """One run."""
    begin = time.process_time()
    try:
        result = train(config_of(settings))
    except NonFiniteError as error:
        return {**settings, "stopped": str(error), "seconds": round(time.process_time() - begin)}
    in_hundreds = result.accuracy[: len(result.accuracy) // 100 * 100].reshape(-1, 100).mean(1)
    norms = result.gradient_norms["x0"]
    found = {
        **settings,
        "accuracy": round(float(result.accuracy[-100:].mean()), 3),
        "best": round(float(in_hundreds.max()), 3),
        "over time": [round(float(x), 3) for x in in_hundreds[4::5]],
        "gradient": [float(f"{np.median(x):.1e}") for x in (norms[:100], norms[-100:])],
    }
    if settings.get("k"):
        before = (result.flossing_epochs[:, 0] == 1).sum()
        spectra = result.spectra[[0, before - 1, -1]]
        found["exponents"] = [[round(float(x), 2) for x in (s.max(), np.median(s), s.min())] for s in spectra]
    return {**found, "seconds": round(time.process_time() - begin)}


def main(path: Path) -> None:
    """Run what is missing."""
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = [config_of({name: value for name, value in row.items() if name in PLACES}) for row in rows]
    for settings in GRID:
        if config_of(settings) not in done:
            line = json.dumps(run(settings))
            with path.open("a") as file:
                file.write(line + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
