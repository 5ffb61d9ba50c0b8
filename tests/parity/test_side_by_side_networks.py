"""Random networks of all kinds in Python and live Julia: every number of a trajectory, of losses and of spectra."""

from __future__ import annotations

import numpy as np
import pytest
from conditioning import Tally, by_condition, determined, without_flaws
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from parity import strategies
from parity.bridge.errors import JuliaError
from parity.checks import step, trajectory, updates
from parity.checks.comparators import Estimate
from parity.checks.evaluate import evaluate
from parity.runner import run_checks
from pyflossing import NonFiniteError
from pyflossing.training import optimiser

pytestmark = pytest.mark.julia
DTYPES = st.sampled_from(step.DTYPES)
FEWER = settings(
    max_examples=settings().max_examples if settings().max_examples > 1000 else 12,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
"""An example takes a tenth of a second; to shrink one that fails would take minutes."""


def compare(case, dtype, julia, tally):
    """Every quantity by the report's own rows; what fails in Float64 for want of a condition is judged by that."""
    for check in trajectory.checks_of("random", "random", [case], dtype):
        (outcome,) = run_checks([check], julia)
        if outcome.skipped:
            tally.kinds["left out"] += 1
            return
        assert not outcome.error, f"{case.title}: {check.name}: {outcome.error}"
        failed = {name: judge_again(case, dtype, name, check, julia, tally) for name in outcome.failures}
        details = {name: verdict.detail for name, verdict in failed.items() if not verdict.passed}
        assert not details, f"{case.title}: {check.name}: {details}"


def judge_again(case, dtype, name, check, julia, tally):
    """By the difference alone, and where that is too large in Float64 by the condition."""
    ours, theirs = check.ours()[name], np.asarray(check.theirs(julia)[name])
    verdict = without_flaws(ours).judge(theirs)
    if verdict.passed or dtype == "float32" or not isinstance(ours, Estimate):
        return verdict
    tally.kinds["judged by condition"] += 1
    return by_condition(case, dtype, name.rpartition(": ")[2], ours.values, theirs)


def test_every_number_of_a_random_network_agrees(julia):
    tally = Tally()

    @FEWER
    @given(data=st.data(), dtype=DTYPES)
    def property_(data, dtype):
        drawn = data.draw(strategies.cases(dtype))
        tally.examples += 1
        case, refused = determined(drawn, dtype, tally)
        if case is not None:
            compare(case, dtype, julia, tally)
        if refused is not None:
            tally.kinds["refused by both"] += 1
            with pytest.raises(NonFiniteError, match="exponent"):
                evaluate(refused, dtype)
            with pytest.raises(JuliaError, match="NonFiniteError: the local exponent"):
                trajectory.julia_flossing(julia, refused, dtype)

    property_()
    tally.require_few_left_out()


# The original clips Float64 gradients, in training; flossing's have the parameters' own type and are not clipped.
clips = st.tuples(st.just("float64"), st.sampled_from([updates.CLIP, 1e-6, 1e3])) | st.just(("", float("inf")))


@given(
    dtype=DTYPES,
    clipping=clips,
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    t=st.integers(1, 300),
    seed=strategies.seeds,
    exponent=st.integers(-12, 2),
    rates=st.tuples(st.floats(0, 0.1), st.floats(0, 0.9999), st.floats(0, 0.99999)),
)
def test_a_clipped_update_agrees(julia, dtype, clipping, shape, t, seed, exponent, rates):
    of_gradient, clip = clipping
    normals = step.MersenneTwister(seed)
    x, m, g, spread = (normals.randn(shape, np.float64) for _ in range(4))
    g = (g * 10.0**exponent).astype(of_gradient or dtype)
    before = {"x": x.astype(dtype), "m": (m * g).astype(dtype), "v": np.square(spread * g).astype(dtype)}
    theirs = julia.call("adam_update", before["x"], g, before["m"], before["v"], t, *rates, clip)
    (given_,) = updates.tensors(g)
    clipped = optimiser.clip(given_, clip).numpy()
    for name, values in updates.adam((before["x"], clipped, before["m"], before["v"]), t, rates).items():
        bound = updates.update_bound(name, before[name], values)
        verdict = Estimate(values, bound, updates.UPDATE_CAUSE).judge(np.asarray(theirs[name]))
        assert verdict.passed, f"{name}: {verdict.detail}"
