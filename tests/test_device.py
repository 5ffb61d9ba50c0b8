"""Claims about runs on a GPU: on a stand-in for one, everywhere; and the same on a real one, where there is one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bad_values import NO_NUMBERS, assert_refused
from cli.program import quick
from device_cases import SMALL, each_network, require_same_to_rounding
from kernel_paths import needs_kernel, using
from stand_in_gpu import NAME, stand_in
from typer.testing import CliRunner

from pyflossing import (
    FlossingSchedule,
    NonFiniteError,
    Seeds,
    TanhNetwork,
    TrainingConfig,
    TrainingResult,
    Trials,
    train,
    train_ensemble,
)
from pyflossing._support.devices import CPU, require_device
from pyflossing.cli.app import app
from pyflossing.model.loss import Parameters
from pyflossing.runs import Stopped, resume, train_in
from pyflossing.runs.checkpoints import Checkpoint
from pyflossing.sweeps.tasks import Task, run_task
from pyflossing.training import ensemble
from pyflossing.training.epochs import epochs_to_run, flossing_episode, training_epoch
from pyflossing.training.state import initial_parameters, initial_state
from pyflossing.training.trial_spectra import trial_spectra


@pytest.fixture(params=["stand-in", "real"])
def name(request):
    """Of each of the GPUs."""
    if request.param == "stand-in":
        request.getfixturevalue("gpu")
    elif not torch.cuda.is_available():
        pytest.skip("NO GPU: torch sees none")
    with using("torch"):
        yield torch.cuda.get_device_name()


# --- which device ---------------------------------------------------------------------------------------------------


def test_other_names_than_those_of_a_cpu_or_a_gpu_are_refused():
    names = (
        "mps",
        "CUDA",
        "cuda:",
        "cuda:-1",
        "cuda:01",
        "cuda:1000",
        "cuda:٣",
        "cpu:0",
        "gpu",
        "meta",
        torch.device("mps"),
    )
    for value in (*names, *NO_NUMBERS):
        assert_refused("device", lambda value=value: train(SMALL, device=value))
    with pytest.raises(
        ValueError, match="'mps' is not allowed: it must be 'cpu', 'cuda' or 'cuda:N': 'mps' has no Float"
    ):
        train(SMALL, device="mps")


def test_where_torch_sees_no_gpu_it_says_so_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    why = rf"^device = 'cuda' is not allowed: it must be 'cpu': this torch \({torch.__version__[0]}.* (CUDA|no GPU)$"
    for call in (
        lambda: train(SMALL, device="cuda"),
        lambda: train_ensemble([SMALL], device="cuda"),
        lambda: train_in(tmp_path / "run", SMALL, device="cuda"),
    ):
        with pytest.raises(ValueError, match=why):
            call()
    assert not list(tmp_path.iterdir())


def test_of_several_gpus_the_named_one_is_taken_and_others_are_listed(monkeypatch):
    with stand_in():
        assert (
            require_device("device", "cuda")
            == require_device("device", torch.device("cuda", 0))
            == torch.device("cuda:0")
        )
        assert require_device("device", np.str_("cpu")) == CPU
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
        assert require_device("device", "cuda") == torch.device("cuda:1")
        assert require_device("device", "cuda:2") == torch.device("cuda:2")
        listed = (
            rf"'cuda:3' is not allowed: it must be 'cpu', 'cuda' or a GPU that torch sees: cuda:0 \({NAME}\), cuda:1 "
        )
        with pytest.raises(ValueError, match=listed):
            require_device("device", "cuda:3")


# --- a whole run ----------------------------------------------------------------------------------------------------


@each_network
@pytest.mark.parametrize("clip_norm", [float("inf"), 0.01])
def test_a_run_on_a_gpu_is_that_of_the_cpu_to_rounding(network, clip_norm, name):
    """Nothing is mixed, read as numpy's or left behind: the stand-in would refuse it."""
    config = replace(SMALL, network=network, flossing=replace(SMALL.flossing, n_trials=2, clip_norm=clip_norm))
    result, alone = train(config, device="cuda"), train(config)
    assert (result.versions["passes"], alone.versions["passes"]) == (f"torch on cuda:0 ({name})", "torch")
    require_same_to_rounding(result, alone)
    if clip_norm < 1:  # one of the two suffices: it takes most of the time
        require_same_to_rounding(train(config, device="cuda", method="autograd"), alone)
    assert train(config, device="cuda").same_numbers(result)


@needs_kernel
def test_the_compiled_kernel_is_the_cpus_alone():
    """It would ask the stand-in for addresses."""
    with using("compiled"), stand_in():
        result = train(SMALL, device="cuda")
        assert result.versions["passes"] == f"torch on cuda:0 ({NAME})"
        assert train(SMALL).versions["passes"].startswith("compiled")
        require_same_to_rounding(result, train(SMALL))


class OwnNetwork(TanhNetwork):
    """Of a user: by autograd."""


def test_a_network_of_ones_own_runs_there_too(name):
    config = replace(SMALL, network=OwnNetwork())
    require_same_to_rounding(train(config, device="cuda"), train(config))


@each_network
@pytest.mark.parametrize("n_units, batch", [(7, 3), (80, 16), (301, 5)])
def test_an_epoch_on_a_gpu_has_the_numbers_of_the_cpu(network, n_units, batch, name):
    config = replace(SMALL, network=network, n_units=n_units, trials=Trials(batch, 40))
    _require_one_epoch(config, 1e-8)


def test_an_epoch_on_a_gpu_has_the_numbers_of_the_cpu_in_float32(name):
    """The bound is that of sums in another order in tests/test_kernel.py; a spike that turns has no bound."""
    _require_one_epoch(replace(SMALL, n_units=80, trials=Trials(16, 40), dtype="float32"), 2e-3)


def _require_one_epoch(config: TrainingConfig, bound: float) -> None:
    """Every number of one flossing epoch, and of a training epoch that starts from the same parameters."""
    config = replace(config, flossing=replace(config.flossing, schedule=FlossingSchedule.before_training(1)))
    here, there = initial_state(config), initial_state(config).to(torch.device("cuda:0"))
    (theirs,), (ours,) = (list(flossing_episode(config, state, 1)) for state in (here, there))
    np.testing.assert_allclose(ours.exponents, theirs.exponents, rtol=bound, atol=bound)
    assert ours.loss == pytest.approx(theirs.loss, rel=bound)
    for name, gradient in theirs.gradients.items():
        _require_close(ours.gradients[name], gradient, bound)
    there = here.to(torch.device("cuda:0"))
    epoch, order = next(epochs_to_run(config, here))
    theirs, ours = (training_epoch(config, state, epoch, order) for state in (here, there))
    assert ours.loss == pytest.approx(theirs.loss, rel=bound)
    assert ours.accuracy == pytest.approx(theirs.accuracy, abs=2 / (config.trials.batch_size * config.trials.n_steps))
    assert ours.gradient_norms == pytest.approx(theirs.gradient_norms, rel=bound)
    for gradient, wanted in zip(ours.gradients, theirs.gradients, strict=True):
        _require_close(gradient, wanted, bound)


def _require_close(ours: torch.Tensor, theirs: torch.Tensor, bound: float) -> None:
    assert ours.is_cuda
    assert float((ours.cpu() - theirs).abs().max()) <= bound * max(1e-3, float(theirs.abs().max()))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_cpu_is_the_default_and_has_its_own_bits(dtype):
    config = replace(SMALL, dtype=dtype)
    assert train(config).same_numbers(train(config, device="cpu"))
    assert train(config, device=torch.device("cpu")).versions == train(config).versions


@each_network
@pytest.mark.parametrize("at_once", [2, 5])
def test_an_ensemble_there_has_the_networks_that_the_cpu_has_alone(network, at_once, name, monkeypatch):
    monkeypatch.setattr(ensemble, "_AT_ONCE", 2)
    monkeypatch.setattr(ensemble, "_STATES_AT_ONCE", at_once * SMALL.n_units * 3 * 12)
    members = [replace(SMALL, network=network, seeds=Seeds(i, i, i, i)) for i in (1, 2, 3)]
    for result, config in zip(train_ensemble(members, device="cuda:0"), members, strict=True):
        assert result.versions["passes"] == f"torch on cuda:0 ({name})"
        require_same_to_rounding(result, train(config))


@each_network
def test_a_spectrum_there_is_that_of_the_cpu(network, name):
    config = replace(SMALL, network=network, n_units=33)
    p = initial_parameters(config)
    here = trial_spectra(config, p, 5, 60, 4)
    there = trial_spectra(config, Parameters(*(x.to("cuda") for x in p)), 5, 60, 4)
    assert there.exponents.is_cuda
    torch.testing.assert_close(there.exponents.cpu(), here.exponents, rtol=1e-8, atol=1e-8)


def test_what_is_not_finite_is_told_in_the_same_words(gpu):
    exploding = replace(SMALL, weights=replace(SMALL.weights, gain=1e30), dtype="float32")
    wild = replace(SMALL, optimiser=replace(SMALL.optimiser, learning_rate=3e38), dtype="float32")
    for config in (exploding, wild):
        with pytest.raises(NonFiniteError) as there:
            train(config, device="cuda")
        with pytest.raises(NonFiniteError) as here:
            train(config)
        assert str(there.value) == str(here.value)
    with pytest.raises(NonFiniteError, match="network 0 of the ensemble"):
        train_ensemble([wild, replace(wild, seeds=Seeds(network=2))], device="cuda")


# --- folders, commands ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first, second", [("cpu", "cuda"), ("cuda", "cpu"), ("cuda", "cuda")])
def test_a_run_that_was_stopped_goes_on_on_any_device(first, second, tmp_path, name):
    whole = train(SMALL, device=first)
    for n in (0, 4, len(whole.loss) + len(whole.flossing_loss) - 2):
        folder, left = tmp_path / str(n), iter(range(n, -1, -1))
        with pytest.raises(Stopped):
            train_in(folder, SMALL, stop=lambda left=left: next(left) == 0, device=first)
        assert Checkpoint.load(folder / "checkpoint.npz").state.parameters.J.device == CPU
        went_on = resume(folder, device=second)
        require_same_to_rounding(went_on, whole)
        if first == second:
            assert went_on.same_numbers(whole)
        assert went_on.versions["passes"] == ("torch" if second == "cpu" else f"torch on cuda:0 ({name})")
        assert TrainingResult.load(folder / "result.npz").config == SMALL


def test_commands_say_on_which_gpu(tmp_path, monkeypatch, gpu):
    def call(*words):
        return CliRunner().invoke(app, list(words))

    monkeypatch.chdir(tmp_path)
    quick(Path("a.toml"))
    said = call("train", "a.toml", "--device", "cuda")
    assert said.stdout.splitlines()[0] == f"new run in runs/a on cuda:0 ({NAME})"
    assert call("train", "a.toml", "--device", "cuda").stdout.startswith(
        "runs/a holds the finished run of these settings\n"
    )
    assert f"passes torch on cuda:0 ({NAME})" in call("show", "runs/a").stdout
    there, here = (
        json.loads(call("spectrum", "runs/a", "--steps", "20", "--json", "--device", device).stdout)["exponents"]
        for device in ("cuda", "cpu")
    )
    np.testing.assert_allclose(there, here, atol=1e-5)
    for words in (("train", "a.toml", "-o", "b"), ("spectrum", "a.toml")):
        refused = call(*words, "--device", "cuda:1")
        assert refused.exit_code == 2
        assert (
            "--device = 'cuda:1' is not allowed: it must be 'cpu', 'cuda' or a GPU that torch sees: cuda:0"
            in refused.stderr
        )
    assert not Path("b").exists()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_jobs_of_a_sweep_run_there_alone_and_as_an_ensemble(n_jobs, tmp_path, gpu):
    """As a worker does them."""
    configs = [replace(SMALL, seeds=Seeds(network=i)) for i in range(1, n_jobs + 1)]
    folders = [str(tmp_path / str(i)) for i in range(n_jobs)]
    lease = tmp_path / "lease"
    lease.touch()
    outcome = run_task(
        Task(
            folders=folders, configs=[config.to_toml() for config in configs], lease=str(lease), parent=None,
            checkpoint_every=30.0, device="cuda",
        )
    )  # fmt: skip
    assert (outcome["state"], outcome["error"]) == ("done", "")
    for folder, config in zip(folders, configs, strict=True):
        found = TrainingResult.load(Path(folder) / "result.npz")
        assert found.versions["passes"] == f"torch on cuda:0 ({NAME})"
        require_same_to_rounding(found, train(config))
