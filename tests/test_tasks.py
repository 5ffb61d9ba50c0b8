"""Claims about the tasks and the legacy generator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyflossing import DelayedCopy, DelayedXOR, generateInputOutput
from pyflossing.model.tasks import task_from_number

SIZES = {"batch_size": st.integers(1, 5), "n_steps": st.integers(1, 60), "n_channels": st.integers(1, 3)}
SEED = st.integers(-(2**63), 2**63 - 1).filter(bool)


@given(delay=st.integers(1, 5), levels=st.integers(1, 4), seed=SEED, **SIZES)
def test_xor_target_is_the_parity_of_the_delayed_inputs(delay, levels, seed, batch_size, n_steps, n_channels):
    data = DelayedXOR(delay, levels).generate(batch_size, n_steps, seed, n_channels=n_channels)
    memory = delay * 2**levels
    for n in range(memory, n_steps):  # from here on all of the XOR's input is among the kept steps
        lags = data.inputs[[n - lag for lag in range(delay, memory + 1, delay)]]
        np.testing.assert_array_equal(data.targets[n], lags.sum(axis=0) % 2)
    assert not data.targets[: max(0, memory - delay)].any()


@given(delay=st.integers(0, 70), seed=SEED, **SIZES)
def test_copy_target_is_the_input_delayed(delay, seed, batch_size, n_steps, n_channels):
    data = DelayedCopy(delay).generate(batch_size, n_steps, seed, n_channels=n_channels)
    np.testing.assert_array_equal(data.targets[delay:], data.inputs[: max(0, n_steps - delay)])


@given(amplitude=st.floats(-1e3, 1e3), seed=SEED)
def test_amplitude_scales_inputs_and_not_targets(amplitude, seed):
    plain = DelayedXOR(2).generate(2, 30, seed)
    scaled = DelayedXOR(2).generate(2, 30, seed, amplitude=amplitude)
    np.testing.assert_array_equal(scaled.inputs, plain.inputs * np.float32(amplitude))
    np.testing.assert_array_equal(scaled.targets, plain.targets)


@given(number=st.integers(-4, 4), delay=st.integers(1, 4), seed=SEED)
def test_typed_task_of_a_number_generates_what_the_legacy_function_does(number, delay, seed):
    inputs, targets = generateInputOutput(3, 40, seed, 1, 0.5, delay, number)
    data = task_from_number(number, delay).generate(3, 40, seed, amplitude=0.5)
    np.testing.assert_array_equal(data.inputs, inputs)
    np.testing.assert_array_equal(data.targets, targets)
    assert inputs.shape == targets.shape == (40, 1, 3)
    assert inputs.dtype == targets.dtype == np.float32


@pytest.mark.parametrize(("number", "first"), [(-1, 20), (1, 20), (-2, 40), (2, 20), (3, 20), (0, 10)])
def test_first_scored_step_follows_the_original(number, first):
    assert task_from_number(number, 10).first_scored_step == first


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"B": 0}, "B = 0"),
        ({"T": 0}, "T = 0"),
        ({"T": 2.5}, "T = 2.5"),
        ({"seedInput": 0}, "seedInput = 0"),
        ({"seedInput": 2**63}, "seedInput = 9223372036854775808"),
        ({"S": 2}, "S = 2"),
        ({"S": 0}, "S = 0"),
        ({"sigma": float("nan")}, "sigma = nan"),
        ({"sigma": "1"}, "sigma = '1'"),
        ({"delay": 0}, "delay = 0 is not allowed: an XOR task needs"),
        ({"delay": -1, "task": 0}, "delay = -1"),
        ({"task": 63}, "task = 63"),
        ({"task": 0.5}, "task = 0.5"),
    ],
)
def test_legacy_generator_names_bad_arguments(change, named):
    good = {"B": 2, "T": 20, "seedInput": 3, "S": 1, "sigma": 1.0, "delay": 2, "task": -1}
    generateInputOutput(**good)
    with pytest.raises(ValueError) as caught:
        generateInputOutput(**(good | change))
    assert named in str(caught.value)


def test_a_target_memory_beyond_the_trial_costs_nothing():
    data = DelayedXOR(1, levels=62).generate(1, 10, 1)
    assert not data.targets.any()
