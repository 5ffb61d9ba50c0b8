"""Our numbers for a case, each with how far another correct computation may lie from it.

In Float64 the bound is 1e-9 of the largest entry (specification, section 12), in Float32 it is measured: see
``bounds``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch

from parity.checks import bounds
from parity.checks.cases import PARAMETERS, Case, threshold_distance
from parity.checks.comparators import Estimate, Raster
from parity.checks.model import Array
from parity.checks.yardstick import as_tensor, yardstick
from pyflossing.gradients import by_autograd as gradients
from pyflossing.gradients import flossing_pass, training_pass
from pyflossing.model import loss, spectrum

FLOAT64_RELATIVE = 1e-9
FLOAT64_CAUSE = f"{FLOAT64_RELATIVE:.0e} of the largest entry"


def evaluate(case: Case, dtype: str) -> dict[str, Array]:
    """Everything that a case defines, by name, in Julia's shapes.

    Returns:
        "states" (n_states, B, T), "raster" and "margin" (N, B, T) for units with a threshold, "readout" (B, T),
        "loss", "accuracy", "gradient NAME", "exponents k=K" (K,), "flossing exponents", "flossing loss", "flossing
        gradient NAME".
    """
    p, frame = _inputs(case, dtype)
    results = _of_batch(case, p) if case.trained else {}
    for k in case.spectra:
        u = loss.drive(p.ws, p.b, _first_trial(case, dtype)[:, :, None])[:, :, 0]
        found = spectrum.spectrum(case.network, p.J, p.x0[:, 0], frame[:, :k], u, case.n_steps)
        results[f"exponents k={k}"] = _array(found)
    return results | _by_passes(case, p, frame)


def _inputs(case: Case, dtype: str) -> tuple[loss.Parameters, torch.Tensor]:
    parameters = loss.Parameters(*(as_tensor(case.parameters[name], dtype) for name in PARAMETERS))
    return parameters, as_tensor(case.frame, dtype)


def _dtype(p: loss.Parameters) -> str:
    return str(p.J.dtype).rpartition(".")[2]


def _trials(case: Case, dtype: str) -> tuple[torch.Tensor, torch.Tensor]:
    return as_tensor(case.inputs, dtype), as_tensor(case.targets, dtype)


def _first_trial(case: Case, dtype: str) -> torch.Tensor:
    return as_tensor(case.inputs[:, :, 0], dtype)


def _of_batch(case: Case, p: loss.Parameters) -> dict[str, Array]:
    states = loss.trajectory(case.network, p.J, p.x0, loss.drive(p.ws, p.b, _trials(case, _dtype(p))[0]))
    seen = loss.readout(case.network, p.wr, p.offset, states)
    results = {"states": _array(states.permute(1, 2, 0)), "readout": _array(seen[:, 0].T)}
    distance = threshold_distance(case.network, results["states"])
    return results | ({} if distance is None else {"raster": (distance > 0).astype(np.uint8), "margin": distance})


def _by_passes(case: Case, p: loss.Parameters, frame: torch.Tensor) -> dict[str, Array]:
    """Losses and gradients by the reverse passes that are written out."""
    return _gradients(case, p, frame, training_pass.training_gradient, flossing_pass.flossing_gradient)


def _by_autograd(case: Case, p: loss.Parameters, frame: torch.Tensor) -> dict[str, Array]:
    """The same by the other of the port's two ways."""
    return _gradients(case, p, frame, gradients.training_gradient, gradients.flossing_gradient)


def _gradients(
    case: Case,
    p: loss.Parameters,
    frame: torch.Tensor,
    train: Callable[..., gradients.TrainingGradient],
    floss: Callable[..., gradients.FlossingGradient],
) -> dict[str, Array]:
    results: dict[str, Array] = {}
    if case.trained:
        trained = train(case.network, p, *_trials(case, _dtype(p)), case.first_scored_step)
        results |= {"loss": np.asarray(trained.loss), "accuracy": np.asarray(trained.accuracy)}
        results |= {f"gradient {name}": _array(values) for name, values in trained.gradients._asdict().items()}
    if case.flossed:
        inputs = _first_trial(case, _dtype(p))
        flossed = floss(case.network, p, p.x0[:, 0], frame[:, : case.flossed], inputs, case.n_steps, case.target)
        results |= {"flossing exponents": _array(flossed.exponents), "flossing loss": np.asarray(flossed.loss)}
        results |= {f"flossing gradient {name}": _array(values) for name, values in flossed.gradients.items()}
    return results


@lru_cache(maxsize=256)
def estimates(case: Case, dtype: str) -> dict[str, Estimate | Raster]:
    """Our numbers for a case, with their bounds; the names are those of ``evaluate``."""
    ours, again = evaluate(case, dtype), _by_autograd(case, *_inputs(case, dtype))
    if dtype == "float64":
        bounded = {name: float64_estimate(values) for name, values in ours.items()}
        bounded |= {name + AUTOGRAD: float64_estimate(values) for name, values in again.items()}
    else:
        theirs = yardstick(case).rms
        by_passes, size = _rms_of_passes(case), float(ours.get("loss", 0.0))
        bounded = {name: _float32(case, name, ours[name], theirs[name], by_passes.get(name), size) for name in theirs}
        bounded |= {name + AUTOGRAD: _float32(case, name, again[name], theirs[name], None, size) for name in by_passes}
    judged: dict[str, Estimate | Raster] = {n: e for n, e in bounded.items() if n not in ("raster", "margin")}
    if "raster" in ours:
        margin = np.abs(ours["margin"]).astype(np.float64)
        judged["raster"] = Raster(ours["raster"], margin, np.broadcast_to(bounded["margin"].bound, margin.shape)[0, 0])
    if case.trained:
        share = _undecided(case, ours["readout"], bounded["readout"].bound)
        judged["accuracy"] = Estimate(ours["accuracy"], share, _UNDECIDED)
        judged["accuracy" + AUTOGRAD] = Estimate(again["accuracy"], share, _UNDECIDED)
    return judged


def float64_estimate(values: Array) -> Estimate:
    """Float64 numbers of ours with their bound."""
    largest = float(np.abs(values).astype(np.float64).max(initial=0.0))
    return Estimate(values, np.asarray(FLOAT64_RELATIVE * largest), FLOAT64_CAUSE)


def _float32(case: Case, name: str, values: Array, theirs: Array, ours: Array | None, loss_value: float) -> Estimate:
    if name not in ("loss", "gradient offset"):
        return bounds.estimate(values, theirs, ours)
    # the magnitudes of the terms add up to the loss, or to less in the gradient of the offset
    more = bounds.summation(float(np.finfo(np.float32).eps), _terms(case)) * loss_value
    return bounds.estimate(values, theirs, ours, more=more, cause=bounds.CAUSE + _SUM)


def _rms_of_passes(case: Case) -> dict[str, Array]:
    """RMS of the algorithm of our own: the reverse passes."""
    of = yardstick(case)
    found = []
    for copy in range(bounds.N_COPIES):
        p = loss.Parameters(*(as_tensor(of.parameters[name][copy], "float32") for name in PARAMETERS))
        found.append(_by_passes(case, p, as_tensor(of.frames[copy], "float32")))
    return {
        name: bounds.rms(bounds.deviations(np.array([one[name] for one in found]), exact))
        for name, exact in of.exact.items()
    }


AUTOGRAD = " (autograd)"


_SUM = ", and of a sum of that many terms one after the other"
_UNDECIDED = "the share of readouts within rounding of zero"


def _undecided(case: Case, seen: Array, limit: Array) -> Array:
    """The share of scored decisions that rounding can turn: readouts (B, T) nearer to zero than their bound."""
    first = max(case.first_scored_step - 1, 0)
    scored = np.broadcast_to(limit, seen.shape)[None, :, first:]
    return np.asarray(undecided_share(seen[None, :, first:], scored, _terms(case))[0])


def _terms(case: Case) -> int:
    """By how many decisions loss and accuracy are divided."""
    steps, _, trials = case.inputs.shape
    return int(trials * (steps - case.first_scored_step + 1))


def undecided_share(seen: Array, limit: Array, terms: int) -> Array:
    """The share of ``terms`` decisions that lie nearer to zero than ``limit``, by the first dimension."""
    near: Array = np.abs(seen) <= limit
    # a quotient, and where decisions are counted otherwise its last bits
    return np.asarray(near.sum(axis=tuple(range(1, near.ndim))) / terms + 4 * np.finfo(np.float64).eps)


def _array(values: torch.Tensor) -> Array:
    array: Array = values.detach().numpy()
    return array
