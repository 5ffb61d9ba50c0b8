"""Initial parameters, drawn in the original's order and rounded as the original rounds them.

Source: specification, section 4, after the published Julia code. Every Float32 operation is rounded on its own, so that
ws, wr, b and the Gaussian J agree with Julia bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from pyflossing._support.arguments import require_choice, require_float32, require_instance, require_integer
from pyflossing._support.memory import require_memory
from pyflossing.julia_random import MersenneTwister

Array = npt.NDArray[np.float32]

OFFSET = 0.001
"""Initial offset of the readout."""


class Weights(NamedTuple):
    """Initial parameters of a network of N units with S inputs, all Float32.

    Attributes:
        ws: input weights, (N, S).
        J: recurrent weights, (N, N); J[i, j] goes from unit j to unit i.
        wr: readout weights, (1, N).
        b: bias of the units, (N,).
        offset: offset of the readout, (1,).
    """

    ws: Array
    J: Array
    wr: Array
    b: Array
    offset: Array


@dataclass(frozen=True)
class WeightDistribution:
    """How initial weights are drawn.

    Args:
        coupling: "gaussian" (IC = 1 of the original) or "orthogonal" (IC = 3).
        gain: g, the scale of the recurrent weights.
        mean_coupling: gbar, added as gbar / N to Gaussian weights; ignored for orthogonal ones, as in the original.
        input_spread, input_mean: wsS, wsM.
        readout_spread, readout_mean: wrS, wrM.
        bias_spread, bias_mean: bS, bM; the bias is uniform in [bM, bM + bS).

    Raises:
        ValueError: an unknown coupling, or a number that is not finite in Float32.
    """

    coupling: Literal["gaussian", "orthogonal"] = "gaussian"
    gain: float = 1.0
    mean_coupling: float = 0.0
    input_spread: float = 1.0
    input_mean: float = 0.0
    readout_spread: float = 1.0
    readout_mean: float = 0.0
    bias_spread: float = 0.1
    bias_mean: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "coupling", require_choice("coupling", self.coupling, ("gaussian", "orthogonal")))
        for name in (
            "gain",
            "mean_coupling",
            "input_spread",
            "input_mean",
            "readout_spread",
            "readout_mean",
            "bias_spread",
            "bias_mean",
        ):
            object.__setattr__(self, name, require_float32(name, getattr(self, name)))


def initial_weights(
    n_units: int, seed: int, distribution: WeightDistribution | None = None, *, n_inputs: int = 1
) -> Weights:
    """Draw the initial parameters of a network.

    Args:
        n_units: N, at least 1.
        seed: seed of the network (sNet), 0 to 2^63 - 1.
        distribution: defaults to the README's: Gaussian, gain 1, bias spread 0.1.
        n_inputs: S, at least 1.

    Raises:
        ValueError: a size below 1, or of which memory cannot hold the weights; a negative seed.
    """
    chosen = WeightDistribution() if distribution is None else distribution
    require_instance("distribution", chosen, (WeightDistribution,))
    n = require_integer("n_units", n_units, minimum=1)
    s = require_integer("n_inputs", n_inputs, minimum=1)
    require_memory("the weights", {"n_units": n, "n_inputs": s}, weight_bytes)
    generator = MersenneTwister(require_integer("seed", seed, 0, 2**63 - 1))
    real = np.float32
    with np.errstate(over="ignore"):  # as in Julia; a run stops at the first state that is not finite
        ws = real(chosen.input_spread) * generator.randn((n, s), real) + real(chosen.input_mean)
        wr = real(chosen.readout_spread) * generator.randn((1, n), real) + real(chosen.readout_mean)
        b = real(chosen.bias_mean) + real(chosen.bias_spread) * generator.rand(n, real)
        gain = real(chosen.gain)
        scaled = gain * generator.randn((n, n), real) / real(math.sqrt(n))
        if chosen.coupling == "gaussian":
            j = scaled + real(chosen.mean_coupling) / real(n)
        else:
            j = gain * _orthogonal_factor(scaled)
    return Weights(ws, j, wr, b, np.array([OFFSET], dtype=real))


def weight_bytes(n_units: int, n_inputs: int = 1) -> int:
    """A lower bound of what drawing them takes: J's normal numbers in Float64, and J itself."""
    return 12 * n_units**2 + 4 * n_units * n_inputs


def _orthogonal_factor(matrix: Array) -> Array:
    """Q of LAPACK's Householder QR, signs as LAPACK leaves them, computed in Float64 and rounded once."""
    return np.linalg.qr(matrix.astype(np.float64)).Q.astype(np.float32)
