"""The report fails when one term of the model, of its gradients or of training is wrong by a thousandth."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from kernel_mutations import KERNEL_MUTATIONS
from kernel_paths import PATHS, needs_kernel, using
from mutation import SMALL, RememberingJulia, forget_results
from port_mutations import MUTATIONS
from reverse_pass_mutations import REVERSE_PASSES

from parity.checks import cases, golden, golden_network, golden_training, step, training, trajectory, yardstick
from parity.checks.model import Check
from parity.report import Report
from parity.runner import run_checks, select
from pyflossing.model import loss

pytestmark = pytest.mark.julia


@pytest.fixture(scope="module")
def remembering(julia):
    return RememberingJulia(julia)


@pytest.fixture(scope="module", autouse=True)
def true_cases():
    """What is computed with is made before anything is wrong, and kept."""
    for run in golden_network.runs():
        for case in (golden_network.training_case(run), golden_network.flossing_case(run)):
            yardstick.yardstick(case)
    for under_test in cases.NETWORKS:
        trajectory.cached_case(under_test, SMALL)


@pytest.fixture(autouse=True)
def forget(true_cases):
    """What the checks have computed with a mutation must not outlive it, nor what they computed without it."""
    forget_results()
    yield
    forget_results()


def small_checks() -> list[Check]:
    """The report's checks, of which those of networks have their smallest size, in Float64."""
    return [
        *golden.checks(),
        *golden_network.checks(),
        *golden_training.checks(),
        *step.checks(sizes=[SMALL]),
        *trajectory.checks(sizes=[SMALL], dtypes=("float64",)),
        *training.checks(settings={"float64": (training.GAUSSIAN,)}),
    ]


def report(julia, patterns) -> Report:
    return Report(run_checks(select(small_checks(), patterns), julia), {})


def report_until_it_fails(julia, patterns) -> Report:
    """The report of the first of the checks that fails; or of the last."""
    for check in select(small_checks(), patterns):
        found = Report(run_checks([check], julia), {})
        if found.counts["failed"]:
            break
    return found


@pytest.mark.parametrize("title", MUTATIONS)
def test_report_finds(title, monkeypatch, remembering):
    mutation = MUTATIONS[title]
    mutation.apply(monkeypatch)
    with using("torch") if title in REVERSE_PASSES else nullcontext():
        found = report_until_it_fails(remembering, mutation.found_by)
    assert found.counts["failed"] > 0, found.summary()
    assert found.exit_code == 1


@pytest.mark.parametrize("steps", [99, 101])
def test_report_finds_another_number_of_relaxation_steps(steps, monkeypatch, remembering):
    monkeypatch.setattr(loss, "RELAXATION_STEPS", steps)
    assert report(remembering, ["golden/initial_state"]).counts["failed"] > 0


@needs_kernel
@pytest.mark.parametrize("title", KERNEL_MUTATIONS)
def test_report_finds_an_error_of_the_kernel(title, monkeypatch, tmp_path, remembering):
    mutation = KERNEL_MUTATIONS[title]
    mutation.apply(monkeypatch, tmp_path)
    with using("compiled"):
        found = report_until_it_fails(remembering, mutation.found_by)
    assert not [outcome.error for outcome in found.outcomes if outcome.error]
    assert found.counts["failed"] > 0, found.summary()


@pytest.mark.parametrize("path", PATHS)
def test_report_passes_without_a_mutation(path, remembering):
    patterns = sorted({pattern for mutation in MUTATIONS.values() for pattern in mutation.found_by})
    with using(path):
        found = report(remembering, patterns)
    assert found.exit_code == 0, found.summary()
    assert not [outcome.check.name for outcome in found.outcomes if outcome.skipped]
