"""The report fails when Float32 products of the port are computed with fewer bits: in one pass, or in one function."""

from __future__ import annotations

import pytest
import torch
from kernel_mutations import KernelMutation
from kernel_paths import needs_kernel, using
from lost_precision import lost_precision, rounded
from mutation import SMALL, RememberingJulia, forget_results

from parity.checks import cases, golden_network, trajectory
from parity.checks.evaluate import AUTOGRAD
from parity.report import Report
from parity.runner import Outcome, run_checks, select
from pyflossing.training import optimiser

_NETWORKS = {
    under_test.title: under_test
    for under_test in cases.NETWORKS
    if under_test.title in ("tanh", "binary_gamma_1", "spiking_published", "spiking_per_step")
}
_STATES = ("trajectory_pass._tanh", "trajectory_pass._binary", "trajectory_pass._spiking", "training_pass.put_drive")
PASSES = {
    "training, forward": _STATES,
    "training, backward": (
        "trajectory_pass._reverse_rate",
        "trajectory_pass._reverse_spiking",
        "training_pass.gradients_of_losses",
    ),
    # not _rescale: a frame may be rescaled by any triangle that both passes agree on, see SpectrumPass
    "flossing, forward": (*_STATES, "frames.push"),
    "flossing, backward": (
        "frames.pull",
        "qr_adjoint.qr_adjoint",
        "frames.j_gradient",
        "flossing_pass.adjoint",
        "flossing_pass.flossing_gradient",
    ),
    "spectrum": ("networks.jacobian_action",),
    "steps": ("networks.step", "loss.drive", "loss.readout"),
    "autograd": ("by_autograd.training_gradient", "by_autograd.flossing_gradient"),
}
_FOR_ONE_KIND = {
    "trajectory_pass._tanh": "tanh",
    "trajectory_pass._binary": "binary_gamma_1",
    "trajectory_pass._spiking": "spiking_per_step",
    "trajectory_pass._reverse_spiking": "spiking_per_step",
}
FUNCTIONS = sorted({function for functions in PASSES.values() for function in functions})


@pytest.fixture(scope="module")
def remembering(julia):
    return RememberingJulia(julia)


@pytest.fixture(autouse=True)
def forget():
    forget_results()
    with using("torch"):
        yield
    forget_results()


def outcomes(julia, network: str) -> list[Outcome]:
    """Of the checks of a network in Float32, at its smallest size."""
    return run_checks(list(trajectory.checks([_NETWORKS[network]], [SMALL], ["float32"])), julia)


def some_fail(julia, network: str) -> bool:
    """Whether one of those checks fails, of which those of gradients, which most mistakes are in, are made first."""
    checks = trajectory.checks([_NETWORKS[network]], [SMALL], ["float32"])
    in_order = sorted(checks, key=lambda check: not check.name.endswith(("/gradients", "/flossing")))
    return any(failed(run_checks([check], julia)) for check in in_order)


def failed(found: list[Outcome]) -> list[str]:
    assert not [outcome.error for outcome in found if outcome.error]
    return [name for outcome in found for name in outcome.failures]


def test_rounding_keeps_so_many_bits_of_float32_and_leaves_float64_alone():
    x = torch.linspace(0.1, 3, 50)
    assert 2.0**-9 < float((rounded(x, 7) / x - 1).abs().max()) <= 2.0**-8
    assert 2.0**-12 < float((rounded(x, 10) / x - 1).abs().max()) <= 2.0**-11
    assert rounded(x.double(), 7) is not None
    assert torch.equal(rounded(x.double(), 7), x.double())


@pytest.mark.julia
@pytest.mark.parametrize("network", _NETWORKS)
@pytest.mark.parametrize("which", PASSES)
def test_report_finds_a_pass_in_tf32(which, network, monkeypatch, remembering):
    with lost_precision(monkeypatch, "TF32", PASSES[which].__contains__):
        assert some_fail(remembering, network)


@needs_kernel
@pytest.mark.julia
@pytest.mark.parametrize("network", _NETWORKS)
def test_report_finds_products_of_the_kernel_in_tf32(network, monkeypatch, tmp_path, remembering):
    with_all_bits = "all(left[m * rs + k * ks])"
    rounded_off = "(vec)(((bits)all(left[m * rs + k * ks]) + 0x1000) & ~0x1fff)"
    KernelMutation("vectors.h", with_all_bits, rounded_off, (), "float32").apply(monkeypatch, tmp_path)
    with using("compiled"):
        assert some_fail(remembering, network)


@pytest.mark.julia
@pytest.mark.parametrize("function, rounding", [*((f, "TF32") for f in FUNCTIONS), ("frames.push", "bfloat16")])
def test_report_finds_the_products_of_one_function_with_fewer_bits(function, rounding, monkeypatch, remembering):
    """In TF32, which keeps three bits more than bfloat16."""
    with lost_precision(monkeypatch, rounding, lambda site: site == function):
        assert some_fail(remembering, _FOR_ONE_KIND.get(function, "tanh"))


@pytest.mark.julia
@pytest.mark.parametrize("network", _NETWORKS)
def test_nothing_fails_with_all_bits_and_no_product_is_left_out(network, monkeypatch, remembering):
    with lost_precision(monkeypatch, "TF32", lambda _: False) as seen:
        found = outcomes(remembering, network)
    assert not failed(found)
    assert not [outcome.check.name for outcome in found if outcome.skipped]
    assert seen <= {*FUNCTIONS, "flossing_pass._rescale"}
    if network == "tanh":
        assert {*FUNCTIONS} - seen <= {*_FOR_ONE_KIND}


@pytest.mark.julia
def test_the_flaw_is_named_where_ours_alone_lost_its_precision(monkeypatch, remembering):
    with lost_precision(monkeypatch, "TF32", lambda site: site == "frames.push"):
        found = {o.check.name.rpartition("/")[2]: o for o in outcomes(remembering, "tanh")}
    failures = found["flossing"].failures
    assert any("ours is imprecise" in verdict.detail for verdict in failures.values())
    assert not [name for name in failures if name.endswith(AUTOGRAD)]


@pytest.mark.parametrize("rounding", ["bfloat16", "TF32"])
def test_report_finds_updates_from_gradients_with_fewer_bits(rounding, monkeypatch):
    true = optimiser.adam_update
    bits = {"bfloat16": 7, "TF32": 10}[rounding]
    monkeypatch.setattr(
        optimiser, "adam_update", lambda x, g, *rest: true(x, rounded(g.float(), bits).to(g.dtype), *rest)
    )
    report = Report(run_checks(select(list(golden_network.checks()), ["first_update"]), None), {})
    assert report.counts["failed"] > 0
