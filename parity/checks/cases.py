"""What the checks of networks compute with: parameters, trials and frames as plain arrays, and how Julia gets them.

The arrays come from the exact random streams by single operations of IEEE 754, never from a sum, a factorisation or a
function of a library, whose last bits differ from CPU to CPU. So what Julia is asked is the same everywhere, and a
transcript of its answers serves every machine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from parity.checks.model import Array
from pyflossing import DelayedXOR, WeightDistribution, initial_weights
from pyflossing.julia_random import MersenneTwister
from pyflossing.model.networks import BinaryNetwork, Network, SpikingNetwork, TanhNetwork
from pyflossing.model.surrogates import Surrogate

PARAMETERS = ("ws", "J", "wr", "b", "offset", "x0")


@dataclass(frozen=True, eq=False)
class Case:
    """One network with its parameters, a batch of trials, and a frame of directions.

    Attributes:
        title: for the report.
        network: the network.
        parameters: by name, shapes as in ``pyflossing.model.loss.Parameters``.
        inputs, targets: (T, S, B), and (T, 1, B) for the one readout.
        first_scored_step: f.
        frame: orthonormal directions (n_states, k).
        n_steps: Tp, steps of the spectrum.
        target: wanted exponent, 1/step.
        spectra: numbers of exponents of the spectra that are compared.
        flossed: number of exponents in the flossing loss; 0 for none.
        trained: whether the batch's states, loss and gradients are compared.
    """

    title: str
    network: Network
    parameters: dict[str, Array]
    inputs: Array
    targets: Array
    first_scored_step: int
    frame: Array
    n_steps: int
    target: float = 0.0
    spectra: tuple[int, ...] = ()
    flossed: int = 0
    trained: bool = True


@dataclass(frozen=True)
class NetworkUnderTest:
    """A network, and weights with which its units do something.

    Attributes:
        title: for the report.
        network: the network.
        gain, input_spread: of the weights.
        rank: how many directions per unit its Jacobian keeps apart: as many exponents as ``rank`` N are finite.
    """

    title: str
    network: Network
    gain: float = 1.5
    input_spread: float = 1.0
    rank: float = 1


def published_in_float32() -> SpikingNetwork:
    """The published spiking network, its decays rounded to Float32: the last bit of exp differs between machines."""
    published = SpikingNetwork.published()
    synaptic, membrane = (float(np.float32(d)) for d in (published.synaptic_decay, published.membrane_decay))
    return replace(published, synaptic_decay=synaptic, membrane_decay=membrane, membrane_gain=1 - membrane)


def _with_reset(network: SpikingNetwork) -> SpikingNetwork:
    return replace(network, jacobian_reset="factor")


NETWORKS = (
    NetworkUnderTest("tanh", TanhNetwork()),
    NetworkUnderTest("binary_gamma_0.5", BinaryNetwork(Surrogate("sech2", 0.5))),
    NetworkUnderTest("binary_gamma_1", BinaryNetwork(Surrogate("sech2", 1.0))),
    NetworkUnderTest("binary_gamma_0.5_and_1", BinaryNetwork(Surrogate("sech2", 0.5), Surrogate("sech2", 1.0))),
    # the published constants average over ten steps: only strong input and coupling make units spike
    NetworkUnderTest("spiking_published", published_in_float32(), gain=6.0, input_spread=4.0, rank=2),
    NetworkUnderTest("spiking_per_step", SpikingNetwork.per_step(), gain=2.0, input_spread=2.0),
    # with the factor of the reset, units that spike take directions away
    NetworkUnderTest("spiking_published_reset", _with_reset(published_in_float32()), gain=6.0, input_spread=4.0),
    NetworkUnderTest(
        "spiking_per_step_reset", _with_reset(SpikingNetwork.per_step()), gain=2.0, input_spread=2.0, rank=0.5
    ),
)


@dataclass(frozen=True)
class Size:
    """Sizes of a case, whether J is "gaussian" or "orthogonal", seed, and number of input channels."""

    units: int
    trials: int
    steps: int
    spectrum_steps: int
    coupling: str
    seed: int
    channels: int = 1

    def __str__(self) -> str:
        return f"N={self.units} S={self.channels} B={self.trials} T={self.steps} {self.coupling}"


SIZES = (
    Size(5, 2, 30, 21, "gaussian", 1, channels=3),
    Size(24, 4, 40, 25, "orthogonal", 2),
    Size(80, 6, 45, 30, "gaussian", 3),
)
_DELAY = 3


def orthonormal(columns: Array) -> Array:
    """An orthonormal basis of the columns (n, k), in their type, with the same bits on every machine.

    By modified Gram-Schmidt in Float64, each product and each sum an operation of its own; a library's sums go in an
    order that depends on the CPU.
    """
    q = columns.astype(np.float64)
    for place in range(q.shape[1]):
        q[:, place] /= np.sqrt(reduce(np.add, np.square(q[:, place])))
        here, rest = q[:, [place]], q[:, place + 1 :]
        rest -= here * reduce(np.add, here * rest)
    return q.astype(columns.dtype)


def case(under_test: NetworkUnderTest, size: Size) -> Case:
    """The case of a network and a size; the same numbers whatever the network's own code does."""
    distribution = WeightDistribution(gain=under_test.gain, input_spread=under_test.input_spread, bias_spread=0.5)
    weights = initial_weights(size.units, size.seed, distribution, n_inputs=size.channels)
    if size.coupling == "orthogonal":
        weights = weights._replace(J=np.float32(under_test.gain) * orthonormal(weights.J))
    n_states = under_test.network.n_states(size.units)
    normals = MersenneTwister(size.seed)
    x0 = normals.randn((n_states, size.trials), np.float32)
    most = int(under_test.rank * size.units)
    frame = orthonormal(normals.randn((n_states, most), np.float32))
    task = DelayedXOR(_DELAY)
    data = task.generate(size.trials, size.steps, 1000 + size.seed, n_channels=size.channels)
    some = max(1, size.units // 2)
    return Case(
        title=str(size),
        network=under_test.network,
        parameters=weights._asdict() | {"x0": x0},
        inputs=data.inputs,
        targets=data.targets[:, :1],
        first_scored_step=task.first_scored_step,
        frame=frame,
        n_steps=size.spectrum_steps,
        target=-0.1,
        spectra=(1, some, most),
        flossed=some,
    )


def julia_network(network: Network) -> tuple[str, str, Array]:
    """Kind, surrogate and constants, as the reference's functions take a network.

    Raises:
        ValueError: a network that the reference does not have: two surrogates of different names.
    """
    if isinstance(network, BinaryNetwork):
        of_jacobian, of_signs = network.surrogate, network.sign_surrogate
        _require_one_name(network, of_jacobian, of_signs)
        both = [of_jacobian.sharpness, of_signs.sharpness]
        return "binary", of_jacobian.name, np.array(both if network.backward_surrogate else both[:1])
    if isinstance(network, SpikingNetwork):
        of_jacobian, of_spikes = network.jacobian_surrogate, network.spike_surrogate
        _require_one_name(network, of_jacobian, of_spikes)
        constants = (network.synaptic_decay, network.membrane_decay, network.membrane_gain, network.threshold)
        reset = [1.0] if network.jacobian_reset == "factor" else []
        return "spiking", of_spikes.name, np.array([*constants, of_jacobian.sharpness, of_spikes.sharpness, *reset])
    return "tanh", "sech2", np.empty(0)


def _require_one_name(network: Network, *surrogates: Surrogate) -> None:
    if len({surrogate.name for surrogate in surrogates}) > 1:
        raise ValueError(f"{network} is not allowed: its two surrogates must have one name")


def threshold_distance(network: Network, states: Array) -> Array | None:
    """How far the states (n_states, ...) lie above the threshold, (N, ...); None for units without one."""
    if isinstance(network, TanhNetwork):
        return None
    if isinstance(network, SpikingNetwork):
        above: Array = states[: len(states) // 2] - states.dtype.type(network.threshold)
        return above
    return states
