"""Claims about runs of random sizes, networks and types that are stopped or killed at random moments."""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest
from run_cases import killed_and_resumed, random_config, same_end, stopped_and_resumed, words

KILLS = int(os.environ.get("PYFLOSSING_KILLS", "100"))
"""Of these a quarter are signals to processes, the others stops within this one."""
PARTS = 4
SIGNALS = 4
"""To the processes of one run at most."""


@pytest.mark.parametrize("part", range(PARTS))
def test_stopped_at_random_moments_a_run_ends_with_the_bits_of_no_stop(tmp_path, part):
    chance, stops, runs = random.Random(part), 0, 0
    while stops < KILLS * 3 / 4 / PARTS:
        config = random_config(chance, n_epochs=chance.randint(2, 12))
        end, of_this = stopped_and_resumed(tmp_path / str(runs), config, chance)
        assert same_end(config, end), words(config)
        stops, runs = stops + of_this, runs + 1
    print(f"{stops} stops of {runs} runs")


@pytest.mark.parametrize("part", range(PARTS))
def test_killed_at_random_moments_a_run_ends_with_the_bits_of_no_kill(tmp_path, part):
    chance, runs = random.Random(100 + part), 0
    ways: Counter[str] = Counter()
    while ways["killed"] + ways["stopped"] < KILLS / 4 / PARTS:
        config = random_config(chance, n_epochs=chance.randint(20, 60))
        end, of_this = killed_and_resumed(tmp_path / str(runs), config, chance, SIGNALS)
        assert same_end(config, end), words(config)
        ways, runs = ways + of_this, runs + 1
    assert ways.keys() <= {"killed", "stopped", "ended", "not finite"}, ways
    print(f"{dict(ways)} of {runs} runs")
