"""Networks and random parameters that several test files draw from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from hypothesis import strategies as st

from pyflossing.model.loss import Parameters
from pyflossing.model.networks import BinaryNetwork, SpikingNetwork, TanhNetwork
from pyflossing.model.surrogates import SURROGATE_NAMES, Surrogate

surrogates = st.builds(Surrogate, st.sampled_from(SURROGATE_NAMES), st.floats(0.3, 3.0))
_DECAYS = ("synaptic_decay", "membrane_decay")
spiking_networks = st.builds(
    SpikingNetwork,
    synaptic_decay=st.floats(0.05, 0.95),
    membrane_decay=st.floats(0.05, 0.95),
    membrane_gain=st.floats(0.2, 1.0),
    threshold=st.floats(0.2, 1.5),
    jacobian_surrogate=surrogates,
    spike_surrogate=surrogates,
)
factor_networks = st.builds(
    lambda network, memory: replace(
        network,
        jacobian_reset="factor",
        **dict.fromkeys({"both": (), "membranes": ("synaptic_decay",), "none": _DECAYS}[memory], 0.0),
    ),
    spiking_networks,
    st.sampled_from(["both", "membranes", "none"]),
)
"""With the factor of the reset in the Jacobian, and with or without memory. Units that spike take directions away."""
binary_networks = st.builds(BinaryNetwork, surrogates, st.none() | surrogates)
networks = st.one_of(st.just(TanhNetwork()), binary_networks, spiking_networks)
seeds = st.integers(0, 2**32 - 1)


def random_parameters(network, n_units, n_trials, seed, *, dtype=torch.float64, gain=1.0, n_inputs=1):
    """Parameters of order one for a network, from numpy's generator."""
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return torch.from_numpy(rng.standard_normal(shape)).to(dtype)

    return Parameters(
        ws=normal(n_units, n_inputs),
        J=gain * normal(n_units, n_units) / n_units**0.5,
        wr=normal(1, n_units),
        b=normal(n_units) / 10,
        offset=normal(1),
        x0=normal(network.n_states(n_units), n_trials),
    )


def random_trials(n_steps, n_trials, seed, *, dtype=torch.float64, n_inputs=1):
    """Bits as inputs (T, S, B) and targets (T, 1, B)."""
    rng = np.random.default_rng(seed)
    inputs, targets = rng.integers(0, 2, (n_steps, n_inputs, n_trials)), rng.integers(0, 2, (n_steps, 1, n_trials))
    return torch.from_numpy(inputs).to(dtype), torch.from_numpy(targets).to(dtype)


def random_frame(n_states, k, seed, *, dtype=torch.float64):
    """Orthonormal columns."""
    rng = np.random.default_rng(seed)
    return torch.linalg.qr(torch.from_numpy(rng.standard_normal((n_states, k))).to(dtype)).Q
