"""Claims about the bounds of Float32 numbers, and about the general algorithm that they are measured with."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from parity.checks import bounds, evaluate, moved_runs, yardstick
from parity.checks.cases import NETWORKS, SIZES, case
from parity.checks.training import GAUSSIAN, ORTHOGONAL, configuration
from pyflossing.training import initial_state, loop
from pyflossing.training.records import EpochRecord, FlossingRecord

SMALL = SIZES[0]


def test_the_chance_of_a_false_alarm_is_that_of_the_t_distribution():
    nu = bounds.N_COPIES
    t = np.linspace(bounds.FACTOR, 1000, 2_000_001)
    density = (
        math.gamma((nu + 1) / 2) / math.sqrt(nu * math.pi) / math.gamma(nu / 2) * (1 + t**2 / nu) ** (-(nu + 1) / 2)
    )
    area = 2 * float((density[:-1] + density[1:]).sum() / 2 * (t[1] - t[0]))
    assert area == pytest.approx(bounds.FALSE_ALARM, rel=0.03)


@given(
    arrays(np.float32, 5, elements=st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False)), st.integers(0, 9)
)
def test_copies_are_within_two_ulp_and_zeros_stay(values, seed):
    copies = bounds.nudged(values, np.random.default_rng(seed))
    assert copies.shape == (16, 5)
    assert (copies[:, values == 0] == 0).all()
    assert (np.abs(copies.astype(np.float64) - values) <= 2.01 * np.abs(np.spacing(values)).astype(np.float64)).all()
    assert np.array_equal(copies, bounds.nudged(values, np.random.default_rng(seed)))


def test_the_bound_is_that_of_the_rule():
    assert bounds.admitted(np.asarray(3.0), np.asarray(4.0), 100.0, 0.01) == pytest.approx(50 + 8)
    assert bounds.rms(np.array([[3.0], [4.0]])) == pytest.approx(math.sqrt(12.5))


def test_deviations_are_the_largest_of_the_array_or_so_far():
    exact = np.zeros((2, 3, 4))
    results = np.zeros((2, 3, 4))
    results[0, 1, 1], results[1, 2, 3] = -2.0, 5.0
    assert bounds.deviations(results, exact).tolist() == [2.0, 5.0]
    assert bounds.deviations(results, exact, by_step=True).tolist() == [[0, 2, 2, 2], [0, 0, 0, 5]]


def test_ours_is_imprecise_where_its_rms_exceeds_what_float32_explains():
    assert not bounds.imprecise(np.asarray(3e-5), np.asarray(1e-6), 1.0, 1e-7)
    assert "ours is imprecise: its RMS is 3.3e-05, where Float32 explains 3.2e-05" in bounds.imprecise(
        np.asarray(3.3e-5), np.asarray(1e-6), 1.0, 1e-7
    )
    assert not bounds.imprecise(np.zeros(3), np.zeros(3), np.zeros(3), 1e-7)


@pytest.mark.parametrize("under_test", NETWORKS, ids=lambda under_test: under_test.title)
def test_the_general_algorithm_has_the_numbers_of_the_port(under_test):
    of = case(under_test, SMALL)
    ours = evaluate.evaluate(of, "float64")
    single = {name: np.ascontiguousarray(values, dtype=np.float32)[None] for name, values in of.parameters.items()}
    general = yardstick.general_results(of, single, of.frame[None], "float64")
    assert set(general) | {"accuracy", "raster"} == set(ours) | {"raster"}
    for name, values in general.items():
        np.testing.assert_allclose(values[0], ours[name], rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("setting", [GAUSSIAN, ORTHOGONAL], ids=lambda setting: f"IC={setting.IC}")
@pytest.mark.parametrize("algorithm", ["passes", "general"])
@pytest.mark.parametrize("under_test", [NETWORKS[0], NETWORKS[-1]], ids=lambda under_test: under_test.title)
def test_runs_in_lock_step_are_those_of_the_trainer(under_test, algorithm, setting):
    config = configuration(under_test, setting, "float64")
    found = moved_runs.moved_runs(config, [initial_state(config)] * 2, algorithm, None)
    events = list(loop.run(config, initial_state(config)))
    epochs = [event for event in events if isinstance(event, EpochRecord)]
    flossing = [event for event in events if isinstance(event, FlossingRecord)]
    for copy in (0, 1):
        np.testing.assert_allclose(found.rows["loss"][copy], [e.loss for e in epochs], rtol=1e-9)
        np.testing.assert_allclose(found.rows["spectra"][copy], [f.exponents for f in flossing], rtol=1e-8, atol=1e-11)
        np.testing.assert_allclose(found.final["J"][copy], epochs[-1].updated.J, rtol=1e-8, atol=1e-11)


def test_moved_starts_differ_by_a_rounding():
    config = configuration(NETWORKS[0], GAUSSIAN, "float32")
    true = initial_state(config).parameters
    starts = moved_runs.starts(config, 3)
    assert not np.array_equal(starts[0].parameters.J, starts[1].parameters.J)
    for start in starts:
        ulp = np.spacing(np.abs(true.J.numpy()))
        assert (np.abs(start.parameters.J.numpy() - true.J.numpy()) <= ulp).all()
        assert float((start.parameters.x0 - true.x0).abs().max()) < 1e-4
