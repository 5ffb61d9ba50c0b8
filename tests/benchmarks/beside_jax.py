"""Epochs beside compiled JAX and beside the arithmetic: CPU time of one thread, in turns within one run, medians.

The arithmetic is an epoch's floating-point operations at the rate of its largest product in torch, (N, T B) by
(T B, N), and its hyperbolic tangents at numpy's: small products and triangular solves come nowhere near that rate one
by one.
"""

from __future__ import annotations

import importlib.util
import time
from dataclasses import replace
from statistics import median

import in_jax
import numpy as np
import torch

from pyflossing import BinaryNetwork, SpikingNetwork, TanhNetwork, TrainingConfig
from pyflossing.gradients import flossing_pass, training_pass
from pyflossing.gradients.by_autograd import FLOSSED
from pyflossing.gradients.kernel.library import path_in_use
from pyflossing.training.epochs import _flossing_epoch, batch, training_epoch
from pyflossing.training.state import initial_state, rates_of

NETWORKS = {"tanh": TanhNetwork(), "binary": BinaryNetwork(), "spiking": SpikingNetwork.per_step()}
ROUNDS = 30


def alternating(functions, rounds=ROUNDS):
    """Median CPU time in ms of each function, called in turns."""
    for function in functions.values():
        for _ in range(3):
            function()
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            function()  # with the caches as it leaves them itself
            start = time.process_time()
            function()
            times[name].append(1e3 * (time.process_time() - start))
    return {name: median(found) for name, found in times.items()}


def rates(config):
    """Products in floating-point operations per ms, and tanh in numbers per ms."""
    n, rows = config.n_units, config.trials.batch_size * config.trials.n_steps
    a, b, out = torch.randn(n, rows), torch.randn(rows, n), torch.empty(n, n)
    x, y = np.random.default_rng(1).standard_normal((2, config.trials.batch_size * n)).astype(np.float32)
    found = alternating(
        {
            "product": lambda: [torch.mm(a, b, out=out) for _ in range(4)],
            "tanh": lambda: [np.tanh(x, out=y) for _ in range(200)],
        }
    )
    return 8 * n * n * rows / found["product"], 200 * x.size / found["tanh"]


def operations(config):
    """Of a training epoch, and tangents in it; of a flossing epoch."""
    n, k, size, steps = config.n_units, config.flossing.n_exponents, config.trials.batch_size, config.trials.n_steps
    one = 2 * size * n * n
    # push, pull and dL/dJ; five triangular halves of products, two of them in solves; Cholesky
    per_step = 3 * 2 * k * n * n + 5 * k * k * n + k**3 / 3
    return 3 * steps * one, steps * size * n, config.flossing.n_steps * per_step


def measured(kind):
    """Medians of the epochs of one kind of network, of JAX where it is installed, and of the arithmetic, in ms."""
    config = replace(TrainingConfig(), network=NETWORKS[kind])
    state, order = initial_state(config), np.arange(1, config.trials.batch_size + 1)
    p, data, first = state.parameters, batch(config, 1, order), config.task.first_scored_step
    settings, x = config.flossing, state.parameters.x0[:, 0].contiguous()
    trial = torch.from_numpy(np.ascontiguousarray(config.draw_trials(1, settings.trial_steps, 2).inputs[:, :, 0]))
    flossed = (p, x, state.frame, trial, settings.n_steps, settings.target)

    def flossing_epoch():
        state.parameters = p
        _flossing_epoch(config, state, 1, 1, "fused")

    training = {
        "ours": lambda: training_pass.training_gradient(config.network, p, *data, first),
        "epoch": lambda: training_epoch(config, state, 1, order),
    }
    flossing = {
        "ours": lambda: flossing_pass.flossing_gradient(config.network, *flossed),
        "epoch": flossing_epoch,
    }
    if importlib.util.find_spec("jax"):
        training |= training_in_jax(config, p, data, order)
        flossing |= flossing_in_jax(config, p, flossed)
    return alternating(training), alternating(flossing)


def training_in_jax(config, p, data, order):
    """The gradient and the epoch of a training epoch."""
    import jax

    size, steps = config.trials.batch_size, config.trials.n_steps
    gradient = in_jax.training_gradient(config.network, steps, size, config.task.first_scored_step)
    update = in_jax.updated(rates_of(config), config.optimiser.clip_threshold)
    arrays, trials = [in_jax.array(x) for x in p], [in_jax.array(x) for x in data]
    zeros = [0 * x for x in arrays]

    def epoch():
        found, gradients = gradient(arrays, *(in_jax.array(x) for x in batch(config, 1, order)))
        jax.block_until_ready((found, update(arrays, gradients, zeros, zeros, 1)))

    return {"jax": lambda: jax.block_until_ready(gradient(arrays, *trials)), "jax epoch": epoch}


def flossing_in_jax(config, p, flossed):
    """The gradient and the epoch of a flossing epoch."""
    import jax

    _, x, frame, trial, n_steps, target = flossed
    gradient = in_jax.flossing_gradient(config.network, n_steps, target)
    update = in_jax.updated(rates_of(config), 1e30)
    arrays, start = [in_jax.array(getattr(p, name)) for name in FLOSSED], [in_jax.array(y) for y in (x, frame)]
    zeros, inputs = [0 * y for y in arrays], in_jax.array(trial)

    def epoch():
        drawn = config.draw_trials(1, config.flossing.trial_steps, 2).inputs[:, :, 0]
        found, gradients = gradient(arrays, *start, jax.numpy.asarray(drawn))
        jax.block_until_ready((found, update(arrays, gradients, zeros, zeros, 1)))

    return {"jax": lambda: jax.block_until_ready(gradient(arrays, *start, inputs)), "jax epoch": epoch}


def table():
    """Ours in ms, and over JAX and the arithmetic."""
    config = TrainingConfig()
    per_ms, tanh_per_ms = rates(config)
    training, tangents, flossing = operations(config)
    head = [
        "epoch",
        "gradient, ms",
        "epoch, ms",
        "gradient / JAX's",
        "epoch / JAX's gradient",
        "epoch / JAX's",
        "epoch / arithmetic",
    ]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for kind in NETWORKS:
        floors = (training / per_ms + (tangents / tanh_per_ms if kind == "tanh" else 0), flossing / per_ms)
        for title, found, floor in zip(("training", "flossing"), measured(kind), floors, strict=True):
            ours, epoch = found["ours"], found["epoch"]
            over_jax = ["", "", ""]
            if "jax" in found:
                over_jax = [
                    f"{a / b:.2f}"
                    for a, b in ((ours, found["jax"]), (epoch, found["jax"]), (epoch, found["jax epoch"]))
                ]
            lines.append(
                f"| {title}, {kind} | {ours:.2f} | {epoch:.2f} | {' | '.join(over_jax)} | {epoch / floor:.2f} |"
            )
    said = f"Passes: {path_in_use()}. Products: {per_ms / 1e6:.0f} GFLOP/s."
    if not importlib.util.find_spec("jax"):
        said += " JAX is not installed (pip install 'pyflossing[bench]'): its columns are empty."
    return [said, "", *lines]


if __name__ == "__main__":
    torch.set_num_threads(1)
    in_jax.one_thread()
    print("\n".join(table()))
