"""Comparing the ways to differentiate a step: for a Jacobian action or a surrogate gradient written by hand."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from pyflossing._support.arguments import require_integer
from pyflossing.modules.calling import Step, eagerly, on_flat, unwrap
from pyflossing.modules.frame import starting_frame
from pyflossing.modules.own_state import same_random, untouched
from pyflossing.modules.stacked import plain_jacobian
from pyflossing.modules.state import State, StateLayout, inputs_in
from pyflossing.modules.steps import JacobianAction, as_step, layout_of, require_out_of_place
from pyflossing.modules.tangent import Push, double_backward, explain, forward_mode, given_action
from pyflossing.modules.ways import REFUSALS


@dataclass(frozen=True)
class JacobianReport:
    """How far ways to push directions through a step are apart.

    Attributes:
        differences: for each pair of ways, the largest difference between entries of the pushed directions, relative to
            the largest entry of both.
        unavailable: ways that do not work for this step, with the reason.
    """

    differences: dict[tuple[str, str], float]
    unavailable: dict[str, str]

    @property
    def largest(self) -> float:
        """The largest of all differences; 0 if there are none."""
        return max(self.differences.values(), default=0.0)

    def __str__(self) -> str:
        lines = [f"{a} and {b}: {d:.2g}" for (a, b), d in self.differences.items()]
        lines += [f"{name}: not available: {reason}" for name, reason in self.unavailable.items()]
        return "\n".join(lines)


@torch.inference_mode(False)
def check_jacobian(
    step: Any,
    state: State,
    x: Any = None,
    *,
    jacobian_action: JacobianAction | None = None,
    smooth: bool = True,
    k: int | None = None,
    seed: int = 1,
    dtype: torch.dtype | None = None,
    batched: bool = True,
    batch_dim: int | None = None,
    input_first: bool | None = None,
    tolerance: float | None = None,
) -> JacobianReport:
    """Push the same directions through one step in every way there is, and compare.

    Ways: "double_backward", "backward" (plain passes), "forward", "finite_difference" (central ones along each
    direction, good to about 1e-9 in Float64 and 1e-3 in Float32), "jacobian_action". A surrogate gradient differs from
    finite differences by design, and so does whatever a step detaches.

    Args:
        step, state, dtype, batched, batch_dim, input_first: as in :func:`pyflossing.lyapunov_spectrum`.
        x: the input of this one step.
        jacobian_action: the derivative written by hand, to be checked.
        smooth: whether finite differences are taken.
        k: number of directions; min(n, 8) by default.
        seed: of the directions, in Julia 1.5's stream.
        tolerance: if given, larger differences are an error.

    Raises:
        ValueError: as for a spectrum's step and state; or a difference above the tolerance.
    """
    layout = layout_of(step, state, batched=batched, dtype=dtype, batch_dim=batch_dim)
    k = min(layout.n_states, 8) if k is None else require_integer("k", k, 1, layout.n_states)
    flat = layout.flatten(layout.convert(state), "state:").detach()
    x = inputs_in(x, dtype)
    frame, _ = starting_frame(seed, layout, k, flat.device)
    with torch.no_grad(), eagerly(), untouched(unwrap(step), flat.device):
        function = as_step(step, layout, flat, x, dtype, input_first)
        require_out_of_place(function, layout, flat, x)
        pushed, unavailable = _push_all(_ways(function, layout, jacobian_action, smooth=smooth), flat, x, frame)
    differences = {(a, b): _difference(pushed[a], pushed[b]) for a, b in combinations(pushed, 2)}
    report = JacobianReport(differences, unavailable)
    if tolerance is not None and not report.largest <= tolerance:
        raise ValueError(f"the ways to differentiate the step differ by more than tolerance = {tolerance}:\n{report}")
    return report


def _ways(step: Step, layout: StateLayout, action: JacobianAction | None, *, smooth: bool) -> dict[str, Push]:
    ways: dict[str, Push] = {}
    if action is not None:
        ways["jacobian_action"] = given_action(step, layout, action)
    ways["double_backward"] = double_backward(step, layout)
    ways["backward"] = plain_jacobian(step, layout)
    ways["forward"] = forward_mode(step, layout)
    if smooth:
        ways["finite_difference"] = _finite_difference(step, layout)
    return ways


def _push_all(ways: dict[str, Push], state: Tensor, x: Any, frame: Tensor) -> tuple[dict[str, Tensor], dict[str, str]]:
    pushed, unavailable = {}, {}
    for name, push in ways.items():
        try:
            with same_random(state.device):
                pushed[name] = push(state, x, frame)[1]
        except REFUSALS as error:
            if name in ("jacobian_action", "finite_difference"):
                raise  # no way of torch's: the caller's own code is wrong
            unavailable[name] = explain(error)
    return pushed, unavailable


def _difference(a: Tensor, b: Tensor) -> float:
    scale = float(torch.maximum(a.abs().max(), b.abs().max()))
    return float((a - b).abs().max()) / scale if scale > 0 else 0.0


def _finite_difference(step: Step, layout: StateLayout) -> Push:
    """Central differences along each direction, with the step that balances truncation and rounding."""

    def push(state: Tensor, x: Any, V: Tensor) -> tuple[Tensor, Tensor]:
        def function(flat: Tensor) -> Tensor:
            with same_random(flat.device):  # noise is the same along all directions
                return on_flat(step, layout)(flat, x)

        scale = torch.finfo(layout.dtype).eps ** (1 / 3) * max(1.0, float(state.abs().max()))
        columns = [(function(state + scale * v) - function(state - scale * v)) / (2 * scale) for v in V.unbind(-1)]
        return function(state), torch.stack(columns, dim=-1)

    return push
