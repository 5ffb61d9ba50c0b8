"""Gradients of one training epoch and one flossing epoch at the README's sizes: ours, literal torch, Julia, the floor.

N = 80, B = 16, T = 300, Tp = 55, nLE = 75, Float32, one thread. The floor is the matrix products, QR decompositions,
triangular solves and activations alone, in buffers of their own. Julia is called over the bridge, whose transport is
part of its time (below a millisecond).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from literal import flossing_epoch, training_epoch

from pyflossing import BinaryNetwork, SpikingNetwork, TanhNetwork, TrainingConfig
from pyflossing._support.threads import suitable_threads
from pyflossing.gradients import by_autograd, flossing_pass, training_pass
from pyflossing.training.state import initial_state

NETWORKS = {
    "tanh": (TanhNetwork(), "sech2", []),
    "binary": (BinaryNetwork(), "sech2", [1.0]),
    "spiking": (SpikingNetwork.per_step(), "fast_sigmoid", [0.0, 0.0, 1.0, 0.5, 1.0, 1.0]),
}
STEPS, FLOSSING_STEPS = 300, 55

pytestmark = [pytest.mark.julia, pytest.mark.parametrize("kind", NETWORKS)]


@pytest.fixture
def start(kind):
    """Configuration, parameters, frame, one batch and one trial of the README's call."""
    config = replace(TrainingConfig(), network=NETWORKS[kind][0])
    with suitable_threads(80):
        state = initial_state(config)
        batch = [torch.from_numpy(array) for array in config.task.generate(16, STEPS, config.input_seed(1))]
        trial = torch.from_numpy(
            np.ascontiguousarray(config.task.generate(1, STEPS, config.input_seed(2)).inputs[:, :, 0])
        )
        yield config, state.parameters, state.frame, batch, trial


TRAINING = {
    "ours": training_pass.training_gradient,
    "literal torch": training_epoch,
    "plain autograd": by_autograd.training_gradient,
}
FLOSSING = {
    "ours": flossing_pass.flossing_gradient,
    "literal torch": flossing_epoch,
    "plain autograd": by_autograd.flossing_gradient,
}


@pytest.mark.parametrize("method", TRAINING)
def test_training(benchmark, start, kind, method):
    config, parameters, _, (inputs, targets), _ = start
    benchmark.group = f"training epoch, {kind}"
    benchmark(TRAINING[method], config.network, parameters, inputs, targets, config.task.first_scored_step)


@pytest.mark.parametrize("method", FLOSSING)
def test_flossing(benchmark, start, kind, method):
    config, parameters, frame, _, trial = start
    benchmark.group = f"flossing epoch, {kind}"
    benchmark(FLOSSING[method], config.network, parameters, parameters.x0[:, 0], frame, trial, FLOSSING_STEPS, 0.0)


def test_training_in_julia(benchmark, start, kind, julia):
    config, parameters, _, (inputs, targets), _ = start
    benchmark.group = f"training epoch, {kind}"
    arrays = [array.numpy() for array in (*parameters, inputs, targets)]
    network = (kind, NETWORKS[kind][1], np.array(NETWORKS[kind][2], dtype=np.float64))
    benchmark(julia.call, "training_gradient", *network, *arrays, config.task.first_scored_step)


def test_flossing_in_julia(benchmark, start, kind, julia):
    _, parameters, frame, _, trial = start
    benchmark.group = f"flossing epoch, {kind}"
    arrays = [x.contiguous().numpy() for x in (*(getattr(parameters, name) for name in by_autograd.FLOSSED),)]
    network = (kind, NETWORKS[kind][1], np.array(NETWORKS[kind][2], dtype=np.float64))
    start_of_chain = (parameters.x0[:, 0].contiguous().numpy(), frame.numpy(), trial.numpy())
    benchmark(julia.call, "flossing_gradient", *network, *arrays, *start_of_chain, FLOSSING_STEPS, 0.0)


def test_training_floor(benchmark, start, kind):
    _, parameters, _, _, _ = start
    benchmark.group = f"training epoch, {kind}"
    J, x = parameters.J, parameters.x0[:80].clone()
    back, a, flat = J.T.contiguous(), torch.empty_like(x), torch.randn(80, STEPS * 16)

    def floor():
        for _ in range(STEPS):
            torch.tanh(x, out=a) if kind == "tanh" else torch.gt(x, 0, out=a)
            torch.mm(J, a, out=x)
        for _ in range(STEPS):
            torch.mm(back, a, out=x)
        return flat @ flat.T

    benchmark(floor)


def test_flossing_floor(benchmark, start, kind):
    _, parameters, frame, _, _ = start
    benchmark.group = f"flossing epoch, {kind}"
    J, half = parameters.J, frame[:80].contiguous()
    triangle = torch.linalg.qr(frame).R

    def floor():
        for _ in range(FLOSSING_STEPS):
            J @ half
            torch.linalg.qr(frame)
        for _ in range(FLOSSING_STEPS):
            J @ half
            torch.linalg.solve_triangular(triangle.T, frame, upper=False, left=False)

    benchmark(floor)
