"""Claims about the compiled kernel: it computes what torch does, on every kind of CPU, and is there or is not."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from kernel_paths import KINDS, PATHS, needs_kernel, using, using_kind
from network_cases import factor_networks, networks, random_frame, random_parameters, random_trials, seeds, surrogates

from pyflossing import TrainingConfig
from pyflossing.gradients import flossing_pass, training_pass
from pyflossing.gradients.kernel import build, library
from pyflossing.gradients.kernel.passes import States
from pyflossing.model.loss import drive, trajectory
from pyflossing.model.networks import BinaryNetwork, SpikingNetwork, TanhNetwork
from pyflossing.model.spectrum import logarithms
from pyflossing.runs import train_in
from pyflossing.training.optimiser import AdamState, Rates, adam_updates

ROUNDINGS = {torch.float64: 1e-10, torch.float32: 2e-3}
"""Largest difference of gradients relative to their largest entry: a few thousand roundings of tens of steps."""

_per_step = st.just(SpikingNetwork.per_step())
kinds = pytest.mark.parametrize("kind", KINDS or [pytest.param("none", marks=needs_kernel)])
types = pytest.mark.parametrize("dtype", ROUNDINGS)


def _far_from_thresholds(network, p, inputs):
    """Else a rounding decides whether a unit fires."""
    if isinstance(network, TanhNetwork):
        return True
    states = trajectory(network, p.J, p.x0, drive(p.ws, p.b, inputs))
    seen = torch.cat([p.x0[None], states])[:, : len(p.J)] - getattr(network, "threshold", 0.0)
    return float(seen.abs().min()) > 1e-5


def _require_close(ours, theirs, bound):
    scale = max(1e-3, *(float(x.abs().max()) for x in theirs))
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape
        assert float((one.double() - other.double()).abs().max()) <= bound * scale


@kinds
@types
@given(
    network=networks | _per_step,
    n=st.integers(1, 41),
    steps=st.integers(1, 20),
    batch=st.sampled_from([1, 2, 3, 5, 16, 150]),
    channels=st.integers(1, 3),
    seed=seeds,
    data=st.data(),
)
def test_training_gradients_are_those_of_torch(kind, dtype, network, n, steps, batch, channels, seed, data):
    first = data.draw(st.integers(0, steps))
    p = random_parameters(network, n, batch, seed, n_inputs=channels, dtype=dtype)
    inputs, targets = random_trials(steps, batch, seed, n_inputs=channels, dtype=dtype)
    assume(_far_from_thresholds(network, p, inputs))
    with using("torch"):
        theirs = training_pass.training_gradient(network, p, inputs, targets, first)
    with using_kind(kind):
        ours = training_pass.training_gradient(network, p, inputs, targets, first)
    assert ours.loss == pytest.approx(theirs.loss, rel=ROUNDINGS[dtype])
    _require_close(ours.gradients, theirs.gradients, ROUNDINGS[dtype])


@kinds
@types
@given(
    network=networks | _per_step | factor_networks,
    n=st.integers(1, 41),
    steps=st.integers(13, 30),
    seed=seeds,
    data=st.data(),
)
def test_flossing_gradients_are_those_of_torch(kind, dtype, network, n, steps, seed, data):
    k = data.draw(st.integers(1, min(n, 21)))
    p = random_parameters(network, n, 1, seed, dtype=dtype)
    inputs, _ = random_trials(steps, 1, seed, dtype=dtype)
    frame = random_frame(network.n_states(n), k, seed, dtype=dtype)
    logs = logarithms(network, p.J, p.x0[:, 0], frame, drive(p.ws, p.b, inputs)[:, :, 0], steps)
    assume(_far_from_thresholds(network, p, inputs))
    assume(float(logs.min()) > (-8 if dtype is torch.float64 else -2))
    arguments = (network, p, p.x0[:, 0], frame, inputs[:, :, 0], steps, -0.1)
    with using("torch"):
        theirs = flossing_pass.flossing_gradient(*arguments)
    with using_kind(kind):
        ours = flossing_pass.flossing_gradient(*arguments)
    # as much as autograd and torch may differ by, see test_fused.py: a step magnifies roundings by its condition
    bound = {torch.float64: 1e-8, torch.float32: 1e-2}[dtype]
    _require_close([ours.exponents], [theirs.exponents], bound)
    _require_close(ours.gradients.values(), theirs.gradients.values(), bound)


def _one_step(kind, network, x, weights=None):
    """States after one step with J = 1 and nothing else, and dL/dx0 for L = the sum of these states."""
    n = len(x)
    J, zeros, inputs = (
        torch.eye(n, dtype=x.dtype),
        torch.zeros(n, 1, dtype=x.dtype),
        torch.zeros(1, 1, 1, dtype=x.dtype),
    )
    kernel = library.load(x.dtype, kind)
    states = States(kernel, network, zeros, J, zeros[:, 0].clone(), None, x[:, None].clone(), inputs)
    after = states.seen[1, 0].clone()
    return after, states.adjoint(None, torch.ones(1, 1, n, dtype=x.dtype)).x0[:, 0]


@kinds
@types
def test_tanh_is_right_to_three_roundings(kind, dtype):
    sizes = torch.logspace(-30, 1.5, 60, dtype=torch.float64)
    x = torch.cat(
        [torch.linspace(-2, 2, 61, dtype=torch.float64), sizes, -sizes, torch.tensor([-torch.inf, torch.inf])]
    )
    x = x.to(dtype)
    ours, _ = _one_step(kind, TanhNetwork(), x)
    true = torch.tanh(x.double())
    assert (
        float(((ours.double() - true).abs() / true.abs().clamp_min(1e-300)).nan_to_num(0).max())
        < 3 * torch.finfo(dtype).eps
    )
    assert _one_step(kind, TanhNetwork(), torch.tensor([torch.nan], dtype=dtype))[0].isnan().all()


@kinds
@types
@given(surrogate=surrogates)
def test_surrogates_are_right_to_a_few_roundings(kind, dtype, surrogate):
    x = torch.linspace(-6, 6, 97, dtype=torch.float64).to(dtype)
    _, slopes = _one_step(kind, BinaryNetwork(surrogate), x)
    assert float((slopes.double() - surrogate.derivative(x.double())).abs().max()) < 8 * torch.finfo(dtype).eps


@needs_kernel
@pytest.mark.parametrize(
    "network",
    [TanhNetwork(), SpikingNetwork.published(), replace(SpikingNetwork.per_step(), jacobian_reset="factor")],
)
def test_results_do_not_depend_on_addresses(network):
    p = random_parameters(network, 13, 3, 1, dtype=torch.float32)
    inputs, targets = random_trials(20, 3, 1, dtype=torch.float32)
    frame = random_frame(network.n_states(13), 7, 1, dtype=torch.float32)

    def moved(x):
        room = torch.empty(x.numel() + 1, dtype=x.dtype)
        room[1:] = x.flatten()
        return room[1:].view(x.shape)

    def results(p, inputs, targets, frame):
        with using("compiled"):
            training = training_pass.training_gradient(network, p, inputs, targets, 2)
            flossing = flossing_pass.flossing_gradient(network, p, p.x0[:, 0], frame, inputs[:, :, 0], 20, 0.0)
        return [*training.gradients, *flossing.gradients.values(), flossing.exponents]

    there = results(type(p)(*map(moved, p)), moved(inputs), moved(targets), moved(frame))
    for one, other in zip(results(p, inputs, targets, frame), there, strict=True):
        assert torch.equal(one, other)


@kinds
@types
@pytest.mark.parametrize("wide", [torch.float64, None])
def test_updates_have_the_bits_of_torch(kind, dtype, wide):
    rng = torch.Generator().manual_seed(1)
    rates = Rates(0.0010000000474974513, 0.9, 0.999)
    parameters = [torch.randn(*shape, generator=rng, dtype=dtype) for shape in ((13, 7), (1,), (2, 5, 3))]
    sizes = [
        torch.randn(x.shape, generator=rng, dtype=dtype) * 10.0 ** torch.randint(-12, 3, x.shape, generator=rng)
        for x in parameters
    ]
    results = []
    for context in (using("torch"), using_kind(kind)):
        with context:
            new, states = parameters, [AdamState.fresh(x, rates) for x in parameters]
            for turn in range(3):
                gradients = [(x.roll(turn)).to(wide or dtype) for x in sizes]
                new, states = adam_updates(new, gradients, states, rates)
            results.append([*new, *(x for state in states for x in (state.m, state.v))])
    for ours, theirs in zip(*results, strict=True):
        assert torch.equal(ours, theirs)


@needs_kernel
def test_large_networks_other_types_and_other_devices_are_left_to_torch():
    with using("compiled"):
        assert library.kernel_for(80, torch.zeros(3)) is not None
        for units, arrays in (
            (5000, [torch.zeros(3)]),
            (80, [torch.zeros(3), torch.zeros(3).double()]),
            (80, [torch.zeros(3, dtype=torch.float16)]),
            (80, [torch.zeros(3, device="meta")]),
        ):
            assert library.kernel_for(units, *arrays) is None


@pytest.mark.parametrize("path", PATHS)
def test_shapes_that_do_not_belong_together_are_refused(path):
    network = TanhNetwork()
    p = random_parameters(network, 5, 3, 1)
    inputs, targets = random_trials(14, 3, 1)
    frame = random_frame(5, 2, 1)
    with using(path):
        for wrong in (
            p._replace(J=p.J[:4]),
            p._replace(x0=p.x0[:, :2]),
            p._replace(b=p.b[:3]),
            p._replace(wr=p.wr[:, :2]),
        ):
            with pytest.raises((RuntimeError, ValueError)):
                training_pass.training_gradient(network, wrong, inputs, targets, 1)
        with pytest.raises((RuntimeError, ValueError)):
            flossing_pass.flossing_gradient(network, p, p.x0[:4, 0], frame, inputs[:, :, 0], 14, 0.0)
        with pytest.raises((RuntimeError, ValueError)):
            flossing_pass.flossing_gradient(network, p, p.x0[:, 0], frame[:4], inputs[:, :, 0], 14, 0.0)


@pytest.mark.parametrize("path", PATHS)
def test_the_path_is_named(path):
    with using(path):
        assert library.path_in_use().split()[0] == path


def test_a_wrong_path_is_refused_before_anything_is_written(tmp_path):
    with using("fast"), pytest.raises(ValueError, match="PYFLOSSING_KERNEL = 'fast' is not allowed"):
        train_in(tmp_path / "run", TrainingConfig())
    assert not (tmp_path / "run").exists()


def test_without_libraries_torch_is_used_unless_the_kernel_is_asked_for(monkeypatch, tmp_path):
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    with using(""):
        assert library.path_in_use() == "torch"
    with using("compiled"), pytest.raises(FileNotFoundError, match="compiled when pyflossing is installed"):
        library.path_in_use()


@needs_kernel
def test_a_library_of_other_sources_is_not_used(monkeypatch):
    monkeypatch.setattr(library, "_SOURCES", "of later ones")
    with using(""), pytest.warns(UserWarning, match="compiled from other sources"):
        assert library.path_in_use() == "torch"
    with using("compiled"), pytest.raises(OSError, match="install pyflossing again"):
        library.path_in_use()


@pytest.mark.parametrize("compiler", ["", "no-such-compiler", "false"])
def test_without_a_working_compiler_nothing_is_built(compiler, tmp_path):
    call = f"runpy.run_path({build.__file__!r})['build'](Path({str(tmp_path)!r}))"
    program = f"from pathlib import Path; import runpy; print({call})"
    result = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {"CC": compiler}, capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"
    assert "remain in torch" in result.stderr
    assert list(tmp_path.iterdir()) == []
