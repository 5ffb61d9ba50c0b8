"""Claims about whole runs: schedule, seeds, repeatability, errors. The report compares the numbers with Julia."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyflossing import (
    AdaptiveSchedule,
    BinaryNetwork,
    DelayedCopy,
    DelayedXOR,
    Flossing,
    FlossingSchedule,
    NonFiniteError,
    SpikingNetwork,
    TanhNetwork,
    TrainingConfig,
    Trials,
    WeightDistribution,
    train,
)
from pyflossing.gradients import by_autograd
from pyflossing.gradients.by_autograd import FLOSSED
from pyflossing.julia_random import MersenneTwister
from pyflossing.model.loss import Parameters
from pyflossing.training.loop import run
from pyflossing.training.progress import Progress
from pyflossing.training.records import EpochRecord, FlossingRecord
from pyflossing.training.state import initial_parameters, initial_state

SMALL = TrainingConfig(
    network=TanhNetwork(),
    n_units=8,
    task=DelayedXOR(2),
    trials=Trials(batch_size=3, n_steps=12),
    flossing=Flossing(n_exponents=2, n_steps=14, trial_steps=16, schedule=FlossingSchedule(3, 2, 2, 2)),
    n_epochs=9,
)
NETWORKS = (TanhNetwork(), BinaryNetwork(), SpikingNetwork.published(), SpikingNetwork.per_step())


def _where(config):
    return [tuple(row) for row in train(config).flossing_epochs.tolist()]


@given(
    epochs=st.integers(0, 12),
    before=st.integers(0, 2),
    episode=st.integers(0, 2),
    period=st.integers(1, 5),
    n_episodes=st.integers(0, 3),
)
@settings(max_examples=15)
def test_episodes_come_before_training_and_then_every_period_until_spent(epochs, before, episode, period, n_episodes):
    schedule = FlossingSchedule(before, episode, period, n_episodes)
    config = replace(SMALL, n_epochs=epochs, flossing=replace(SMALL.flossing, schedule=schedule))
    expected = [(1, i + 1) for i in range(before if epochs else 0)]
    multiples = [e for e in range(2, epochs + 1) if e % period == 0][:n_episodes]
    expected += [(e, i + 1) for e in multiples for i in range(episode)]
    assert _where(config) == expected


def test_every_flossing_epoch_and_batch_has_its_own_input_seed(monkeypatch):
    seeds = []
    generate = DelayedXOR.generate

    def spy(self, batch_size, n_steps, seed, **rest):
        seeds.append((batch_size, n_steps, seed))
        return generate(self, batch_size, n_steps, seed, **rest)

    monkeypatch.setattr(DelayedXOR, "generate", spy)
    train(replace(SMALL, seeds=replace(SMALL.seeds, inputs=5), n_epochs=2))
    base = 2 * 5
    flossing = [(1, 16, base + 1 + i) for i in (1, 2, 3)]
    inter = [(1, 16, base + 2 + i) for i in (1, 2)]
    assert seeds == [*flossing, (3, 12, base + 1), *inter, (3, 12, base + 2)]


def test_trial_orders_are_shuffles_seeded_with_the_epoch():
    order = train(replace(SMALL, n_epochs=4)).trial_order
    assert order.tolist() == [list(MersenneTwister(epoch).shuffle(range(1, 4))) for epoch in (1, 2, 3, 4)]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.kind)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_run_repeats_bit_for_bit_whatever_the_thread_setting(network, dtype):
    config = replace(SMALL, network=network, dtype=dtype)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        first = train(config)
        assert torch.get_num_threads() == 2
        torch.set_num_threads(1)
        second = train(config)
    finally:
        torch.set_num_threads(before)
    assert first.same_numbers(second)
    assert first.final["J"].dtype == np.dtype(dtype)
    assert np.isfinite(first.loss).all()


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.kind)
def test_both_methods_of_gradients_train_alike(network):
    config = replace(SMALL, network=network, dtype="float64", n_epochs=4)
    fused, plain = train(config), train(config, method="autograd")
    np.testing.assert_allclose(fused.loss, plain.loss, rtol=1e-9)
    np.testing.assert_allclose(fused.spectra, plain.spectra, rtol=1e-8)
    np.testing.assert_allclose(fused.final["J"], plain.final["J"], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.kind)
def test_shapes_of_a_result(network):
    result = train(replace(SMALL, network=network))
    n_states = network.n_states(8)
    assert result.loss.shape == result.accuracy.shape == (9,)
    assert result.trial_order.shape == (9, 3)
    assert result.spectra.shape == (7, 2)
    assert result.flossing_loss.shape == (7,)
    assert result.flossing_epochs.shape == (7, 2)
    shapes = {"ws": (8, 1), "J": (8, 8), "wr": (1, 8), "b": (8,), "offset": (1,), "x0": (n_states, 3)}
    assert {name: array.shape for name, array in result.initial.items()} == shapes
    assert {name: array.shape for name, array in result.final.items()} == shapes
    assert {name: norms.shape for name, norms in result.gradient_norms.items()} == dict.fromkeys(shapes, (9,))


def test_records_tell_the_run_from_its_own_state():
    config = replace(SMALL, n_epochs=3)
    state = initial_state(config)
    records = list(run(config, state))
    epochs = [record for record in records if isinstance(record, EpochRecord)]
    assert [record.epoch for record in epochs] == [1, 2, 3] == list(range(1, state.epoch + 1))
    assert torch.equal(epochs[-1].updated.J, state.parameters.J)
    for earlier, later in pairwise(epochs[1:]):
        assert torch.equal(earlier.updated.wr, later.parameters.wr)
    flossed = [record for record in records if isinstance(record, FlossingRecord)]
    assert all(torch.equal(record.parameters.wr, flossed[0].parameters.wr) for record in flossed[:3])
    assert torch.equal(initial_parameters(config).x0, flossed[0].parameters.x0)


def test_a_run_continues_from_its_state():
    config = replace(SMALL, n_epochs=6)
    whole = initial_state(config)
    list(run(config, whole))
    interrupted = initial_state(config)
    for record in run(config, interrupted):
        if isinstance(record, EpochRecord) and record.epoch == 3:
            break
    list(run(config, interrupted))
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters, interrupted.parameters, strict=True))


def test_flossing_changes_the_recurrent_side_only_and_moves_exponents_to_the_target():
    flossing = Flossing(n_exponents=3, n_steps=40, trial_steps=40, schedule=FlossingSchedule.before_training(150))
    result = train(replace(SMALL, n_units=12, flossing=flossing, n_epochs=1))
    assert result.flossing_loss[-5:].mean() < result.flossing_loss[:5].mean() / 2
    only_training = train(replace(SMALL, n_units=12, flossing=replace(flossing, n_exponents=0), n_epochs=1))
    for name in ("wr", "offset", "x0"):
        step = np.abs(result.final[name] - result.initial[name]).max()
        assert step <= 0.00101  # one update of Adam, and nothing from flossing
    assert np.abs(result.final["J"] - only_training.final["J"]).max() > 0.01


@pytest.mark.parametrize("norm", [1e-3, 0.03])
def test_flossing_with_a_clip_norm_remembers_gradients_of_that_norm_at_most(norm):
    """Each array on its own; Adam's first moment after the first epoch is 1 - beta1 times what it was given."""
    config = replace(SMALL, flossing=replace(SMALL.flossing, clip_norm=norm, schedule=FlossingSchedule(2, 0, 1, 0)))
    first, second = (record for record in run(config, initial_state(config)) if isinstance(record, FlossingRecord))
    norms = {name: float(torch.linalg.vector_norm(gradient)) for name, gradient in first.gradients.items()}
    assert max(norms.values()) > norm
    for name, adam in second.adam.items():
        given_norm = float(torch.linalg.vector_norm(adam.m)) / (1 - config.optimiser.beta1)
        assert given_norm == pytest.approx(min(norms[name], norm), rel=1e-5)


def test_flossings_own_learning_rate_is_that_of_its_updates_alone():
    flossing = replace(SMALL.flossing, schedule=FlossingSchedule.before_training(1), learning_rate=0.0625)
    config = replace(SMALL, flossing=flossing, n_epochs=2)
    state = initial_state(config)
    before = state.parameters
    _, first, second = run(config, state)
    # Adam's first step is the learning rate in every entry whose gradient is not tiny
    for start, end, names, rate in (
        (before, first.parameters, FLOSSED, 0.0625),
        (first.parameters, second.parameters, Parameters._fields, 0.001),
    ):
        for name in names:
            assert float((getattr(end, name) - getattr(start, name)).abs().max()) == pytest.approx(rate, rel=1e-2)


def test_flossing_at_the_optimisers_rate_is_the_default():
    own = replace(SMALL.flossing, learning_rate=SMALL.optimiser.learning_rate)
    assert train(replace(SMALL, flossing=own)).same_numbers(train(SMALL))
    assert not train(replace(SMALL, flossing=replace(own, learning_rate=0.01))).same_numbers(train(SMALL))


def test_flossing_averages_over_its_trials():
    """Each from its own column of the initial state, and its own inputs."""
    schedule = FlossingSchedule.before_training(1)
    n_trials = SMALL.trials.batch_size + 1
    config = replace(SMALL, flossing=replace(SMALL.flossing, schedule=schedule, n_trials=n_trials))
    state = initial_state(config)
    start, frame, flossing = state.parameters, state.frame, config.flossing
    record = next(run(config, state))
    inputs = torch.from_numpy(config.task.generate(n_trials, flossing.trial_steps, config.input_seed(2)).inputs)
    alone = [
        by_autograd.flossing_gradient(
            config.network, start, start.x0[:, trial % SMALL.trials.batch_size], frame, inputs[:, :, trial],
            flossing.n_steps, flossing.target,
        )
        for trial in range(n_trials)
    ]  # fmt: skip
    np.testing.assert_allclose(record.exponents, np.mean([one.exponents.numpy() for one in alone], axis=0), rtol=1e-4)
    assert record.loss == pytest.approx(np.mean([one.loss for one in alone]), rel=1e-4)
    for name, gradient in record.gradients.items():
        mean = torch.stack([one.gradients[name] for one in alone]).mean(dim=0)
        torch.testing.assert_close(gradient, mean, rtol=1e-3, atol=1e-3 * float(mean.abs().max()))


@pytest.mark.parametrize("flossing_epochs", [0, 1])
def test_an_offset_of_the_inputs_acts_like_a_bias_along_the_input_weights(flossing_epochs):
    offset, schedule = -0.75, FlossingSchedule.before_training(flossing_epochs)
    config = replace(SMALL, dtype="float64", flossing=replace(SMALL.flossing, schedule=schedule))
    shifted = replace(config, trials=replace(config.trials, offset=offset))
    state = initial_state(config)
    p = state.parameters
    state.parameters = p._replace(b=p.b + offset * p.ws[:, 0])
    biased, offsetted = next(run(config, state)), next(run(shifted, initial_state(shifted)))
    assert isinstance(biased, FlossingRecord if flossing_epochs else EpochRecord)
    assert offsetted.loss == pytest.approx(biased.loss, rel=1e-10)
    found, wanted = (r.gradients if flossing_epochs else r.gradients._asdict() for r in (offsetted, biased))
    for name in ("ws", "J", "b"):
        also = offset * wanted["b"][:, None] if name == "ws" else 0
        torch.testing.assert_close(found[name], wanted[name] + also, rtol=1e-8, atol=1e-14)


def test_no_exponents_no_epochs_and_a_copy_without_delay_are_legal():
    nothing = train(replace(SMALL, n_epochs=0))
    assert nothing.loss.shape == (0,)
    assert all(np.array_equal(nothing.initial[name], nothing.final[name]) for name in nothing.final)
    quiet = train(replace(SMALL, flossing=replace(SMALL.flossing, n_exponents=0)))
    assert quiet.spectra.size == quiet.flossing_loss.size == quiet.flossing_epochs.size == 0
    copy = train(replace(SMALL, task=DelayedCopy(0)))
    assert len(copy.loss) == 9


def test_adaptive_episodes_follow_gradients_of_the_initial_state_that_vanish_or_explode():
    schedule = AdaptiveSchedule(threshold=1e9, episode=1, n_episodes=2, before=1, cooldown=3)
    config = replace(SMALL, flossing=replace(SMALL.flossing, schedule=schedule))
    assert _where(config) == [(1, 1), (2, 1), (5, 1)]
    never = replace(schedule, threshold=1e-30)
    assert _where(replace(config, flossing=replace(config.flossing, schedule=never))) == [(1, 1)]
    exploding = replace(never, ceiling=1e-29)
    assert _where(replace(config, flossing=replace(config.flossing, schedule=exploding))) == [(1, 1), (2, 1), (5, 1)]


def test_a_number_that_is_not_finite_stops_the_run_and_names_its_place():
    wild = replace(SMALL, weights=WeightDistribution(input_spread=3e38))
    with pytest.raises(NonFiniteError, match=r"epoch 1, .*step 1"):
        train(wild)
    dead = replace(SMALL, weights=WeightDistribution(gain=0.0))
    with pytest.raises(NonFiniteError, match=r"-inf \(epoch 1, flossing epoch 1, step 1\)") as caught:
        train(dead)
    assert caught.value.quantity == "exponent"


def test_progress_off_a_terminal_is_a_few_plain_lines():
    stream = io.StringIO()
    train(SMALL, [Progress(SMALL.n_epochs, stream)])
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("epoch 1: flossing epoch 1  loss ")
    assert lines[-1].startswith("epoch 9/9  loss ")
    assert "\r" not in stream.getvalue()
    assert len(lines) <= 9 + 3


def test_progress_on_a_terminal_rewrites_one_line():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    train(SMALL, [Progress(SMALL.n_epochs, stream)])
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().startswith("\r")


@pytest.mark.parametrize(("n_units", "threads"), [(8, 1), (256, 2)])
def test_small_networks_take_one_thread_and_the_setting_is_restored(n_units, threads):
    before, seen = torch.get_num_threads(), []
    config = replace(SMALL, n_units=n_units, n_epochs=1, flossing=replace(SMALL.flossing, n_exponents=0))
    torch.set_num_threads(2)
    try:
        train(config, [lambda record: seen.append(torch.get_num_threads())])
        assert (seen, torch.get_num_threads()) == ([threads], 2)
    finally:
        torch.set_num_threads(before)
