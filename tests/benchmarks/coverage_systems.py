"""Ten systems with many trajectories each, on which the coverage of error bars is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

Step = Callable[[Any, Any], Tensor]


@dataclass(frozen=True)
class System:
    """A step with many examples; the first ``settle`` steps are taken before the run."""

    name: str
    step: Any
    state: Tensor
    n_steps: int
    k: int
    inputs: Tensor | None = None
    settle: int = 200
    settings: dict[str, Any] = field(default_factory=dict)


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def runge_kutta(slope: Callable[[Tensor], Tensor], h: float) -> Step:
    def step(s: Tensor, _: Any) -> Tensor:
        a = slope(s)
        b = slope(s + h / 2 * a)
        c = slope(s + h / 2 * b)
        d = slope(s + h * c)
        return s + h / 6 * (a + 2 * b + 2 * c + d)

    return step


def henon(s: Tensor, _: Any) -> Tensor:
    x, y = s.unbind(1)
    return torch.stack([1 - 1.4 * x**2 + y, 0.3 * x], dim=1)


def ikeda(s: Tensor, _: Any) -> Tensor:
    x, y = s.unbind(1)
    t = 0.4 - 6 / (1 + x**2 + y**2)
    return torch.stack([1 + 0.9 * (x * t.cos() - y * t.sin()), 0.9 * (x * t.sin() + y * t.cos())], dim=1)


def standard_map(s: Tensor, _: Any) -> Tensor:
    x, p = s.unbind(1)
    p = p + 6 * x.sin()
    return torch.stack([x + p, p], dim=1)


def lorenz(s: Tensor) -> Tensor:
    x, y, z = s.unbind(1)
    return torch.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z], dim=1)


def roessler(s: Tensor) -> Tensor:
    x, y, z = s.unbind(1)
    return torch.stack([-y - z, x + 0.2 * y, 0.2 + z * (x - 5.7)], dim=1)


def intermittent(s: Tensor, _: Any) -> Tensor:
    """Pomeau and Manneville's map x + x^1.5 mod 1, which lingers near 0."""
    x = s + s.clamp(min=1e-12) ** 1.5
    return torch.where(x < 1, x, x - 1)


def systems(size: int = 100) -> Iterator[System]:
    """The ten systems, ``size`` trajectories each."""
    yield System("logistic map", lambda s, _: 3.9 * s * (1 - s), torch.sigmoid(normal(size, 1, seed=1)), 2000, 1)
    yield System("Henon map", henon, normal(size, 2, seed=2) / 10, 2000, 2)
    yield System("Ikeda map", ikeda, normal(size, 2, seed=3) / 10, 2000, 2)
    yield System("standard map", standard_map, normal(size, 2, seed=4), 2000, 1)
    yield System("intermittent map", intermittent, torch.sigmoid(normal(size, 1, seed=5)), 4000, 1)
    flow = {"time_step": 0.01}
    yield System("Lorenz, step 0.01", runge_kutta(lorenz, 0.01), 5 * normal(size, 3, seed=6), 6000, 3, None, 3000, flow)
    flow = {"time_step": 0.05}
    start = normal(size, 3, seed=7) + torch.tensor([4.0, 0, 0])
    yield System("Roessler, step 0.05", runge_kutta(roessler, 0.05), start, 24000, 2, None, 3000, flow)
    torch.manual_seed(8)
    rnn = nn.RNNCell(1, 20).double().requires_grad_(False)
    rnn.weight_hh.copy_(2 * normal(20, 20, seed=9) / 20**0.5)
    yield System("tanh RNN, noisy input", rnn, normal(size, 20, seed=10), 1000, 4, 0.5 * normal(1200, size, 1, seed=11))
    gru = nn.GRUCell(2, 16).double().requires_grad_(False)
    for weights in gru.parameters():
        weights.mul_(4)
    yield System("GRU, noisy input", gru, normal(size, 16, seed=12), 4000, 3, normal(4200, size, 2, seed=13))
    matrices = normal(1200, size, 3, 3, seed=14)
    product = lambda s, x: (x @ s[..., None])[..., 0] / 10  # noqa: E731
    yield System("random matrices", product, 1e-3 * normal(size, 3, seed=15), 1000, 3, matrices)


def settled(system: System) -> System:
    """The system with its states on the attractor, where the run begins."""
    state, inputs = system.state, system.inputs
    called = (lambda s, x: system.step(x, s)) if isinstance(system.step, nn.RNNCellBase) else system.step
    with torch.no_grad():
        for t in range(system.settle):
            state = called(state, None if inputs is None else inputs[t])
    rest = None if inputs is None else inputs[system.settle :]
    return System(system.name, system.step, state, system.n_steps, system.k, rest, 0, system.settings)
