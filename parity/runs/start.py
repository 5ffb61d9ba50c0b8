"""What both languages start a run from: weights, frame and relaxed initial state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from parity.bridge.connection import JuliaConnection
from parity.checks.cases import PARAMETERS
from parity.checks.comparators import Estimate
from parity.checks.julia_run import start
from parity.checks.model import Array, Arrays, Check, Level, Provenance
from parity.checks.orthogonal import orthogonal_factor
from parity.checks.relaxation import relaxed
from parity.checks.step import frame_estimate
from parity.runs.ours import OurRun
from pyflossing.config import TrainingConfig
from pyflossing.julia_random import MersenneTwister
from pyflossing.model.weights import WeightDistribution, initial_weights
from pyflossing.training.result import TrainingResult


def start_checks(config: TrainingConfig, ours: OurRun, result: TrainingResult | None) -> Iterator[Check]:
    """The rows of a report; where there is a recorded result, its initial weights are judged."""
    initial = ours.initial if result is None else result.initial
    orthogonal = config.weights.coupling == "orthogonal"
    exact = [name for name in PARAMETERS if name != "x0" and not (name == "J" and orthogonal)]
    seed, k = config.seeds.frame, config.flossing.n_exponents
    normals: Array = MersenneTwister(seed).randn((config.n_states, k), np.float32)

    def frame(julia: JuliaConnection) -> dict[str, Any]:
        answer = julia.call("initial_frame", config.n_states, k, seed, np.zeros(1, config.dtype))
        assert isinstance(answer, dict)
        return answer

    yield Check(
        "run/start/exact",
        "initial weights, and the normal numbers of the exponents' frame",
        Provenance.OUR_JULIA,
        lambda: {f"initial {name}": initial[name] for name in exact} | ({"normals of the frame": normals} if k else {}),
        lambda julia: (
            {f"initial {name}": start(julia, config)[0][name] for name in exact}
            | ({"normals of the frame": frame(julia)["raw"]} if k else {})
        ),
    )
    if k:
        yield Check(
            "run/start/frame",
            "the exponents' orthonormal frame",
            Provenance.OUR_JULIA,
            lambda: {"Q": frame_estimate(ours.frame, normals)},
            lambda julia: {"Q": frame(julia)["Q"]},
            level=Level.STEP,
        )
    if orthogonal:
        gaussian = WeightDistribution(gain=config.weights.gain)
        yield Check(
            "run/start/J",
            "initial orthogonal J",
            Provenance.OUR_JULIA,
            lambda: {"initial J": initial["J"]},
            lambda julia: {"initial J": start(julia, config)[0]["J"]},
            level=Level.STEP,
            compare=orthogonal_factor(lambda: [initial_weights(config.n_units, config.seeds.network, gaussian).J]),
        )
    yield Check(
        "run/start/state",
        "initial state after 100 steps without input, from the same weights",
        Provenance.OUR_JULIA,
        lambda julia: {"initial x0": _relaxed(config, julia)},
        lambda julia: _julia_relaxed(config, julia),
        level=Level.TRAJECTORY,
        follows_julia=True,
    )


def _relaxed(config: TrainingConfig, julia: JuliaConnection) -> Estimate:
    parameters = start(julia, config)[0]
    shape = (config.n_units, config.trials.batch_size)
    normals = MersenneTwister(config.seeds.initial_state).randn(shape, np.float32)
    return relaxed(config.network, parameters["J"], parameters["b"], normals, config.dtype)


def _julia_relaxed(config: TrainingConfig, julia: JuliaConnection) -> Arrays:
    _relaxed(config, julia)  # skips the check where rounding alone decides
    return {"initial x0": start(julia, config)[0]["x0"]}
