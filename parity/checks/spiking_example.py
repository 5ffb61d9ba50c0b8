"""The authors' Python example of the spiking network, computed by us; its numbers are in spiking.npz."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch

from parity.checks import bounds, general
from parity.checks.comparators import Estimate, Raster
from parity.checks.golden_files import archive
from parity.checks.model import Array, SkipCheck
from pyflossing.model import loss, spectrum
from pyflossing.model.networks import SpikingNetwork
from pyflossing.model.surrogates import Surrogate


def _network(stored: dict[str, Array]) -> SpikingNetwork:
    published = SpikingNetwork.published()
    alpha, beta = float(stored["alpha"]), float(stored["beta"])  # Float32 numbers
    if (float(np.float32(published.synaptic_decay)), float(np.float32(published.membrane_decay))) != (alpha, beta):
        raise ValueError("SpikingNetwork.published() does not have the decays of the authors' example")
    return replace(
        published,
        synaptic_decay=alpha,
        membrane_decay=beta,
        jacobian_surrogate=Surrogate("fast_sigmoid", float(stored["sharpness_jacobian"])),
        spike_surrogate=Surrogate("fast_sigmoid", float(stored["sharpness_spike"])),
    )


def _example(name: str) -> dict[str, Array]:
    """The recorded arrays of an example."""
    return {key.partition("/")[2]: values for key, values in archive("spiking.npz").items() if key[0] == name}


def _compute(example: str) -> dict[str, Array]:
    """The example's results in Float32 by their recorded names, and "margin" (N, 1, steps)."""
    stored = _example(example)
    n, network = len(stored["V"]), _network(stored)
    w_in, v, q, x = (torch.from_numpy(np.ascontiguousarray(stored[key])) for key in ("W_in", "V", "Q0", "x"))
    w_in.requires_grad_(), v.requires_grad_()
    u = x @ w_in.T
    states = loss.trajectory(network, v, torch.zeros(2 * n, 1), u[:, :, None])[:, :, 0].detach().numpy()
    sums = spectrum.logarithms(network, v, torch.zeros(2 * n), q, u, len(u)).sum(dim=0)
    total = (sums**2).mean()
    of_w, of_v = torch.autograd.grad(total, (w_in, v))
    return {
        "mem": states[:, :n],
        "syn": states[:, n:],
        "margin": states[:, :n].T[:, None] - np.float32(network.threshold),
        "sum_log_R": sums.detach().numpy(),
        "loss": total.detach().double().numpy(),
        "grad_W_in": of_w.numpy(),
        "grad_V": of_v.numpy(),
    }


def _of_copies(example: str, dtype: str) -> dict[str, Array]:
    """The same of nudged copies by the general algorithm, (copies, ...)."""
    stored, rng = _example(example), np.random.default_rng(0)
    n, network = len(stored["V"]), _network(stored)
    w_in, v, q = (torch.from_numpy(bounds.nudged(stored[key], rng).astype(dtype)) for key in ("W_in", "V", "Q0"))
    w_in.requires_grad_(), v.requires_grad_()
    u = torch.from_numpy(stored["x"].astype(dtype)) @ w_in.transpose(1, 2)
    rest = torch.zeros(len(v), 2 * n, 1, dtype=u.dtype)
    states = general.trajectory(network, v, rest, u[..., None])[..., 0].detach().numpy()
    sums = general.logarithms(network, v, rest[..., 0], q, u).sum(dim=1)
    totals = (sums**2).mean(dim=1)
    of_w, of_v = torch.autograd.grad(totals.sum(), (w_in, v))
    return {
        "mem": states[:, :, :n],
        "syn": states[:, :, n:],
        "margin": states[:, :, :n].transpose(0, 2, 1)[:, :, None] - np.float32(network.threshold),
        "sum_log_R": sums.detach().numpy(),
        "loss": totals.detach().numpy(),
        "grad_W_in": of_w.numpy(),
        "grad_V": of_v.numpy(),
    }


@lru_cache(maxsize=4)
def spiking_estimates(example: str) -> dict[str, Estimate | Raster]:
    """Our numbers for example "a" or "b" with their bounds, under the recorded names, and "spikes" (N, 1, steps).

    Raises:
        SkipCheck: rounding alone decides a spike.
    """
    ours, copies, exact = _compute(example), _of_copies(example, "float32"), _of_copies(example, "float64")
    spikes = ours["margin"] > 0
    if any(((of["margin"] > 0) != (exact["margin"][0] > 0)).any() for of in (copies, exact)):
        raise SkipCheck("rounding alone decides spikes: a state lies within it of the threshold")
    estimates = {
        name: bounds.estimate(
            values, bounds.rms(bounds.deviations(copies[name], exact[name], by_step=name == "margin"))
        )
        for name, values in ours.items()
    }
    margin = estimates.pop("margin")
    return estimates | {"spikes": Raster(spikes.astype(np.uint8), np.abs(margin.values), margin.bound)}
