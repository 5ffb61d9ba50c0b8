"""`make bench`: what the random streams cost. Timed only on request; elsewhere each runs once as a test."""

from __future__ import annotations

import numpy as np
import pytest

from pyflossing import DelayedXOR
from pyflossing.julia_random import MersenneTwister, Xoroshiro128Star

pytestmark = pytest.mark.filterwarnings("ignore::pytest_benchmark.logger.PytestBenchmarkWarning")


def test_a_million_float32_normals(benchmark):
    assert len(benchmark(MersenneTwister(1).randn, 10**6, np.float32)) == 10**6


def test_a_million_float64_normals(benchmark):
    assert len(benchmark(MersenneTwister(1).randn, 10**6)) == 10**6


def test_a_million_uniforms(benchmark):
    assert len(benchmark(MersenneTwister(1).rand, 10**6)) == 10**6


def test_reseeding_and_a_16_element_shuffle_in_3001_epochs(benchmark):
    """The README's run; divide by 3001 for one epoch."""

    def orders():
        return [generator.shuffle(range(1, 17)) for generator in MersenneTwister.from_seeds(range(1, 3002))]

    assert len(benchmark(orders)) == 3001


def test_reseeding_in_3001_epochs(benchmark):
    assert sum(1 for _ in benchmark(lambda: list(MersenneTwister.from_seeds(range(1, 3002))))) == 3001


def test_reseeding_one_generator_with_new_seeds(benchmark):
    seeds = iter(range(10**6, 10**9))
    benchmark(lambda: MersenneTwister(next(seeds)))


def test_a_batch_of_the_readme(benchmark):
    """Bits of 16 trials of 300 steps."""
    assert benchmark(DelayedXOR(10).generate, 16, 300, 3002).inputs.shape == (300, 1, 16)


def test_ten_thousand_xoroshiro_words(benchmark):
    assert len(benchmark(Xoroshiro128Star(1).uint64, 10**4)) == 10**4
