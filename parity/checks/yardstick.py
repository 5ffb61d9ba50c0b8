"""What Float32 costs the general algorithm in a case: the part of a bound that the port has no part in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from parity.checks import bounds, general
from parity.checks.cases import PARAMETERS, Case, threshold_distance
from parity.checks.model import Array, SkipCheck
from pyflossing.model.loss import Parameters

_PER_STEP = ("states", "readout", "margin")  # time is their last dimension


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
    found, exact = (general_results(case, parameters, frames, dtype) for dtype in ("float32", "float64"))
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


def general_results(case: Case, parameters: dict[str, Array], frames: Array, dtype: str) -> dict[str, Array]:
    """As ``evaluate``, of all copies by the general algorithm, without rasters and accuracies."""
    p, Q = Parameters(*(as_tensor(parameters[name], dtype) for name in PARAMETERS)), as_tensor(frames, dtype)
    x, inputs = p.x0[:, :, 0], as_tensor(case.inputs[: case.n_steps, :, 0], dtype)
    results: dict[str, torch.Tensor] = {}
    if case.trained:
        trials, targets = as_tensor(case.inputs, dtype), as_tensor(case.targets, dtype)
        results |= general.trained(case.network, p, trials, targets, case.first_scored_step)
        results["states"] = results["states"].permute(0, 2, 3, 1)
        results["readout"] = results["readout"].transpose(1, 2)
    if case.flossed:
        results |= general.flossed(case.network, p, x, Q[:, :, : case.flossed], inputs, case.target)
    if case.spectra:  # the first exponents of more are those of fewer
        most = general.exponents(case.network, p, x, Q[:, :, : max(case.spectra)], inputs)
        results |= {f"exponents k={k}": most[:, :k] for k in case.spectra}
    arrays = {name: values.detach().numpy() for name, values in results.items()}
    if case.trained:
        distance = threshold_distance(case.network, np.swapaxes(arrays["states"], 0, 1))
        if distance is not None:
            arrays["margin"] = np.swapaxes(distance, 0, 1)
    return arrays


def as_tensor(values: Array, dtype: str) -> torch.Tensor:
    """As a contiguous tensor of that type."""
    return torch.from_numpy(np.ascontiguousarray(values, dtype=dtype))
