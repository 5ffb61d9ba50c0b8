"""The cost of k exponents of a GRU, against JVPs of one step one by one, and QR decompositions.

The mark is 1.5 (k + 1) JVPs and one QR per step; `part_of_bound` below 1 keeps it. JVPs are torch's own, in forward
mode, with the whole batch at once.
"""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from pyflossing import lyapunov_spectrum

N_STEPS, REPEATS = 20, 5


def seconds(function, repeats):
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


@pytest.mark.parametrize("method", ["auto", "forward"])
@pytest.mark.parametrize(("n", "k", "batch"), [(80, 75, 1), (512, 1, 1), (512, 8, 4), (512, 64, 1), (1024, 16, 1)])
def test_leading_exponents_cost_their_jvps_and_qr(benchmark, n, k, batch, method):
    repeats = REPEATS
    if benchmark.disabled:  # then the question is whether it runs
        n, k, batch, repeats = n // 16, min(k, 4), min(batch, 2), 1
    torch.manual_seed(1)
    cell = nn.GRUCell(4, n).requires_grad_(False)
    state, inputs = torch.zeros(batch, n), torch.randn(N_STEPS, batch, 4)
    direction, frame = torch.randn(batch, n), torch.randn(batch, n, k)
    jvp = seconds(lambda: torch.func.jvp(lambda h: cell(inputs[0], h), (state,), (direction,)), repeats)
    qr = seconds(lambda: torch.linalg.qr(frame), repeats)

    def spectrum():
        return lyapunov_spectrum(cell, state, inputs, k, transient=0, method=method)

    per_step = seconds(spectrum, repeats) / N_STEPS
    part = per_step / (1.5 * (k + 1) * jvp + qr)
    benchmark.extra_info |= {"step_ms": 1e3 * per_step, "jvp_ms": 1e3 * jvp, "qr_ms": 1e3 * qr, "part_of_bound": part}
    benchmark(spectrum)
