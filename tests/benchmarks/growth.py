"""How the time of an epoch's gradient grows: exponents a of time ~ size^a, beside JAX, the arithmetic, and two threads.

Sizes that are not varied are those of the original's call, with a tanh network. Wall time, medians; JAX has one thread.
With ``--device cuda`` the same beside the CPU's, on all of its threads, in the place of all three.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import time
from dataclasses import replace
from statistics import median

import beside_jax
import in_jax
import numpy as np
import torch

from pyflossing import TanhNetwork, TrainingConfig
from pyflossing._support.devices import CPU, device_in_words, require_device
from pyflossing.gradients import flossing_pass, training_pass
from pyflossing.model.loss import Parameters
from pyflossing.training.epochs import batch
from pyflossing.training.state import initial_state

SECONDS = 1.0
"""How long one function is called, but for the first call, and at least once."""


def timed(function):
    """Median wall time of a call in ms; each ends by reading numbers, for which a GPU is waited for."""
    function()
    times = []
    while sum(times) < SECONDS:
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return 1e3 * median(times)


def training(config, device=CPU):
    """Ours and JAX's gradient of a training epoch, and its operations."""
    order, first = np.arange(1, config.trials.batch_size + 1), config.task.first_scored_step
    p, data = initial_state(config).to(device).parameters, [x.to(device) for x in batch(config, 1, order)]
    return (
        lambda: training_pass.training_gradient(config.network, p, *data, first),
        lambda: beside_jax.training_in_jax(config, p, data, order)["jax"],
        beside_jax.operations(config)[0],
    )


def flossing(config, device=CPU):
    """Ours and JAX's gradient of a flossing epoch, and its operations."""
    state, settings = initial_state(config).to(device), config.flossing
    p, inputs = state.parameters, torch.randn(settings.trial_steps, 1).to(device)
    flossed = (p, p.x0[:, 0].contiguous(), state.frame, inputs, settings.n_steps, settings.target)
    return (
        lambda: flossing_pass.flossing_gradient(config.network, *flossed),
        lambda: beside_jax.flossing_in_jax(config, p, flossed)["jax"],
        beside_jax.operations(config)[2],
    )


def ensemble(config_and_members, device=CPU):
    """Training of several networks at once, as ``--ensemble`` does it; JAX's is mapped over them."""
    config, members = config_and_members
    data, first = batch(config, 1, np.arange(1, config.trials.batch_size + 1)), config.task.first_scored_step
    p = Parameters(*(x.expand(members, *x.shape).contiguous().to(device) for x in initial_state(config).parameters))
    many = [x.expand(members, *x.shape).contiguous().to(device) for x in data]

    def theirs():
        import jax

        arrays, trials = [in_jax.array(x) for x in p], [in_jax.array(x) for x in many]
        one = in_jax.training_gradient(config.network, config.trials.n_steps, config.trials.batch_size, first)
        compiled = jax.jit(jax.vmap(one))
        return lambda: jax.block_until_ready(compiled(arrays, *trials))

    ours = lambda: training_pass.gradients_of_losses(config.network, p, *many, first)  # noqa: E731
    return ours, theirs, members * beside_jax.operations(config)[0]


def _units(config, n):
    return replace(config, n_units=n, flossing=replace(config.flossing, n_exponents=n))


def _with_32(config, n):
    return replace(config, n_units=n, flossing=replace(config.flossing, n_exponents=32))


SIZES = {
    "T": (training, (150, 300, 600, 1200), lambda c, n: replace(c, trials=replace(c.trials, n_steps=n))),
    "B": (training, (8, 16, 32, 64), lambda c, n: replace(c, trials=replace(c.trials, batch_size=n))),
    "N": (training, (80, 160, 320, 640, 1280), _units),
    "networks": (ensemble, (1, 4, 16, 64), lambda c, n: (c, n)),
    "Tp": (flossing, (30, 55, 110, 220), lambda c, n: replace(c, flossing=replace(c.flossing, n_steps=n))),
    "k": (flossing, (10, 20, 40, 80), lambda c, n: replace(c, flossing=replace(c.flossing, n_exponents=n))),
    "N, k = 32": (flossing, (80, 160, 320, 640, 1280), _with_32),
    "N = k": (flossing, (80, 160, 320, 640), _units),
}


def table():
    """One line for each size that is varied."""
    base = replace(TrainingConfig(), network=TanhNetwork())
    per_ms, _ = beside_jax.rates(base)
    head = ["epoch", "size", "values", "ms", "exponent", "/ JAX", "/ arithmetic", "two threads / one"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for size, (kind, values, changed) in SIZES.items():
        found, jax, floor, two = [], [], [], []
        for value in values:
            ours, theirs, operations = kind(changed(base, value))
            found.append(timed(ours))
            floor.append(found[-1] * per_ms / operations)
            if importlib.util.find_spec("jax"):
                jax.append(found[-1] / timed(theirs()))
            if (os.cpu_count() or 1) > 1:
                torch.set_num_threads(2)
                two.append(timed(ours) / found[-1])
                torch.set_num_threads(1)
        exponent = np.polyfit(np.log(values), np.log(found), 1)[0]
        ratios = [", ".join(f"{ratio:.2f}" for ratio in each) for each in (jax, floor, two)]
        cells = [", ".join(map(str, values)), ", ".join(f"{ms:.3g}" for ms in found), f"{exponent:.2f}", *ratios]
        lines.append(f"| {kind.__name__} | {size} | {' | '.join(cells)} |")
    return lines


def table_of_gpu(device):
    """One line for each size that is varied: times on the GPU, and over those of the CPU."""
    base = replace(TrainingConfig(), network=TanhNetwork())
    head = ["epoch", "size", "values", "ms", "exponent", "/ CPU"]
    lines = [device_in_words(device), "", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for size, (kind, values, changed) in SIZES.items():
        found = [timed(kind(changed(base, value), device)[0]) for value in values]
        cpu = [timed(kind(changed(base, value))[0]) for value in values]
        exponent = np.polyfit(np.log(values), np.log(found), 1)[0]
        ratios = ", ".join(f"{ours / theirs:.2f}" for ours, theirs in zip(found, cpu, strict=True))
        cells = [", ".join(map(str, values)), ", ".join(f"{ms:.3g}" for ms in found), f"{exponent:.2f}", ratios]
        lines.append(f"| {kind.__name__} | {size} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    try:
        wanted = require_device("--device", parser.parse_args().device)
    except ValueError as error:
        sys.exit(f"no times were taken: {error}")
    if wanted != CPU:
        print("\n".join(table_of_gpu(wanted)))
        sys.exit()
    torch.set_num_threads(1)
    in_jax.one_thread()
    print("\n".join(table()))
