"""Whole runs of the original's call in Python and live Julia, over random values, allowed and not."""

from __future__ import annotations

import ast
import contextlib
import re
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from conditioning import Tally, directions_left, without_flaws
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

import pyflossing
from parity import strategies
from parity.bridge.errors import JuliaError
from parity.checks.cases import PARAMETERS, Case
from parity.checks.comparators import Estimate, identical
from parity.checks.free_running import Series, simulation
from pyflossing import NonFiniteError, TrainingConfig
from pyflossing.training import loop
from pyflossing.training.records import FlossingRecord
from pyflossing.training.state import initial_state

pytestmark = pytest.mark.julia
FUNCTIONS = {"trainSRNNflossing": "spiking", "trainRNNflossing": "tanh"}
FEWER = settings(
    max_examples=settings().max_examples if settings().max_examples > 1000 else 8,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
"""An example is several runs; to shrink one that fails would take minutes."""

TWO_SATURATED_UNITS = (
    "2 3 1 2 0 2 1 1 12 17 19 22 2000 382133602 390478 0.018704929976413334 0.18574899348024643 0.4634339467239803 3 "
    "1.727740958479123 0.0 1.9 2 1.6568183036237711 0.0 1.3433227995365904 -0.7104243117940162 0.08001587105659168 "
    "0.9394130628134757 2 1 55044273529 -0.34756266368837846"
)
"""A direction is lost in epoch 2 of ours and in epoch 3 of Julia's; in Float64 it never is."""
ONE_DIRECTION = (
    "3 3 1 1 0 1 4 1 13 17 22 29801 63 255 255 0.005878648653919566 6.313034794083816e-47 0.5 3 0.0 1.157440112395657 "
    "0.5069343328730946 2 1.6720891943514369 -0.05 1.5325165910546203 -0.9565798199316253 0.0 0.0 3 -2 362 "
    "0.49461723344351094"
)
"""All entries of J are equal, and three exponents are flossed: one of the moved runs ends in NaN."""


def values_of(words):
    return dict(zip(strategies.NAMES, map(ast.literal_eval, words.split()), strict=True))


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


@dataclass(frozen=True, order=True)
class Stop:
    """Where a run ended early: training and flossing epoch, the latter infinite in training, and the text."""

    epoch: int
    flossing_epoch: float
    text: str = field(compare=False)

    @classmethod
    def of(cls, error):
        epoch, *flossing_epoch = map(int, re.findall(r"epoch (\d+)", str(error)))
        return cls(epoch, flossing_epoch[0] if flossing_epoch else np.inf, str(error))


def until_it_stops(run):
    """What it gives, or None, and where it stopped, or None."""
    try:
        return run(), None
    except (NonFiniteError, JuliaError) as error:
        if isinstance(error, JuliaError) and "NonFiniteError" not in str(error):
            raise
        return None, Stop.of(error)


def decided_by_rounding(config, stop):
    """Whether a run may as well go on there: a later direction, of which in Float64, too, less is left than rounding.

    Which of a zero and a rounding is left of it depends on the algorithm of the QR decomposition.
    """
    lost = re.search(r"local exponent (\d+)", stop.text)
    if not lost or lost[1] == "1":
        return False
    state = initial_state(config)
    parameters = None
    with contextlib.suppress(NonFiniteError):  # at the same place
        for record in loop.run(config, state):
            if isinstance(record, FlossingRecord) and (record.epoch, record.flossing_epoch) == (
                stop.epoch,
                stop.flossing_epoch,
            ):
                parameters = record.parameters
                break
    trial = config.draw_trials(1, config.flossing.trial_steps, config.input_seed(stop.epoch + stop.flossing_epoch))
    case = Case(
        title=stop.text,
        network=config.network,
        parameters={name: values.numpy() for name, values in (parameters or state.parameters)._asdict().items()},
        inputs=trial.inputs,
        targets=trial.targets,
        first_scored_step=1,
        frame=state.frame.numpy(),
        n_steps=config.flossing.n_steps,
    )
    return directions_left(case, config.dtype) < int(lost[1])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_random_run_agrees_until_its_horizon(function, julia):
    tally = Tally()

    @FEWER
    @given(call=strategies.legacy_calls())
    @example(call=values_of(TWO_SATURATED_UNITS))
    @example(call=values_of(ONE_DIRECTION))
    def property_(call):
        tally.examples += 1
        train = getattr(pyflossing, function)
        config = TrainingConfig.from_legacy(**call, network=FUNCTIONS[function])
        ours, stop = until_it_stops(lambda: train(**call, progress=False))
        theirs, their_stop = until_it_stops(lambda: julia.call(function, *call.values()))
        if stop or their_stop:
            tally.kinds["stopped"] += 1
            first = min(each for each in (stop, their_stop) if each)
            if not decided_by_rounding(config, first):
                assert stop == their_stop, f"ours: {stop}, Julia: {their_stop}"
                return
            tally.kinds["stopped by rounding"] += 1
            call = call | {"E": first.epoch - 1}
            config = TrainingConfig.from_legacy(**call, network=FUNCTIONS[function])
            ours, theirs = train(**call, progress=False), julia.call(function, *call.values())
        theirs = by_name(theirs)
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
