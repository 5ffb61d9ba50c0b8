"""Claims about ensembles: each network's run is the one that it has alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_paths import PATHS, needs_kernel, using

from pyflossing import (
    AdaptiveSchedule,
    BinaryNetwork,
    DelayedXOR,
    Flossing,
    FlossingSchedule,
    NonFiniteError,
    Seeds,
    SpikingNetwork,
    TanhNetwork,
    TrainingConfig,
    Trials,
    train,
    train_ensemble,
)
from pyflossing.gradients import trajectory_pass
from pyflossing.training import EpochRecord, ensemble

SMALL = TrainingConfig(
    network=TanhNetwork(),
    n_units=8,
    task=DelayedXOR(2),
    trials=Trials(batch_size=3, n_steps=12),
    flossing=Flossing(n_exponents=2, n_steps=14, trial_steps=16, schedule=FlossingSchedule(3, 2, 2, 2)),
    n_epochs=6,
    dtype="float64",
)
NETWORKS = (TanhNetwork(), BinaryNetwork(), SpikingNetwork.published(), SpikingNetwork.per_step())


def _members(config, n):
    return [
        replace(config, seeds=Seeds(network=i, inputs=i, initial_state=2 * i, frame=3 * i)) for i in range(1, n + 1)
    ]


@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=10)
@given(
    network=st.sampled_from(NETWORKS),
    n=st.integers(1, 12),
    steps_at_once=st.sampled_from([7, 100]),
    schedule=st.sampled_from((FlossingSchedule(3, 2, 2, 2), AdaptiveSchedule(0.02, 2, 2), FlossingSchedule.none())),
)
def test_each_network_is_as_alone(path, network, n, steps_at_once, schedule):
    """More than fit into one pass, and parts of other lengths; an adaptive schedule flosses some networks alone."""
    config = replace(SMALL, network=network, flossing=replace(SMALL.flossing, schedule=schedule))
    members = _members(config, n)
    with pytest.MonkeyPatch.context() as patch, using(path):
        patch.setattr(trajectory_pass, "_PART", steps_at_once * min(n, 9) * SMALL.trials.batch_size * SMALL.n_units)
        results = train_ensemble(members)
        by_themselves = [train(member) for member in members]
    for result, alone, member in zip(results, by_themselves, members, strict=True):
        assert result.config == member
        np.testing.assert_array_equal(result.flossing_epochs, alone.flossing_epochs)
        np.testing.assert_array_equal(result.trial_order, alone.trial_order)
        np.testing.assert_allclose(result.loss, alone.loss, rtol=1e-8)
        np.testing.assert_array_equal(result.accuracy, alone.accuracy)
        np.testing.assert_allclose(result.spectra, alone.spectra, atol=1e-8)
        for name, values in alone.final.items():
            np.testing.assert_allclose(result.final[name], values, atol=1e-8)


@needs_kernel
@pytest.mark.parametrize("network", NETWORKS)
def test_with_the_kernel_each_network_has_the_bits_that_it_has_alone(network):
    members = _members(replace(SMALL, network=network, dtype="float32"), 3)
    with using("compiled"):
        for result, member in zip(train_ensemble(members), members, strict=True):
            assert result.same_numbers(train(member))


def test_no_network():
    assert train_ensemble([]) == []


def test_callbacks_see_every_network_s_records_in_order():
    seen = []
    train_ensemble(_members(SMALL, 3), [lambda member, record: seen.append((member, record))])
    for member in range(3):
        epochs = [r.epoch for m, r in seen if m == member and isinstance(r, EpochRecord)]
        assert epochs == list(range(1, 7))


def test_settings_that_differ_are_named():
    members = _members(SMALL, 3)
    members[2] = replace(members[2], n_epochs=7)
    with pytest.raises(ValueError, match=r"configs\[2\].n_epochs = 7 is not .* that of configs\[0\], 6"):
        train_ensemble(members)


def test_a_network_of_the_user_s_own_is_refused():
    class Own(TanhNetwork):
        pass

    with pytest.raises(ValueError, match=r"configs\[0\].network = .*Own.* is not allowed"):
        train_ensemble([replace(SMALL, network=Own())])


def test_the_network_with_a_number_that_is_not_finite_is_named(monkeypatch):
    members, begin = _members(SMALL, 3), ensemble.initial_state

    def broken(config):
        state = begin(config)
        if config is members[1]:
            state.parameters.J[0, 0] = float("inf")
        return state

    monkeypatch.setattr(ensemble, "initial_state", broken)
    with pytest.raises(NonFiniteError, match="network 1 of the ensemble") as error:
        train_ensemble(members)
    assert error.value.epoch == 1
