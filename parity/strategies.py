"""Random networks, trials and calls for hypothesis, as wide as both languages allow. Needs hypothesis.

Every drawn array follows from one integer seed and from a few numbers, so that examples are small and shrink well.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from parity.checks.cases import Case, orthonormal
from parity.checks.model import Array
from pyflossing.config.legacy import LEGACY_PARAMETERS
from pyflossing.julia_random import MersenneTwister
from pyflossing.model.networks import JACOBIAN_RESETS, BinaryNetwork, Network, SpikingNetwork, TanhNetwork
from pyflossing.model.surrogates import SURROGATE_NAMES, Surrogate

NAMES = tuple(parameter.name for parameter in LEGACY_PARAMETERS)
"""Names of the original's 33 parameters, in order."""
_INT64 = 2**63
_FEWEST_STEPS = 13  # of a spectrum, so that one counts

seeds = st.integers(0, _INT64 - 1) | st.integers(0, 99)
"""Seeds of Julia's MersenneTwister."""


def amplitudes(most: float) -> SearchStrategy[float]:
    """Numbers from -most to most, one in ten of them zero and the others large enough to matter."""
    signs = st.sampled_from([0, *[1] * 5, *[-1] * 4])
    return st.builds(lambda sign, size: sign * size, signs, st.floats(0.05, most))


sharpnesses = st.floats(0.2, 2.0)
"""Of a surrogate derivative."""


@st.composite
def binary_networks(draw: DrawFn) -> BinaryNetwork:
    """With one surrogate, or two that differ in sharpness."""
    name = draw(st.sampled_from(SURROGATE_NAMES))
    backward = draw(st.none() | sharpnesses)
    return BinaryNetwork(Surrogate(name, draw(sharpnesses)), None if backward is None else Surrogate(name, backward))


@st.composite
def spiking_networks(draw: DrawFn) -> SpikingNetwork:
    """With any constants, a synaptic decay of zero, which leaves only N finite exponents, among them.

    The Jacobian has the factor of the reset, or not.
    """
    name = draw(st.sampled_from(SURROGATE_NAMES))
    return SpikingNetwork(
        synaptic_decay=draw(st.just(0.0) | st.floats(0.05, 0.95)),
        membrane_decay=draw(st.just(0.0) | st.floats(0.05, 0.95)),
        membrane_gain=draw(st.floats(0.1, 1.0)),
        threshold=draw(st.floats(0.1, 1.5)),
        jacobian_surrogate=Surrogate(name, draw(sharpnesses)),
        spike_surrogate=Surrogate(name, draw(sharpnesses)),
        jacobian_reset=draw(st.sampled_from(JACOBIAN_RESETS)),
    )


networks: SearchStrategy[Network] = st.one_of(st.just(TanhNetwork()), binary_networks(), spiking_networks())
"""Every network that the reference has."""


@st.composite
def cases(draw: DrawFn, dtype: str, network: SearchStrategy[Network] = networks) -> Case:
    """A network, parameters, trials and a frame, with numbers of the type: "float32" or "float64".

    1 to 24 units, 1 to 3 input channels, 1 to 4 trials of up to 36 steps. Trials of 13 steps and more have a spectrum
    of any number of exponents that can be finite, and a flossing loss of as many or fewer.
    """
    of, n_units, n_trials = draw(network), draw(st.integers(1, 24)), draw(st.integers(1, 4))
    n_steps, channels = draw(st.integers(1, 36)), draw(st.integers(1, 3))
    n_states = of.n_states(n_units)
    most = n_units if isinstance(of, SpikingNetwork) and of.synaptic_decay == 0 else n_states
    counts = n_steps >= _FEWEST_STEPS
    k = draw(st.integers(1, most)) if counts else 0
    strength = 4.0 if isinstance(of, SpikingNetwork) else 2.0
    seed = draw(seeds)
    normals = MersenneTwister(seed)

    def spread(by: float, *shape: int) -> Array:
        drawn: Array = np.asarray(by, dtype) * normals.randn(shape, np.float64).astype(dtype)
        return drawn

    parameters = {
        "ws": spread(draw(amplitudes(strength)), n_units, channels),
        "J": spread(draw(amplitudes(strength)) / n_units**0.5, n_units, n_units),
        "wr": spread(draw(amplitudes(2.0)), 1, n_units),
        "b": spread(draw(amplitudes(1.0)), n_units),
        "offset": spread(0.5, 1),
        "x0": spread(draw(amplitudes(2.0)), n_states, n_trials),
    }
    bits = np.asarray(normals.bitrand((n_steps, channels + 1, n_trials)), dtype=np.float32)
    return Case(
        f"{of}, N={n_units}, {n_trials} trials of {n_steps} steps, seed {seed}, {dtype}",
        of,
        parameters,
        inputs=(np.float32(draw(amplitudes(2.0))) * bits[:, :channels]).astype(dtype),
        targets=bits[:, channels:].astype(dtype),
        first_scored_step=draw(st.integers(0, n_steps)),
        frame=orthonormal(spread(1.0, n_states, k)),
        n_steps=draw(st.integers(_FEWEST_STEPS, n_steps)) if counts else 0,
        target=draw(amplitudes(1.0)),
        spectra=(k,) if counts else (),
        flossed=draw(st.integers(1, k)) if counts else 0,
    )


@st.composite
def legacy_calls(draw: DrawFn) -> dict[str, Any]:
    """The original's 33 values by name, for a small run that is allowed with any of the networks."""
    task = draw(st.integers(-2, 2))
    delay = draw(st.integers(0 if task == 0 else 1, 3))
    n_units, n_epochs, longest = draw(st.integers(1, 10)), draw(st.integers(0, 3)), 2
    n_steps, inputs = draw(st.integers(13, 18)), _INT64 // 4
    several = st.integers(0, longest)
    first = 2 * delay if task > 0 else delay << -task
    return {
        "N": n_units,
        "E": n_epochs,
        "Ef": draw(st.integers(1, 3)),
        "Ei": draw(several),
        "Ep": draw(several),
        "Ni": draw(several),
        "B": draw(st.integers(1, 4)),
        "S": 1,
        "T": first + draw(st.integers(1, 15)),
        "Tp": n_steps,
        "Ti": n_steps + draw(st.integers(0, 5)),
        "sIC": draw(seeds),
        "sIn": draw(st.integers(1, 99) | st.integers(1, inputs) | st.integers(-inputs, -longest - 2)),
        "sNet": draw(seeds),
        "sONS": draw(seeds),
        "lr": draw(st.floats(1e-4, 0.05)),
        "b1": draw(st.floats(0, 0.99)),
        "b2": draw(st.floats(0, 0.9999)),
        "IC": draw(st.sampled_from([1, 3])),
        "g": draw(amplitudes(2.0)),
        "gbar": draw(amplitudes(2.0)),
        "I1": draw(amplitudes(2.0)),
        "delay": delay,
        "wsS": draw(amplitudes(2.0)),
        "wsM": draw(amplitudes(1.0)),
        "wrS": draw(amplitudes(2.0)),
        "wrM": draw(amplitudes(1.0)),
        "bS": draw(amplitudes(1.0)),
        "bM": draw(amplitudes(1.0)),
        "nLE": draw(st.integers(0, n_units)),
        "task": task,
        "intype": draw(st.integers(-_INT64, _INT64 - 1)),
        "Lwnt": draw(amplitudes(1.0)),
    }


_NO_INTEGERS = st.sampled_from([2.5, 3.0, float("nan"), float("inf"), "3", "", True])
_NO_NUMBERS = st.sampled_from([float("nan"), float("inf"), -float("inf"), 3.5e38, -1e300, "0.5", True])
_NEGATIVE, _BELOW_ONE = st.integers(-_INT64, -1), st.integers(-_INT64, 0)
_NO_SEEDS = _NEGATIVE | st.integers(_INT64, 2 * _INT64 - 1).map(np.uint64)
_LEAST_ONE, _LEAST_ZERO = ("N", "Ef", "B"), ("E", "Ei", "Ep", "Ni")
_REAL = tuple(parameter.name for parameter in LEGACY_PARAMETERS if parameter.kind is float)


def _refused(name: str, call: dict[str, Any]) -> SearchStrategy[Any]:
    """Values that no call, or not this one, may have."""
    if name in _REAL:
        outside = st.floats(1.0, 9.0) | st.floats(-9.0, -1e-9)
        return _NO_NUMBERS | outside if name in ("b1", "b2") else _NO_NUMBERS
    first = 2 * call["delay"] if call["task"] > 0 else call["delay"] << -call["task"]
    delays = st.integers(-_INT64, -1 if call["task"] == 0 else 0)
    flosses = call["E"] and call["Ep"] and call["nLE"]
    by_name: dict[str, SearchStrategy[Any]] = dict.fromkeys(_LEAST_ONE, _BELOW_ONE) | dict.fromkeys(
        _LEAST_ZERO, _NEGATIVE
    )
    by_name |= dict.fromkeys(("sIC", "sNet", "sONS"), _NO_SEEDS)
    by_name |= {
        "S": st.integers(-3, 5).filter(lambda s: s != 1),
        "T": st.integers(-_INT64, first),
        "Tp": st.integers(1, 12) if flosses else _BELOW_ONE,
        "Ti": st.integers(-_INT64, call["Tp"] - 1),
        "sIn": st.sampled_from([0, -1, _INT64 - 1, -_INT64]) if call["E"] > 1 else st.just(0),
        "IC": st.integers(-_INT64, _INT64 - 1).filter(lambda ic: ic not in (1, 3)),
        "delay": delays | st.just(_INT64 - 1),
        "nLE": _NEGATIVE | st.integers(call["N"] + 1, _INT64 - 1),
        "task": st.integers(-_INT64, -63) | st.integers(63, _INT64 - 1) | st.integers(-62, -20),
    }
    return _NO_INTEGERS | by_name[name]


@st.composite
def refused_calls(draw: DrawFn, most: int = 1) -> tuple[dict[str, Any], list[str]]:
    """33 values of which up to ``most`` were made wrong, by name, and the names of these."""
    call = draw(legacy_calls())
    possible = st.sampled_from([name for name in NAMES if name != "intype"])
    broken = draw(st.lists(possible, min_size=1, max_size=most, unique=True))
    return call | {name: draw(_refused(name, call)) for name in broken}, broken
