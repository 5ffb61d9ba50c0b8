"""Whole runs of the original's call in Python and live Julia, over random values, allowed and not."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from conditioning import Tally, without_flaws
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import pyflossing
from parity import strategies
from parity.bridge.errors import JuliaError
from parity.checks.cases import PARAMETERS
from parity.checks.comparators import Estimate, identical
from parity.checks.free_running import Series, simulation
from pyflossing import NonFiniteError, TrainingConfig

pytestmark = pytest.mark.julia
FUNCTIONS = {"trainSRNNflossing": "spiking", "trainRNNflossing": "tanh"}
FEWER = settings(
    max_examples=settings().max_examples if settings().max_examples > 1000 else 8,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
"""An example is several runs; to shrink one that fails would take minutes."""


def same(title, ours, theirs):
    verdict = identical(np.asarray(ours), np.asarray(theirs))
    assert verdict.passed, f"{title}: {verdict.detail}"


def by_name(answer):
    """Julia's numbers of a run, under the names of ``free_running``."""
    names = {"flossing_loss": "flossing loss"} | {
        f"{kind}_{name}": f"{kind} {name}" for kind in ("norm", "final") for name in PARAMETERS
    }
    return {names.get(name, name): values for name, values in answer.items()}


def by_rounding(config, name, estimate, theirs):
    """Admits ten times what Float32 did to the same run by autograd as well.

    A saturated unit's 1 - tanh^2 is a rounding or two, which no nudge of the start moves, and Adam divides a gradient
    that small by itself.
    """
    single, double = (
        numbers(pyflossing.train(replace(config, dtype=dtype), method="autograd"))[name]
        for dtype in ("float32", "float64")
    )
    plain = estimate.estimate if isinstance(estimate, Series) else estimate
    rows = len(plain.values)
    moved = np.abs(single.astype(np.float64) - double)[:rows]
    cause = f"{plain.cause}, and 10 x the deviation of autograd's Float32"
    return Estimate(plain.values, plain.bound + 10 * moved.max(initial=0.0), cause).judge(theirs[:rows])


def numbers(result):
    """A result's numbers under the names of ``free_running``."""
    found = {"loss": result.loss, "flossing loss": result.flossing_loss, "spectra": result.spectra}
    found |= {f"norm {name}": values for name, values in result.gradient_norms.items()}
    return found | {f"final {name}": values for name, values in result.final.items()}


def place(error):
    """Training and flossing epoch of an error's text; rounding decides in which step a direction is lost."""
    return re.findall(r"epoch \d+", str(error))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_random_run_agrees_until_its_horizon(function, julia):
    tally = Tally()

    @FEWER
    @given(call=strategies.legacy_calls())
    def property_(call):
        tally.examples += 1
        config = TrainingConfig.from_legacy(**call, network=FUNCTIONS[function])
        train = getattr(pyflossing, function)
        try:
            ours = train(**call, progress=False)
        except NonFiniteError as error:
            tally.kinds["stopped"] += 1
            with pytest.raises(JuliaError, match="NonFiniteError") as stopped:
                julia.call(function, *call.values())
            assert place(error) == place(stopped.value), f"ours says {error}, Julia {stopped.value}"
            return
        theirs = by_name(julia.call(function, *call.values()))
        same("flossing epochs", ours.flossing_epochs.reshape(-1, 2), np.reshape(theirs["flossing_epochs"], (-1, 2)))
        same("trial order", ours.trial_order, theirs["trial_order"])
        for name in ("ws", "wr", "b", "offset", *(["J"] if call["IC"] == 1 else [])):
            same(f"initial {name}", ours.initial[name], theirs[f"initial_{name}"])
        run, judged = simulation(config)
        same("loss", ours.loss, run.rows["loss"])  # the function that users call is the one that is judged
        tally.kinds["numbers"] += len(judged)
        tally.kinds["left out"] += not judged and call["E"] > 0
        for name, estimate in judged.items():
            verdict = without_flaws(estimate).judge(np.asarray(theirs[name]))
            if not verdict.passed and name != "accuracy":
                tally.kinds["judged by rounding"] += 1
                verdict = by_rounding(config, name, estimate, np.asarray(theirs[name]))
            assert verdict.passed, f"{name}: {verdict.detail}"

    property_()
    tally.require_few_left_out()


def named(error):
    """The parameter that a refusal names."""
    found = re.search(r"(\w+) = .* is not allowed", str(error), re.DOTALL)
    assert found, str(error)
    return found[1]


@pytest.mark.parametrize("function", FUNCTIONS)
@given(call_and_broken=strategies.refused_calls())
def test_a_wrong_value_is_refused_under_the_same_name(function, call_and_broken, julia):
    call, broken = call_and_broken
    with pytest.raises(ValueError) as ours:
        getattr(pyflossing, function)(**call, progress=False)
    with pytest.raises(JuliaError) as theirs:
        julia.call(function, *call.values())
    assert named(ours.value) == named(theirs.value), f"{broken}: ours says {ours.value}, Julia {theirs.value}"


@given(function=st.sampled_from(sorted(FUNCTIONS)), call_and_broken=strategies.refused_calls(most=4))
def test_several_wrong_values_are_refused_too(function, call_and_broken, julia):
    call, broken = call_and_broken
    with pytest.raises(ValueError):
        getattr(pyflossing, function)(**call, progress=False)
    with pytest.raises(JuliaError, match="is not allowed"):
        julia.call(function, *call.values())
    assert broken
