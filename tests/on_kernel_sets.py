"""``python tests/on_kernel_sets.py [ARGUMENTS OF PYTEST]``: the tests with the kernels of other CPUs, by both passes.

For each set of kernels and each of the passes a line: exit status, seconds, the set, the passes, and what pytest says
at the end; of a run that failed, all that it said.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from kernel_paths import KINDS

from parity import kernels

PASSES = ("torch", "compiled") if KINDS else ("torch",)


def run_all(arguments: Sequence[str], show: Callable[[str], None]) -> int:
    """Returns 0 if all runs passed, else 1."""
    failed = 0
    with kernels.environments(kernels.SETS, show) as able:
        for name, environment in able.items():
            for passes in PASSES:
                started = time.perf_counter()
                done = subprocess.run(
                    [sys.executable, "-m", "pytest", *arguments],
                    env=environment | {"PYFLOSSING_KERNEL": passes},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    check=False,
                )
                failed += done.returncode != 0
                if done.returncode:
                    show(done.stdout)
                last = (done.stdout.splitlines() or [""])[-1]
                show(f"exit {done.returncode}  {time.perf_counter() - started:4.0f} s  {name:34}  {passes:8}  {last}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(run_all(sys.argv[1:], lambda line: print(line, flush=True)))
