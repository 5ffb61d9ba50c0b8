"""Spectra of a tanh RNN and a GRU against other programs, in CPU time of one thread; a table.

    python tests/benchmarks/modules_compared.py

Each number is the other program's time, or ours, divided by that of one push per step with autograd, which is how
spectra were computed before many steps were taken at once; medians of five rounds, in which all programs take turns.
All work in Float64, with a QR decomposition in every step, on the same network, inputs and directions. The loop, clvlib
and JAX have the RNN's Jacobian written by hand. clvlib and JAX (extra ``bench``) are left out where they are not
installed.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
import numpy as np
import torch
from torch import Tensor, nn

from pyflossing import lyapunov_spectrum
from pyflossing.model.spectrum import initial_frame
from pyflossing.modules import problem
from pyflossing.modules.ahead import step_by_step

SIZES = ((16, 16), (64, 10), (64, 64), (100, 10), (100, 100), (256, 10), (500, 10), (500, 500))
ROUNDS = 5
Program = Callable[[], Any]


def one_push_per_step(spectrum: Program) -> Program:
    """The same spectrum without taking many steps at once."""

    def run() -> Any:
        kept = problem.fastest
        problem.fastest = lambda way, layout, state, frame, inputs, *_, **__: (step_by_step(way.push, inputs), "")
        try:
            return spectrum()
        finally:
            problem.fastest = kept

    return run


def loop(cell: nn.RNNCell, inputs: Tensor, frame: Tensor) -> Program:
    """A tanh RNN written out, as one does in a notebook."""
    W, U, b = cell.weight_hh, cell.weight_ih, cell.bias_hh + cell.bias_ih

    def run() -> Tensor:
        h, Q, logs = torch.zeros(len(W), dtype=W.dtype), frame, []
        for x in inputs[:, 0]:
            h = torch.tanh(W @ h + U @ x + b)
            Q, R = torch.linalg.qr(((1 - h**2)[:, None] * W) @ Q)
            logs.append(R.diagonal().abs().log())
        return torch.stack(logs).mean(dim=0)

    return run


def clvlib(cell: nn.RNNCell, inputs: Tensor, frame: Tensor) -> Program:
    from clvlib.pytorch import lyap_exp_from_ic

    W, U, b = cell.weight_hh, cell.weight_ih, cell.bias_hh + cell.bias_ih
    k, steps = frame.shape[1], torch.arange(len(inputs) + 1, dtype=W.dtype)

    def after(t: float, h: Tensor) -> Tensor:
        return torch.tanh(W @ h + U @ inputs[int(t), 0] + b)

    def jacobian(t: float, h: Tensor) -> Tensor:
        return (1 - after(t, h) ** 2)[:, None] * W

    start = torch.zeros(len(W), dtype=W.dtype)
    return lambda: lyap_exp_from_ic(after, jacobian, start, steps, stepper="discrete", n_lyap=k)[0]


def jax_scan(cell: nn.RNNCell, inputs: Tensor, frame: Tensor) -> Program:
    import jax

    jax.config.update("jax_enable_x64", True)
    jnp = jax.numpy
    W, U, b = (jnp.asarray(t.numpy()) for t in (cell.weight_hh, cell.weight_ih, cell.bias_hh + cell.bias_ih))
    series, Q0 = jnp.asarray(inputs[:, 0].numpy()), jnp.asarray(frame.numpy())

    @jax.jit
    def scan(series: Any, Q0: Any) -> Any:
        def step(carry: Any, x: Any) -> Any:
            h, Q = carry
            h = jnp.tanh(W @ h + U @ x + b)
            Q, R = jnp.linalg.qr(((1 - h**2)[:, None] * W) @ Q)
            return (h, Q), jnp.log(jnp.abs(jnp.diagonal(R)))

        return jax.lax.scan(step, (jnp.zeros(len(W)), Q0), series)[1].mean(axis=0)

    return lambda: np.asarray(scan(series, Q0))


def programs(kind: str, n: int, k: int, n_steps: int) -> dict[str, Program]:
    torch.manual_seed(1)
    cell = getattr(nn, kind)(3, n).double().requires_grad_(False)
    inputs = torch.randn(n_steps, 1, 3, dtype=torch.float64)
    state, frame = torch.zeros(1, n, dtype=torch.float64), initial_frame(n, k, 1, like=torch.zeros(1).double())

    def ours() -> Tensor:
        return lyapunov_spectrum(cell, state, inputs, k, transient=0, frame=frame).exponents[0]

    found = {"one push per step": one_push_per_step(ours), "ours": ours}
    if kind == "RNNCell":
        found["loop"] = loop(cell, inputs, frame)
        if importlib.util.find_spec("clvlib"):
            found["clvlib"] = clvlib(cell, inputs, frame)
        if importlib.util.find_spec("jax"):
            found["JAX"] = jax_scan(cell, inputs, frame)
    return found


def timed(found: dict[str, Program]) -> dict[str, float]:
    """Median CPU seconds of each."""
    times: dict[str, list[float]] = {name: [] for name in found}
    for program in found.values():
        program()
    for _ in range(ROUNDS):
        for name, program in found.items():
            start = time.process_time()
            program()
            times[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def main(scale: float) -> None:
    columns = ("ours", "loop", "clvlib", "JAX")
    print("| | n, k | µs per step | " + " | ".join(columns) + " |\n|---|---|---|" + "---|" * len(columns))
    for kind in ("RNNCell", "GRUCell"):
        for n, k in SIZES:
            n_steps = max(
                10, int(scale * (3000 if n <= 100 and k <= 16 else 1000 if n <= 100 else 1000 if k < n else 20))
            )
            found = programs(kind, n, k, n_steps)
            expected = found["one push per step"]()
            for name in ("loop", "JAX"):
                if name in found:
                    np.testing.assert_allclose(found[name](), expected, atol=1e-6)
            seconds = timed(found)
            unit = seconds["one push per step"]
            cells = [f"{seconds[name] / unit:.2f}" if name in seconds else "" for name in columns]
            print(f"| {kind} | {n}, {k} | {1e6 * seconds['ours'] / n_steps:.0f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
