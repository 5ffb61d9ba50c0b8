"""`make bench`: the benchmarks, one table of epochs and runs as ratios of medians of one run, memory, and growth."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import beside_jax
import growth
import in_jax
import numpy as np
import pytest
import torch

OTHERS = {"literal torch": "literal torch", "julia": "our Julia", "floor": "floor", "one after the other": "one by one"}


def timings() -> dict[str, dict[str, float]]:
    """Medians in ms by group and method."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "benchmarks.json"
        options = ["--benchmark-only", "--benchmark-enable", "--benchmark-disable-gc", "--benchmark-warmup=on"]
        brief = ["--benchmark-max-time=0.6", "--benchmark-min-rounds=5"]
        quiet = ["--benchmark-columns=median,iqr,rounds", "--benchmark-sort=mean"]
        if code := pytest.main([str(Path(__file__).parent), f"--benchmark-json={path}", *options, *brief, *quiet]):
            raise SystemExit(code)
        benchmarks = json.loads(path.read_text())["benchmarks"]
    groups: dict[str, dict[str, float]] = defaultdict(dict)
    for entry in benchmarks:
        by_name = [method for method in ("julia", "floor") if method in entry["name"]]
        named = (entry["params"] or {}).get("method") if entry["group"] else None
        groups[entry["group"] or entry["name"]][named or (by_name or ["ours"])[0]] = 1e3 * entry["stats"]["median"]
    return groups


def ratios(groups: dict[str, dict[str, float]]) -> list[str]:
    """Ours in ms, and ours divided by each of the others."""
    lines = ["| median of | ours, ms | " + " | ".join(f"/ {title}" for title in OTHERS.values()) + " |"]
    lines.append("|---" * (2 + len(OTHERS)) + "|")
    for group, by_method in groups.items():
        cells = [f"{by_method['ours'] / by_method[other]:.2f}" if other in by_method else "" for other in OTHERS]
        lines.append(f"| {group} | {by_method['ours']:.3g} | {' | '.join(cells)} |")
    return lines


PEAK = """
import sys, torch
from pathlib import Path
from pyflossing import TanhNetwork
from pyflossing.model.loss import Parameters
from pyflossing.gradients.training_pass import training_gradient

def kilobytes(name):
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name)]
    return int(line.split()[1])

def grown(n, steps, batch):
    p = Parameters(torch.randn(n, 1), torch.randn(n, n) / n**0.5, torch.randn(1, n), torch.zeros(n), torch.zeros(1),
                   torch.randn(n, batch))
    x = torch.randn(steps, 1, batch)
    y = (x > 0).float()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = kilobytes("VmRSS")
    training_gradient(TanhNetwork(), p, x, y, 20)
    return 1024 * (kilobytes("VmHWM") - before)

torch.set_num_threads(1)
n, steps, batch = map(int, sys.argv[1:])
grown(n, 40, 4)
print(grown(n, steps, batch))
"""


def memory() -> list[str]:
    """Peak bytes of a training epoch, and over the bytes of one array of all states; on Linux alone."""
    if not Path("/proc/self/clear_refs").exists():
        return ["not measured: it needs Linux"]
    lines = ["| T | B | peak, MB | / bytes of the states |", "|---|---|---|---|"]
    for steps, trials in ((3000, 16), (6000, 16), (12000, 16), (3000, 32), (3000, 64)):
        command = [sys.executable, "-c", PEAK, "80", str(steps), str(trials)]
        peak = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        lines.append(f"| {steps} | {trials} | {peak / 1e6:.1f} | {peak / (4 * 80 * steps * trials):.2f} |")
    return lines


def machine() -> str:
    """What the timings were taken on."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    processor = models[0] if models else platform.machine()
    return (
        f"{processor}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; Python {platform.python_version()}, "
        f"torch {torch.__version__}, numpy {np.__version__}; one thread"
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    in_jax.one_thread()
    sections = {"Beside JAX and the arithmetic": beside_jax.table()}
    sections |= {
        "Epochs and runs": ratios(timings()),
        "Memory of a training epoch, tanh": memory(),
        "Growth": growth.table(),
    }
    print(f"\n{machine()}")
    for title, lines in sections.items():
        print(f"\n{title}\n\n" + "\n".join(lines))
