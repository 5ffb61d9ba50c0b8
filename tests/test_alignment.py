"""Claims about where arrays lie in memory: it does not change a bit of what is computed from them."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from network_cases import networks, random_frame, random_parameters, random_trials, seeds
from run_cases import NETWORKS, moved, placed, random_config, same_end

from pyflossing import (
    DelayedXOR,
    Flossing,
    FlossingSchedule,
    NonFiniteError,
    Seeds,
    TrainingConfig,
    Trials,
    lyapunov_spectrum,
    train,
    train_ensemble,
)
from pyflossing._support.alignment import BYTES, aligned
from pyflossing.gradients import by_autograd, flossing_pass, functions, training_pass
from pyflossing.model.loss import Parameters, drive, relax
from pyflossing.runs.checkpoints import Checkpoint
from pyflossing.training.ensemble import run_ensemble
from pyflossing.training.history import History
from pyflossing.training.loop import run
from pyflossing.training.state import initial_state

ODD = TrainingConfig(
    n_units=10,
    task=DelayedXOR(1),
    trials=Trials(3, 9),
    flossing=Flossing(4, 0.0, 14, 16, FlossingSchedule(2, 1, 2, 1)),
    n_epochs=4,
)


def end_when_moved(config, chance, offset=None, method="fused"):
    """The run whose arrays are put to another place before every update."""
    state, history = moved(initial_state(config), chance, offset), History()
    initial = state.parameters
    try:
        for record in run(config, state, method):
            history(record)
            state.__dict__.update(moved(state, chance, offset).__dict__)
    except NonFiniteError as error:
        return str(error)
    return history.result(config, initial, state.parameters, 0.0)


@given(seed=seeds)
def test_a_run_of_any_size_network_and_type_has_the_same_bits_wherever_its_arrays_lie(seed):
    chance = random.Random(seed)
    config = random_config(chance, n_epochs=3)
    assert same_end(config, end_when_moved(config, chance))


@pytest.mark.parametrize("method", ["fused", "autograd"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.kind)
def test_every_offset_gives_the_same_bits(network, dtype, method):
    config = replace(ODD, network=network, dtype=dtype)
    whole = train(config, method=method)
    for offset in [o for o in (0, 4, 8, 16, 20, 32, 40, 60) if o < BYTES and (dtype == "float32" or o % 8 == 0)]:
        assert end_when_moved(config, random.Random(0), offset, method).same_numbers(whole), offset


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.kind)
def test_a_loaded_checkpoint_may_lie_anywhere(network, tmp_path):
    config = replace(ODD, network=network, n_units=13)
    begun = Checkpoint.of_new_run(config)
    for _, record in zip(range(3), run(config, begun.state), strict=False):
        begun.history(record)
    begun.save(tmp_path / "c.npz")
    whole = train(config)
    for offset in range(0, BYTES, 4):
        checkpoint = Checkpoint.load(tmp_path / "c.npz")
        state = moved(checkpoint.state, random.Random(0), offset)
        for record in run(config, state):
            checkpoint.history(record)
        assert checkpoint.history.result(config, checkpoint.initial, state.parameters, 0.0).same_numbers(whole)


def test_initial_updated_and_loaded_arrays_have_the_strides_of_new_ones(tmp_path):
    for network in NETWORKS:
        config = replace(ODD, network=network, trials=Trials(1, 9), n_units=5)
        checkpoint = Checkpoint.of_new_run(config)
        for record in run(config, checkpoint.state):
            checkpoint.history(record)
        checkpoint.save(tmp_path / "c.npz")
        for state in (initial_state(config), checkpoint.state, Checkpoint.load(tmp_path / "c.npz").state):
            adam = [x for of in (*state.training_adam.values(), *state.flossing_adam.values()) for x in (of.m, of.v)]
            for x in (*state.parameters, state.frame, *adam):
                assert x.stride() == torch.empty(x.shape).stride()


def test_an_ensemble_has_the_same_bits_wherever_its_arrays_lie():
    for dtype in ("float32", "float64"):
        members = [replace(ODD, n_units=11, dtype=dtype, seeds=Seeds(network=i)) for i in (1, 2, 3)]
        results, chance = train_ensemble(members), random.Random(1)
        states = [moved(initial_state(config), chance) for config in members]
        for _ in run_ensemble(members, states):
            for state in states:
                state.__dict__.update(moved(state, chance).__dict__)
        for result, state in zip(results, states, strict=True):
            for name, x in state.parameters._asdict().items():
                assert x.numpy().tobytes() == result.final[name].tobytes()


def test_a_run_has_the_same_bits_after_other_runs_of_other_sizes():
    chance = random.Random(3)
    configs = [random_config(chance, n_epochs=2) for _ in range(12)]
    kept, firsts = [], []
    for config in configs:
        firsts.append(end_of(config))
        kept.append(bytearray(chance.randrange(1, 100_000)))  # malloc's next places are others
    for config, first in reversed(list(zip(configs, firsts, strict=True))):
        assert same_end(config, first)


def end_of(config):
    try:
        return train(config)
    except NonFiniteError as error:
        return str(error)


@given(
    network=networks, n=st.integers(2, 60), trials=st.integers(1, 9), channels=st.integers(1, 3), seed=seeds,
    dtype=st.sampled_from([torch.float32, torch.float64]), data=st.data(),
)  # fmt: skip
def test_every_pass_gives_the_same_bits_for_arrays_anywhere_in_any_layout(
    network, n, trials, channels, seed, dtype, data
):
    chance = random.Random(seed)
    p = random_parameters(network, n, trials, seed, dtype=dtype, n_inputs=channels)
    inputs, targets = random_trials(16, trials, seed, dtype=dtype, n_inputs=channels)
    targets = targets[:, :1].contiguous()
    frame = aligned(random_frame(network.n_states(n), data.draw(st.integers(1, min(n, 12))), seed, dtype=dtype))
    x = p.x0[:, 0].contiguous()

    def anywhere(t):
        found = placed(t, chance.randrange(0, 64, t.element_size()))
        return placed(found.mT, 0).mT if t.dim() > 1 and chance.random() < 0.5 else found

    def results(p, inputs, targets, frame, x):
        for module in (training_pass, by_autograd):
            yield from module.training_gradient(network, p, inputs, targets, 2).gradients
        for module in (flossing_pass, by_autograd):
            yield from module.flossing_gradient(network, p, x, frame, inputs[:, :, 0], 14, 0.0).gradients.values()
        u = drive(p.ws, p.b, inputs)
        seen = functions.trajectory(network, p.J.requires_grad_(), p.x0, u)
        yield from (seen.detach(), *torch.autograd.grad(seen.sum(), p.J))
        logs = functions.logarithms(network, p.J, x, frame, u[:, :, 0], 14)
        yield from (logs.detach(), *torch.autograd.grad(logs.sum(), p.J))
        yield relax(network, p.J.detach(), p.b, p.x0[:n])

    try:
        expected = list(results(p, inputs, targets, frame, x))
    except NonFiniteError:
        return
    elsewhere = results(Parameters(*map(anywhere, p)), *map(anywhere, (inputs, targets, frame, x)))
    for found, of in zip(elsewhere, expected, strict=True):
        assert found.numpy().tobytes() == of.numpy().tobytes()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_spectra_of_a_cell_have_the_same_bits_for_states_inputs_and_frames_anywhere(dtype):
    for n in (5, 10, 18):
        cell = torch.nn.RNNCell(3, n, dtype=dtype)
        state, inputs, frame = torch.randn(2, n, dtype=dtype), torch.randn(30, 2, 3, dtype=dtype), random_frame(n, 4, 1)
        arrays = (state, inputs, aligned(frame.to(dtype)))
        expected = lyapunov_spectrum(cell, arrays[0], arrays[1], 4, frame=arrays[2]).logs
        for offset in range(0, BYTES, state.element_size()):
            moved_arrays = [placed(t, offset) for t in arrays]
            found = lyapunov_spectrum(cell, moved_arrays[0], moved_arrays[1], 4, frame=moved_arrays[2]).logs
            assert found.numpy().tobytes() == expected.numpy().tobytes()


def test_aligned_is_the_array_itself_or_a_copy_in_a_new_array_s_place_and_layout():
    for shape in ((1,), (7,), (3, 5), (5, 1), (1, 5), (2, 3, 4)):
        new = torch.zeros(shape)
        assert new.data_ptr() % BYTES == 0, "torch aligns new arrays no more; this package relies on it"
        assert aligned(new) is new
        for offset in range(4, BYTES, 4):
            x = placed(torch.rand(shape), offset)
            for y in (x, x.mT) if len(shape) > 1 else (x,):
                found = aligned(y)
                assert torch.equal(found, y)
                assert found.data_ptr() % BYTES == 0
                assert found.stride() == torch.empty(y.shape).stride()


def test_aligned_passes_gradients_on_and_works_within_torch_func():
    x = placed(torch.rand(3, 5, dtype=torch.float64), 8).requires_grad_()
    assert torch.autograd.gradcheck(aligned, x)
    assert torch.equal(torch.func.jacrev(aligned)(x.detach()[0]), torch.eye(5, dtype=torch.float64))
