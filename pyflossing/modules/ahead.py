"""Running ahead: the trajectory first, a chunk of steps at a time, then the derivatives of all of them together."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from pyflossing._support.norms import euclidean_norm
from pyflossing.modules.calling import Step, on_flat, with_graph
from pyflossing.modules.compiled import DecomposedAlong, pays
from pyflossing.modules.linear import RecordedDerivative, recorded_step
from pyflossing.modules.stacked import StackedDerivative, as_examples, plain_jacobian
from pyflossing.modules.state import StateLayout, input_at
from pyflossing.modules.tangent import Push
from pyflossing.modules.tree import map_tree
from pyflossing.modules.ways import REFUSALS, Way

Advance = Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]]
"""(time, from 0; state there; directions) -> (next state, pushed directions)."""

PART_BYTES = 2**20
"""Size of the Jacobians that are formed at once. Larger ones leave the cache; smaller ones pay for torch's calls."""
_PART_BYTES_OF_SUMS = 2**22
"""The same where a Jacobian takes few passes (``columns.py``)."""

_CHUNK_BYTES = 2**21
"""Size of the states of one chunk."""
_CHUNK_STEPS = 128
_STEPS_WITHOUT_JACOBIANS = 64
_FREED_BYTES = 31 * 2**20
_STACKED_UP_TO = 64
"""n up to which stacked Jacobians were faster than pushing directions step by step."""

_FEWEST_STEPS = 8


class Derivative(Protocol):
    """Derivatives of many times."""

    def prepare(self, states: Tensor, inputs: Any) -> Tensor: ...

    def push(self, i: int, V: Tensor) -> Tensor: ...

    def through(self, begin: int, end: int, V: Tensor) -> DecomposedAlong: ...


def step_by_step(push: Push, inputs: Any) -> Advance:
    """A push with its inputs."""
    return lambda t, state, V: push(state, input_at(inputs, t), V)


class Ahead:
    """An :data:`Advance` that computes a chunk of states at once, and derivatives of a part of them, without gradients.

    What the derivative says of the next states is compared with the trajectory, and one pull of every chunk with a
    plain backward pass; where they differ, all further steps are taken one by one. If the trajectory is a recording's,
    it is compared with the step itself, which takes all states of the chunk as one batch; a step that does not allow
    this, or differs, makes the trajectory itself.

    Args:
        derivative: of many times.
        recorded: the step as recorded, or None.
        step, layout, inputs: the step.
        n_steps: of the whole run.
        chunk: steps of the trajectory at a time.
        part: steps whose derivatives are taken at a time.
        eps: relative rounding error of the step.
        otherwise: what takes over.
    """

    def __init__(
        self,
        derivative: Derivative,
        recorded: Callable[[Tensor, Any], Tensor] | None,
        step: Step,
        layout: StateLayout,
        inputs: Any,
        n_steps: int,
        chunk: int,
        part: int,
        eps: float,
        otherwise: Advance,
    ) -> None:
        self._derivative: Derivative | None = derivative
        self._function, self._recorded = on_flat(step, layout), recorded
        self._step, self._layout = step, layout
        self._inputs, self._n_steps, self._eps = inputs, n_steps, eps
        self._chunk, self._part = chunk, part
        self._otherwise = otherwise
        self._first = self._end = self._begin = self._stop = 0
        self._states: list[Tensor] = []
        self._trajectory = torch.empty(0)
        self._size = 0.0

    def __call__(self, t: int, state: Tensor, V: Tensor) -> tuple[Tensor, Tensor]:
        derivative = self._derivative_at(t, state)
        if derivative is None:
            return self._otherwise(t, state, V)
        return self._states[t + 1 - self._first], derivative.push(t - self._begin, V)

    def along(self, t: int, state: Tensor, V: Tensor, most: int) -> tuple[list[Tensor], DecomposedAlong] | None:
        """Several steps, at most ``most``, with a decomposition after each: states after them, and what came of V.

        None, if no kernel is faster than torch, or only the step itself can take the steps.
        """
        derivative = self._derivative_at(t, state)
        if derivative is None or not pays(V, self._layout.n_states):
            return None
        stop = min(t + most, self._stop)
        states = self._states[t + 1 - self._first : stop + 1 - self._first]
        return states, derivative.through(t - self._begin, stop - self._begin, V)

    def works(self, state: Tensor, V: Tensor) -> bool:
        """Whether the first chunk can be done this way."""
        if self._derivative is not None:
            self(0, state, V)
        return self._derivative is not None

    def _derivative_at(self, t: int, state: Tensor) -> Derivative | None:
        """Made ready for step t, if it can be."""
        if self._derivative is not None and not self._begin <= t < self._stop:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("error")  # torch warns where it cannot vectorise an operation
                if not self._first <= t < self._end:
                    self._fill(t, state)
                try:
                    self._prepare(t, min(t + self._part, self._end))
                except Exception:  # whatever somebody's step says of another number of examples
                    self._derivative = None
        return self._derivative

    def _fill(self, first: int, state: Tensor) -> None:
        end = min(first + self._chunk, self._n_steps)
        states = [state]
        whole = isinstance(self._inputs, Tensor)
        inputs = self._inputs[first:end].unbind(0) if whole else [input_at(self._inputs, t) for t in range(first, end)]
        if self._recorded is not None and not self._follows(states, inputs, first, end):
            self._recorded, states = None, [state]
        if self._recorded is None:
            for x in inputs:
                states.append(self._function(states[-1], x))
        self._first, self._end, self._states, self._trajectory = first, end, states, torch.stack(states)
        self._size = float(self._trajectory.abs().max())

    def _follows(self, states: list[Tensor], inputs: Any, first: int, end: int) -> bool:
        """Append the recording's trajectory; whether the step itself agrees."""
        recorded, size = self._recorded, len(states[0])
        assert recorded is not None
        for x in inputs:
            states.append(recorded(states[-1], x))
        whole = torch.stack(states)
        layout = self._layout.with_batch(size * (end - first))
        try:
            given = as_examples(map_tree(lambda series: series[first:end], self._inputs), size)
            found = on_flat(self._step, layout)(whole[:-1].flatten(0, 1), given)
        except Exception:  # whatever somebody's step says of another number of examples
            return False
        error = (found - whole[1:].flatten(0, 1)).abs().max()
        return bool(error <= 1e3 * self._eps * whole.abs().max())

    def _prepare(self, begin: int, stop: int) -> None:
        derivative = self._derivative
        assert derivative is not None
        states = self._trajectory[begin - self._first : stop + 1 - self._first]
        following = derivative.prepare(states[:-1], map_tree(lambda series: series[begin:stop], self._inputs))
        self._begin, self._stop = begin, stop
        tolerance = 1e3 * self._eps * self._size
        if not float((following - states[1:]).abs().max()) <= tolerance:
            raise RuntimeError("many steps at once do not give the trajectory")
        looked_at = self._first + (self._first * 7919) % (self._end - self._first)
        if not begin <= looked_at < stop:
            return
        i = looked_at - begin
        random = torch.Generator().manual_seed(self._first)
        w, v = (torch.randn(states[0].shape, generator=random, dtype=states.dtype).to(states) for _ in range(2))
        origin, following = with_graph(self._step, self._layout, states[i], input_at(self._inputs, looked_at))
        (pulled,) = torch.autograd.grad(following, origin, w)
        if not float((following.detach() - states[i + 1]).abs().max()) <= tolerance:
            raise RuntimeError("a recorded step is not the step itself")
        pushed = derivative.push(i, v[..., None])[..., 0]
        scale = euclidean_norm(w) * euclidean_norm(pushed) + euclidean_norm(pulled) * euclidean_norm(v)
        if not bool(((w * pushed).sum() - (pulled * v).sum()).abs() <= 1e3 * self._eps * scale):
            raise RuntimeError("many steps at once do not give the derivative")


def fastest(
    way: Way, layout: StateLayout, state: Tensor, frame: Tensor, inputs: Any, n_steps: int, eps: float, *, pure: bool
) -> tuple[Advance, str]:
    """How to take all steps without gradients: many at a time where that works and pays, and words for it.

    Only of a ``pure`` step, one of torch's own, may the trajectory be a recording's: other code may do something else
    from time to time, which only its own trajectory shows.
    """
    push = way.push if way.push is not None else plain_jacobian(way.step, layout)
    one_by_one = step_by_step(push, inputs)
    size = state.numel() * state.element_size()
    most = max(1, min(_CHUNK_STEPS, _CHUNK_BYTES // size))

    def sizes(part_bytes: int) -> tuple[int, int]:
        """Steps of a chunk and of a part."""
        part = max(1, min(most, part_bytes // (size * layout.n_states)))
        return most - most % part, part

    recorded: Callable[[Tensor, Any], Tensor] | None = None

    def candidate(derivative: Derivative, chunk: int, part: int) -> Ahead:
        return Ahead(derivative, recorded, way.step, layout, inputs, n_steps, chunk, part, eps, one_by_one)

    if n_steps < _FEWEST_STEPS or _autocast(state.device):
        return one_by_one, "step by step"
    # glibc hands freed arrays back to the system, which has to clear them anew, until it has seen a larger one freed.
    # This one is never touched, and costs nothing.
    torch.empty(_FREED_BYTES, dtype=torch.uint8)
    if way.name == "double_backward":
        try:
            derivative = RecordedDerivative(way.step, layout, state, input_at(inputs, 0), frame.shape[-1])
            recorded = recorded_step(way.step, layout, state, input_at(inputs, 0)) if pure and layout.batch else None
        except (*REFUSALS, ValueError):
            pass
        else:
            if derivative.forms_jacobians:
                steps = sizes(_PART_BYTES_OF_SUMS if derivative.is_sum else PART_BYTES)
            else:
                steps = (most if derivative.is_sum else _STEPS_WITHOUT_JACOBIANS,) * 2
            found = candidate(derivative, *steps)
            if found.works(state, frame):
                return found, "recorded"
    if layout.batch and (way.push is None or (way.name == "double_backward" and layout.n_states <= _STACKED_UP_TO)):
        found = candidate(StackedDerivative(way.step, layout), *sizes(PART_BYTES))
        if found.works(state, frame):
            return found, "stacked"
    return one_by_one, "step by step"


def _autocast(device: torch.device) -> bool:
    try:
        return bool(torch.is_autocast_enabled(device.type))
    except TypeError:  # before torch 2.4
        return bool(torch.is_autocast_enabled() or torch.is_autocast_cpu_enabled())
