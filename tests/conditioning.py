"""What a random case determines at all: the part of it that rounding does not decide, and how far rounding goes there.

Copies of the inputs are moved by up to two roundings of the type. A case ends before the first step in which a state
comes nearer to the threshold than ten times what that moves it, and has as many exponents as have a direction left
in every step. In Float64 a number that lies further away than 1e-9 may do so up to ten times its root mean square over
the copies, and a gradient whose terms cancel up to a few roundings of what its adjoint starts from.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import torch

from parity.checks.cases import PARAMETERS
from parity.checks.comparators import Estimate
from parity.checks.evaluate import evaluate, threshold_distance
from parity.checks.free_running import Series
from pyflossing.model import loss, spectrum

COPIES = 16
FACTOR = 10
ROUNDINGS = 8
FEWEST_STEPS = 13  # of a spectrum
LOST = 100
"""A direction of which fewer than this many roundings are left has collapsed."""
MOST_LEFT_OUT = 0.05


class Tally:
    """How many examples there were, and what became of those that were not compared in full."""

    def __init__(self):
        self.examples, self.kinds = 0, Counter()

    def require_few_left_out(self, known=0):
        """``known``: examples that are given because rounding decides them, with some kernels from the beginning on."""
        left_out = self.kinds["left out"]
        print(f"{self.examples} examples; of them {dict(self.kinds)}")
        assert left_out <= known + MOST_LEFT_OUT * self.examples, f"{left_out} of {self.examples} were not compared"


def _tensor(values, dtype):
    return torch.from_numpy(np.ascontiguousarray(values, dtype=dtype))


def moved(values, rng, dtype):
    """The numbers, each times 1 + m eps with a random m from -2 to 2."""
    eps = np.finfo(dtype).eps
    return (values * (1 + eps * rng.integers(-2, 3, values.shape))).astype(dtype)


def moved_case(case, dtype, number):
    """Another copy of the case."""
    rng = np.random.default_rng(number)
    parameters = {name: moved(case.parameters[name].astype(dtype), rng, dtype) for name in PARAMETERS}
    return replace(case, parameters=parameters, frame=moved(case.frame.astype(dtype), rng, dtype))


def _states(cases, dtype):
    """States (copies, n_states, B, T) of cases that differ in their parameters."""
    network, inputs = cases[0].network, _tensor(cases[0].inputs, dtype)
    ws, J, b, x = (_tensor(np.stack([of.parameters[name] for of in cases]), dtype) for name in ("ws", "J", "b", "x0"))
    u = ws[:, None] @ inputs / ws.shape[-1] + b[:, None, :, None]
    states = []
    for n in range(len(inputs)):
        x = network.step(x, u[:, n], J)
        states.append(x.numpy())
    return np.stack(states, axis=-1)


def decided_steps(case, dtype):
    """After how many steps rounding first decides a spike or sign; all of them for units without a threshold."""
    if case.network.kind == "tanh":
        return len(case.inputs)
    ours, *others = _states([case, *(moved_case(case, dtype, number) for number in range(COPIES))], dtype)
    distance = threshold_distance(case.network, ours)
    by_step = [np.abs(other.astype(np.float64) - ours).max(axis=(0, 1)) for other in others]
    moves = np.maximum.accumulate(np.max(by_step, axis=0))
    limit = FACTOR * moves + 16 * np.finfo(dtype).eps * np.abs(ours).max()
    # a state that no rounding of the inputs moves is exact: nothing was added up
    exact = np.all([threshold_distance(case.network, other) == distance for other in others], axis=0)
    near = ((np.abs(distance) <= limit) & ~exact).any(axis=(0, 1))
    return int(np.flatnonzero(near)[0]) if near.any() else ours.shape[2]


def _logarithms(case, dtype):
    """log |R_ii| of every step along the first trial, (n_steps, k)."""
    p = loss.Parameters(*(_tensor(case.parameters[name], dtype) for name in PARAMETERS))
    u = loss.drive(p.ws, p.b, _tensor(case.inputs[:, :, :1], dtype))[:, :, 0]
    return spectrum.logarithms(case.network, p.J, p.x0[:, 0], _tensor(case.frame, dtype), u, case.n_steps).numpy()


def directions_left(case, dtype):
    """How many of the leading directions keep more than a hundred roundings in every step, computed in Float64.

    Roundings of the directions before it, since a later one does not change it, and of J, since a surrogate derivative
    of sech^2 comes out of 1 with a rounding of 1.
    """
    logs, lost = _logarithms(case, "float64"), np.log(LOST * np.finfo(dtype).eps)
    with np.errstate(invalid="ignore", divide="ignore"):  # -inf from -inf: that direction is gone
        relative = logs - np.maximum.accumulate(logs, axis=1)
        of_coupling = logs - np.log(np.linalg.norm(case.parameters["J"].astype("float64"), 2))
    gone = ~((relative > lost) & (of_coupling > lost)).all(axis=0)
    return int(np.flatnonzero(gone)[0]) if gone.any() else logs.shape[1]


def collapses(case, dtype):
    """Whether flossing must be refused: the Jacobian takes the first direction to zero exactly, whatever the type.

    Where a later one is lost, it depends on the algorithm whether a zero or a rounding is left of it.
    """
    return all(np.isneginf(_logarithms(case, of)[:, 0]).any() for of in (dtype, "float64"))


def determined(case, dtype, tally):
    """The part of the case that is compared, or None if nothing is left; and the part that flossing must refuse."""
    steps = decided_steps(case, dtype)
    if steps == 0:
        tally.kinds["left out"] += 1
        return None, None
    if steps < len(case.inputs):
        tally.kinds["shortened"] += 1
        case = replace(
            case,
            inputs=case.inputs[:steps],
            targets=case.targets[:steps],
            first_scored_step=min(case.first_scored_step, steps),
            n_steps=min(case.n_steps, steps),
        )
    refused = None
    if case.spectra:
        k = directions_left(case, dtype) if steps >= FEWEST_STEPS else 0
        if k < case.flossed and steps >= FEWEST_STEPS and collapses(case, dtype):
            refused = case
        if k < case.spectra[0]:
            tally.kinds["no exponents" if not k and refused is None else "fewer exponents"] += 1
            case = replace(case, spectra=(k,) if k else (), flossed=min(case.flossed, k))
    return case, refused


def without_flaws(judged):
    """It judges how far apart numbers lie, not how precise ours could be: the report asks that of its own cases."""
    if isinstance(judged, Series):
        return replace(judged, estimate=without_flaws(judged.estimate))
    if isinstance(judged, Estimate):
        return Estimate(judged.values, judged.bound, judged.cause)
    return judged


def by_condition(case, dtype, name, ours, theirs):
    """The verdict on numbers of the case further apart than the bound of Float64 without regard to its condition."""
    base = evaluate(case, dtype)
    found = [evaluate(moved_case(case, dtype, number), dtype) for number in range(COPIES)]
    key = name.removesuffix(" (autograd)")
    moves = [np.abs(other[key] - base[key]).max(initial=0.0) for other in found]
    bound = FACTOR * np.sqrt(np.mean(np.square(moves)))
    if "gradient" in key:
        bound += ROUNDINGS * np.finfo(dtype).eps * _adjoint_start(case, key, base)
    cause = (
        f"{FACTOR} x the RMS of {COPIES} copies moved by a rounding, and {ROUNDINGS} roundings of the adjoint's start"
    )
    return Estimate(ours, np.asarray(bound), cause).judge(theirs)


def _adjoint_start(case, key, base):
    """Largest derivative of the loss with respect to what it is made of: exponents, or readouts."""
    if key.startswith("flossing"):
        return 2 * float(np.abs(base["flossing exponents"] - case.target).max())
    return 1.0
