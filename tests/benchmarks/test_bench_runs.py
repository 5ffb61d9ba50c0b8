"""Whole runs: a fiftieth of the README's call; and nine seeds in lock-step against one by one.

3001 training and 1500 flossing epochs become 60 and 30. N = 80, B = 16, T = 300, Tp = 55, nLE = 75, Float32, 1 thread.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from literal import flossing_epoch, training_epoch

from pyflossing import (
    BinaryNetwork,
    FlossingSchedule,
    Seeds,
    SpikingNetwork,
    TanhNetwork,
    TrainingConfig,
    Trials,
    train,
    train_ensemble,
)
from pyflossing.gradients import by_autograd
from pyflossing.training import epochs

NETWORKS = {"tanh": TanhNetwork(), "binary": BinaryNetwork(), "spiking": SpikingNetwork.per_step()}
RUN = replace(
    TrainingConfig(network=TanhNetwork(), n_epochs=60),
    flossing=replace(TrainingConfig().flossing, schedule=FlossingSchedule(10, 10, 20, 2)),
)


@pytest.fixture
def run(benchmark):
    """The run that is timed, or a small one where nothing is."""
    if not benchmark.disabled:
        return RUN
    return replace(RUN, n_units=10, trials=Trials(2, 30), flossing=replace(RUN.flossing, n_exponents=5))


def _literal_training(*arguments):
    return by_autograd.TrainingGradient(*training_epoch(*arguments))


def _literal_flossing(*arguments):
    return by_autograd.FlossingGradient(*flossing_epoch(*arguments))


@pytest.mark.parametrize("method", ["ours", "literal torch"])
def test_whole_run(benchmark, run, method, monkeypatch):
    benchmark.group = "whole run (a fiftieth), tanh"
    if method != "ours":
        monkeypatch.setitem(epochs._TRAINING_GRADIENT, "fused", _literal_training)
        monkeypatch.setitem(epochs._FLOSSING_GRADIENT, "fused", _literal_flossing)
    assert len(benchmark(train, run).flossing_loss) == 30


@pytest.mark.parametrize("method", ["ours", "one after the other"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_nine_seeds(benchmark, run, kind, method):
    benchmark.group = f"nine seeds, ten training epochs, {kind}"
    schedule = FlossingSchedule.none()
    config = replace(run, network=NETWORKS[kind], n_epochs=10, flossing=replace(run.flossing, schedule=schedule))
    configs = [replace(config, seeds=Seeds(network=i, inputs=i)) for i in range(1, 10)]

    def one_after_the_other():
        return [train(config) for config in configs]

    seeds = one_after_the_other if method != "ours" else lambda: train_ensemble(configs)
    assert len(benchmark(seeds)) == 9
