"""The report fails when one term of the model, of its gradients or of training is wrong by a thousandth."""

from __future__ import annotations

import sys

import pytest
from port_mutations import MUTATIONS

from parity.bridge.transcript import digest_of
from parity.checks import cases, golden, golden_network, golden_training, step, training, trajectory
from parity.checks.model import Check
from parity.report import Report
from parity.runner import run_checks, select
from pyflossing.model import loss

pytestmark = pytest.mark.julia


class RememberingJulia:
    """Passes each call on once: Julia's answers do not depend on what is wrong in Python."""

    def __init__(self, julia):
        self._julia, self._answers = julia, {}

    def call(self, name, *args, timeout=None):
        key = digest_of(name, args)
        if key not in self._answers:
            self._answers[key] = self._julia.call(name, *args, timeout=timeout)
        return self._answers[key]


@pytest.fixture(scope="module")
def remembering(julia):
    return RememberingJulia(julia)


@pytest.fixture(autouse=True)
def forget():
    """What the checks have computed with a mutation must not outlive it, nor what they computed without it."""

    def clear():
        for module in [module for name, module in sys.modules.items() if name.startswith("parity.checks")]:
            for value in list(vars(module).values()):
                getattr(value, "cache_clear", lambda: None)()

    clear()
    yield
    clear()


def small_checks() -> list[Check]:
    """The report's checks, of which those of networks have their smallest size, in Float64."""
    few = [size for size in cases.SIZES if size.units < 10]
    return [
        *golden.checks(),
        *golden_network.checks(),
        *golden_training.checks(),
        *step.checks(sizes=few),
        *trajectory.checks(sizes=few, dtypes=("float64",)),
        *training.checks(settings={"float64": (training.GAUSSIAN,)}),
    ]


def report(julia, patterns) -> Report:
    return Report(run_checks(select(small_checks(), patterns), julia), {})


@pytest.mark.parametrize("title", MUTATIONS)
def test_report_finds(title, monkeypatch, remembering):
    mutation = MUTATIONS[title]
    mutation.apply(monkeypatch)
    found = report(remembering, mutation.found_by)
    assert found.counts["failed"] > 0, found.summary()
    assert found.exit_code == 1


@pytest.mark.parametrize("steps", [99, 101])
def test_report_finds_another_number_of_relaxation_steps(steps, monkeypatch, remembering):
    monkeypatch.setattr(loss, "RELAXATION_STEPS", steps)
    assert report(remembering, ["golden/initial_state"]).counts["failed"] > 0


def test_report_passes_without_a_mutation(remembering):
    patterns = sorted({pattern for mutation in MUTATIONS.values() for pattern in mutation.found_by})
    found = report(remembering, patterns)
    assert found.exit_code == 0, found.summary()
    assert not [outcome.check.name for outcome in found.outcomes if outcome.skipped]
