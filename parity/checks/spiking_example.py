"""The authors' Python example of the spiking network, computed by us; its numbers are in spiking.npz."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch

from parity.checks.comparators import Estimate, Raster
from parity.checks.evaluate import FLOAT32_CAUSE, N_ORDERS, bound, largest_deviation
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


def _compute(example: str, dtype: str, order: int = 0) -> dict[str, Array]:
    """The example's results by their recorded names; ``order`` shuffles the units."""
    stored = {key.partition("/")[2]: values for key, values in archive("spiking.npz").items() if key[0] == example}
    n = len(stored["V"])
    units = np.random.default_rng(order).permutation(n) if order else np.arange(n)
    rows = np.concatenate([units, units + n])

    def tensor(values: Array) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=dtype))

    network = _network(stored)
    w_in = tensor(stored["W_in"][units]).requires_grad_()
    v = tensor(stored["V"][np.ix_(units, units)]).requires_grad_()
    u = tensor(stored["x"]) @ w_in.T
    states = loss.trajectory(network, v, torch.zeros(2 * n, 1, dtype=u.dtype), u[:, :, None])[:, :, 0].detach().numpy()
    logs = spectrum.logarithms(network, v, torch.zeros(2 * n, dtype=u.dtype), tensor(stored["Q0"][rows]), u, len(u))
    sums = logs.sum(dim=0)
    total = (sums**2).mean()
    of_w, of_v = torch.autograd.grad(total, (w_in, v))
    back = np.argsort(units)
    mem = states[:, :n][:, back]
    margin = mem.T[:, None, :] - mem.dtype.type(network.threshold)
    return {
        "mem": mem,
        "syn": states[:, n:][:, back],
        "margin": margin,
        "spikes": (margin > 0).astype(np.uint8),
        "sum_log_R": sums.detach().numpy(),
        "loss": total.detach().double().numpy(),
        "grad_W_in": of_w.numpy()[back],
        "grad_V": of_v.numpy()[np.ix_(back, back)],
    }


@lru_cache(maxsize=4)
def spiking_estimates(example: str) -> dict[str, Estimate | Raster]:
    """Our numbers for example "a" or "b" with their bounds, under the recorded names, and "spikes" (N, 1, steps).

    Raises:
        SkipCheck: rounding alone decides a spike.
    """
    ours, exact = _compute(example, "float32"), _compute(example, "float64")
    others = [ours, *(_compute(example, "float32", order) for order in range(1, N_ORDERS + 1))]
    if any((other["spikes"] != ours["spikes"]).any() for other in [*others, exact]):
        raise SkipCheck("rounding alone decides spikes: a state lies within it of the threshold")
    limits = {
        name: bound(values.astype(np.float32), largest_deviation(name, exact[name], [o[name] for o in others]))
        for name, values in ours.items()
    }
    judged: dict[str, Estimate | Raster] = {
        name: Estimate(values, limits[name], FLOAT32_CAUSE)
        for name, values in ours.items()
        if name not in ("margin", "spikes")
    }
    judged["spikes"] = Raster(ours["spikes"], np.abs(ours["margin"]), limits["margin"])
    return judged
