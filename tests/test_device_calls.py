"""Claims about what a run asks of a GPU, made on a stand-in for one: few transfers, and functions that GPUs have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torchgen
import yaml
from device_cases import NETWORKS, SMALL, each_network
from network_cases import random_frame, random_parameters, random_trials
from stand_in_gpu import put

from pyflossing import (
    Flossing,
    FlossingSchedule,
    Seeds,
    Trials,
    train,
    train_ensemble,
)
from pyflossing._support.devices import CPU
from pyflossing.gradients import flossing_pass, training_pass
from pyflossing.model.loss import Parameters
from pyflossing.training import ensemble
from pyflossing.training.epochs import flossing_episode
from pyflossing.training.loop import run
from pyflossing.training.optimiser import AdamState, Rates, adam_updates
from pyflossing.training.state import initial_state
from pyflossing.training.trial_spectra import trial_spectra


@each_network
def test_the_passes_make_nothing_on_the_cpu_and_move_nothing(network, gpu):
    p = Parameters(*map(put, random_parameters(network, 9, 4, seed=1)))
    inputs, targets = map(put, random_trials(30, 4, seed=2))
    frame = put(random_frame(network.n_states(9), 5, seed=3))
    gpu.on_cpu.clear()
    gradients = training_pass.gradients_of_losses(network, p, inputs, targets, 3).gradients
    stacked = Parameters(*(torch.stack([x, x]) for x in p))
    training_pass.gradients_of_losses(network, stacked, torch.stack([inputs] * 2), torch.stack([targets] * 2), 3)
    flossing_pass.flossing_gradient(network, p, p.x0[:, 0], frame, inputs[:, :, 0], 30, 0.0)
    rates = Rates(1e-3, 0.9, 0.999)
    adam_updates(p, [x.double() for x in gradients], [AdamState.fresh(x, rates) for x in p], rates)
    assert not gpu.transfers.keys() & {"to the GPU", "to the CPU"}
    assert set(gpu.on_cpu) <= {"_set_grad_enabled"}, "no tensors"


@pytest.mark.parametrize("members", [1, 12])
@pytest.mark.parametrize("n_steps", [12, 60])
@each_network
def test_a_training_epoch_waits_four_times_whatever_its_size(network, n_steps, members, gpu):
    config = replace(SMALL, network=network, trials=Trials(members + 1, n_steps), flossing=Flossing(0), n_epochs=1)
    states = [initial_state(config).to(torch.device("cuda:0")) for _ in range(members)]
    gpu.transfers.clear()
    if members == 1:
        list(run(config, states[0]))
    else:
        list(ensemble.run_ensemble([config] * members, states))
    assert gpu.transfers == {"to the GPU": 2, "reads": 4}


@each_network
def test_a_flossing_epoch_waits_once_for_each_decomposition(network, gpu):
    config = replace(
        SMALL, network=network, flossing=replace(SMALL.flossing, schedule=FlossingSchedule.before_training(1))
    )
    state = initial_state(config).to(torch.device("cuda:0"))
    gpu.transfers.clear()
    list(flossing_episode(config, state, 1))
    assert {**gpu.transfers, "reads": 0} == {"to the GPU": 1, "to the CPU": 1, "reads": 0}
    most = 2 * config.flossing.n_steps  # Cholesky's, and where it was in vain Householder's
    assert 3 < gpu.transfers["reads"] <= most + 3
    if network.kind == "spiking":
        assert gpu.transfers["reads"] <= config.flossing.n_steps + 3


def test_every_operation_has_a_kernel_for_gpus(gpu):
    """By torch's own list of its functions, which its wheels contain."""
    gpu.records = True
    listed = Path(torchgen.__file__).parent / "packaged" / "ATen" / "native" / "native_functions.yaml"
    entries = yaml.load(listed.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    known = {entry["func"].partition("(")[0]: entry for entry in entries}
    known = {name if "." in name else f"{name}.default": entry for name, entry in known.items()}

    def on_gpus(name: str) -> bool:
        entry = known[name]
        delegate = entry.get("structured_delegate")
        if delegate:
            return on_gpus(delegate if "." in delegate else f"{delegate}.default")
        if "ufunc_inner_loop" in entry:  # from which kernels for CPU and CUDA are generated
            return True
        kernels = {key.strip() for keys in entry.get("dispatch", {"CompositeImplicit": ""}) for key in keys.split(",")}
        return "CUDA" in kernels or any(key.startswith("Composite") for key in kernels)

    for network in NETWORKS.values():
        config = replace(SMALL, network=network, dtype="float32", n_epochs=2)
        train(config, device="cuda")
        train_ensemble([config, replace(config, seeds=Seeds(network=2))], device="cuda")
        state = initial_state(config).to(torch.device("cuda:0"))
        trial_spectra(config, state.parameters, 3, 20, 2)
    asked_for = {name.removeprefix("aten.") for name in gpu.operations if name.startswith("aten.")}
    assert {"linalg_qr.default", "linalg_cholesky_ex.default", "linalg_solve_triangular.out", "mm.out"} <= asked_for
    assert not [name for name in asked_for if not on_gpus(name)]
    assert not on_gpus("mkldnn_linear.default"), "one that the CPU alone has"


def test_the_stand_in_refuses_what_a_gpu_would(gpu):
    x, y = torch.ones(3, device="cuda"), torch.ones(3)
    assert (x.device, x.is_cuda, y.device) == (torch.device("cuda:0"), True, CPU)
    for wrong in (
        lambda: x + y,
        lambda: torch.stack([x, y]),
        lambda: x.copy_(y),
        lambda: torch.add(x, 1, out=y),
        x.numpy,
    ):
        with pytest.raises(RuntimeError):
            wrong()
    assert (x.to("cpu") + y).device == CPU
    assert (y.to(x) + x[:]).device == x.device
    assert float(x.sum()) == 3
    assert gpu.transfers == {"to the CPU": 1, "to the GPU": 1, "reads": 1}
