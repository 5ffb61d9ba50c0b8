"""How often the reported error bars hold: 100 trajectories of each of ten systems; a table.

    python tests/benchmarks/coverage.py

Printed for each exponent: the share of trajectories within one standard error of the mean of all (0.68 if errors are
normal), and the reported error divided by the scatter of the trajectories.
"""

from __future__ import annotations

import torch
from coverage_systems import settled, systems

from pyflossing import lyapunov_spectrum


def main() -> None:
    print("| system | exponents | within 1 standard error | error / scatter |")
    print("|---|---|---|---|")
    for system in map(settled, systems()):
        found = lyapunov_spectrum(
            system.step, system.state, system.inputs, system.k,
            n_steps=system.n_steps if system.inputs is None else None, transient=system.n_steps // 10,
            **system.settings,
        )  # fmt: skip
        mean, scatter = found.exponents.mean(dim=0), found.exponents.std(dim=0)
        within = ((found.exponents - mean).abs() < found.standard_error).double().mean(dim=0)
        size = (found.standard_error**2).mean(dim=0).sqrt() / scatter
        cells = [", ".join(f"{value:.3g}" for value in row.tolist()) for row in (mean, within, size)]
        print(f"| {system.name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
