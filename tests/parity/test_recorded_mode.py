"""The transcript answers the report on every machine, whatever its kernels are and whatever is wrong in the port."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from kernel_paths import using
from mutation import Mutation

from parity import __main__ as program
from parity.bridge.recorded import RecordedConnection
from parity.checks import julia_run, live, resynchronised, step, training, trajectory
from parity.checks.cases import NETWORKS, PARAMETERS, SIZES, case, julia_network, orthonormal
from parity.connect import Session
from parity.runner import run_checks, select
from parity.sources import reference_folder, sources_hash, transcript_file
from pyflossing.gradients import flossing_pass, training_pass
from pyflossing.model import networks
from pyflossing.training import optimiser

ROOT = Path(__file__).resolve().parents[2]
# As far from any recent CPU's kernels as these libraries go.
OTHER_KERNELS = {"OPENBLAS_CORETYPE": "Prescott", "MKL_CBWR": "COMPATIBLE", "ATEN_CPU_CAPABILITY": "default"}


def test_other_kernels_ask_nothing_that_was_not_recorded(tmp_path):
    rows = ("step/live/*", "*/live/tanh_float32/*", "*/live/spiking_per_step_float64/*", "weights/live/*")
    arguments = [word for row in rows for word in ("--only", row)]
    result = subprocess.run(
        [sys.executable, "-m", "parity", "--julia", "recorded", *arguments],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | OTHER_KERNELS,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr + result.stdout
    counts = json.loads((tmp_path / "parity-report" / "only" / "report.json").read_text())["counts"]
    assert counts["checks skipped"] == 0
    assert counts["passed"] > 500


@pytest.fixture
def recorded():
    with RecordedConnection(transcript_file(), sources_hash(reference_folder())) as connection:
        yield connection


MUTATIONS = {
    "one step": Mutation(networks.TanhNetwork, "step", "J @", "1.001 * J @", ("tanh_step",)),
    "training's gradient": Mutation(
        training_pass, "training_gradient",
        "result.gradients)\n", "result.gradients._replace(J=1.001 * result.gradients.J))\n",
        ("training/live/tanh_float64/epochs",),
    ),
    "flossing's gradient": Mutation(
        flossing_pass, "flossing_gradient", '"J": J_bar', '"J": 1.001 * J_bar', ("training/live/tanh_float64/flossing",)
    ),
    "Adam": Mutation(
        optimiser, "adam_update", "(1 - rates.beta1", "(1.0001 - rates.beta1", ("training/live/tanh_float64/updates",)
    ),
}  # fmt: skip


@pytest.mark.parametrize("title", MUTATIONS)
def test_a_mutated_port_fails_and_no_check_is_left_out(title, recorded, monkeypatch):
    mutation = MUTATIONS[title]
    checks = [*step.checks(), *training.checks(NETWORKS[:1], {"float64": (training.GAUSSIAN,)})]
    chosen = select(checks, mutation.found_by)
    with using("torch"):  # which is what is mutated
        forget()
        assert {outcome.status for outcome in run_checks(chosen, recorded)} == {"passed"}
        mutation.apply(monkeypatch)
        forget()
        assert {outcome.status for outcome in run_checks(chosen, recorded)} == {"failed"}
        forget()


def forget():
    """What was computed with a mutation, or without it, is not what comes next."""
    for remembered in (resynchronised.estimates, julia_run._remembered, trajectory.estimates):
        remembered.cache_clear()


@pytest.mark.julia
@pytest.mark.parametrize(("network", "setting"), [(NETWORKS[0], training.ORTHOGONAL), (NETWORKS[5], training.GAUSSIAN)])
def test_the_run_that_gives_the_parameters_is_the_one_that_julia_makes_by_itself(network, setting, julia):
    config = training.configuration(network, setting, "float32")
    of_network = julia_network(network.network)
    whole = julia.call("train_network", *of_network, "Float32", *setting.values(network))
    epochs = [epoch for epoch in julia_run.julia_epochs(julia, config) if not epoch.flossing_epoch]
    flossing = [epoch for epoch in julia_run.julia_epochs(julia, config) if epoch.flossing_epoch]
    assert [epoch.answer["loss"] for epoch in epochs] == whole["loss"].tolist()
    assert [epoch.answer["flossing loss"] for epoch in flossing] == whole["flossing_loss"].tolist()
    assert [[e.epoch, e.flossing_epoch] for e in flossing] == whole["flossing_epochs"].tolist()
    for name in PARAMETERS:
        assert np.array_equal(epochs[-1].after[f"{name} x"], whole[f"final_{name}"])


class LikeJulia110:
    """A live Julia whose own generator does only what those from 1.10 on still do as before."""

    def __init__(self, julia):
        self._julia = julia

    def call(self, name, *args, timeout=None):
        if name == "native_twister_kinds":
            return np.array([1, 2, 5])
        return self._julia.call(name, *args, timeout=timeout)

    def provenance(self):
        return self._julia.provenance()

    def close(self):
        """The session's Julia goes on."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@pytest.mark.julia
def test_a_julia_that_leaves_checks_out_is_not_recorded(julia, monkeypatch, tmp_path, capsys):
    path = tmp_path / "transcript.npz"
    monkeypatch.setattr(program, "connect", lambda *_: Session(LikeJulia110(julia), {}))
    monkeypatch.setattr(program, "all_checks", lambda: select(list(live.checks()), ["stdlib"]))
    monkeypatch.setattr(program, "transcript_file", lambda: path)
    assert program.main(["record"]) == 2
    said = capsys.readouterr().err
    assert "nothing was recorded, because this Julia leaves checks out" in said
    assert "no longer give the numbers of Julia 1.5" in said
    assert not path.exists()


def test_directions_of_the_cases_are_orthonormal():
    for columns in (case(NETWORKS[4], SIZES[2]).frame, orthonormal(np.diag([3.0, -2.0])[:, :1])):
        wide = columns.astype(np.float64)
        assert np.abs(wide.T @ wide - np.eye(wide.shape[1])).max() < 1e-6
