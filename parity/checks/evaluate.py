"""Our numbers for a case, each with how far another correct computation may lie from it.

In Float64 the bound is 1e-9 of the largest entry (specification, section 12), in Float32 it is measured: see
``bounds``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from parity.checks import bounds, general
from parity.checks.cases import PARAMETERS, Case
from parity.checks.comparators import Estimate, Raster
from parity.checks.model import Array, SkipCheck
from pyflossing.gradients import by_autograd as gradients
from pyflossing.gradients import flossing_pass, training_pass
from pyflossing.model import loss, spectrum
from pyflossing.model.networks import Network, SpikingNetwork, TanhNetwork

FLOAT64_RELATIVE = 1e-9
FLOAT64_CAUSE = f"{FLOAT64_RELATIVE:.0e} of the largest entry"
_PER_STEP = ("states", "readout", "margin")  # time is their last dimension


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
    parameters = loss.Parameters(*(_tensor(case.parameters[name], dtype) for name in PARAMETERS))
    return parameters, _tensor(case.frame, dtype)


def _name(p: loss.Parameters) -> str:
    return str(p.J.dtype).rpartition(".")[2]


def _trials(case: Case, dtype: str) -> tuple[torch.Tensor, torch.Tensor]:
    return _tensor(case.inputs, dtype), _tensor(case.targets, dtype)


def _first_trial(case: Case, dtype: str) -> torch.Tensor:
    return _tensor(case.inputs[:, :, 0], dtype)


def _of_batch(case: Case, p: loss.Parameters) -> dict[str, Array]:
    states = loss.trajectory(case.network, p.J, p.x0, loss.drive(p.ws, p.b, _trials(case, _name(p))[0]))
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
        trained = train(case.network, p, *_trials(case, _name(p)), case.first_scored_step)
        results |= {"loss": np.asarray(trained.loss), "accuracy": np.asarray(trained.accuracy)}
        results |= {f"gradient {name}": _array(values) for name, values in trained.gradients._asdict().items()}
    if case.flossed:
        inputs = _first_trial(case, _name(p))
        flossed = floss(case.network, p, p.x0[:, 0], frame[:, : case.flossed], inputs, case.n_steps, case.target)
        results |= {"flossing exponents": _array(flossed.exponents), "flossing loss": np.asarray(flossed.loss)}
        results |= {f"flossing gradient {name}": _array(values) for name, values in flossed.gradients.items()}
    return results


def threshold_distance(network: Network, states: Array) -> Array | None:
    """How far the states (n_states, ...) lie above the threshold, (N, ...); None for units without one."""
    if isinstance(network, TanhNetwork):
        return None
    if isinstance(network, SpikingNetwork):
        above: Array = states[: len(states) // 2] - states.dtype.type(network.threshold)
        return above
    return states


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


@dataclass(frozen=True)
class Yardstick:
    """What Float32 costs the general algorithm of a case, measured on nudged copies.

    Attributes:
        parameters, frames: of the copies, (copies, ...).
        rms: by name, one or one per step.
        exact: Float64 results of the copies that the reverse passes are compared with, by name, (copies, ...).
    """

    parameters: dict[str, Array]
    frames: Array
    rms: dict[str, Array]
    exact: dict[str, Array]


@lru_cache(maxsize=256)
def yardstick(case: Case) -> Yardstick:
    """Of a case; the port's mathematics have no part in it.

    Raises:
        SkipCheck: the copies have different spikes or signs, so that two computations need not agree.
    """
    rng = np.random.default_rng(0)
    parameters = {name: bounds.nudged(case.parameters[name], rng) for name in PARAMETERS}
    frames = bounds.nudged(case.frame, rng)
    found, exact = (_general(case, parameters, frames, dtype) for dtype in ("float32", "float64"))
    rms = {
        name: bounds.rms(bounds.deviations(values, exact[name], by_step=name in _PER_STEP))
        for name, values in found.items()
    }
    compared = {name: values for name, values in exact.items() if name == "loss" or name.startswith(("grad", "floss"))}
    if "margin" in exact:
        rasters = np.concatenate([of["margin"] > 0 for of in (found, exact)])
        parted = np.flatnonzero((rasters != rasters[0]).any(axis=(0, 1, 2)))
        if parted.size:
            raise SkipCheck(
                f"from step {parted[0] + 1} on rounding alone decides spikes: a state lies within it of the threshold"
            )
    return Yardstick(parameters, frames, rms, compared)


def _general(case: Case, parameters: dict[str, Array], frames: Array, dtype: str) -> dict[str, Array]:
    """As ``evaluate``, of all copies by the general algorithm, without rasters and accuracies."""
    p, Q = loss.Parameters(*(_tensor(parameters[name], dtype) for name in PARAMETERS)), _tensor(frames, dtype)
    x, inputs = p.x0[:, :, 0], _first_trial(case, dtype)[: case.n_steps]
    results: dict[str, torch.Tensor] = {}
    if case.trained:
        results |= general.trained(case.network, p, *_trials(case, dtype), case.first_scored_step)
        results["states"] = results["states"].permute(0, 2, 3, 1)
        results["readout"] = results["readout"].transpose(1, 2)
    if case.flossed:
        results |= general.flossed(case.network, p, x, Q[:, :, : case.flossed], inputs, case.target)
    if case.spectra:  # the first exponents of more are those of fewer
        most = general.exponents(case.network, p, x, Q[:, :, : max(case.spectra)], inputs)
        results |= {f"exponents k={k}": most[:, :k] for k in case.spectra}
    arrays = {name: _array(values) for name, values in results.items()}
    if case.trained:
        distance = threshold_distance(case.network, np.swapaxes(arrays["states"], 0, 1))
        if distance is not None:
            arrays["margin"] = np.swapaxes(distance, 0, 1)
    return arrays


def _rms_of_passes(case: Case) -> dict[str, Array]:
    """RMS of the algorithm of our own: the reverse passes."""
    of = yardstick(case)
    found = []
    for copy in range(bounds.N_COPIES):
        p = loss.Parameters(*(_tensor(of.parameters[name][copy], "float32") for name in PARAMETERS))
        found.append(_by_passes(case, p, _tensor(of.frames[copy], "float32")))
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


def _tensor(values: Array, dtype: str) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=dtype))


def _array(values: torch.Tensor) -> Array:
    array: Array = values.detach().numpy()
    return array
