"""A step's derivative as a recording: what depends on the state is computed for many times at once.

The recording of a double backward falls into three parts: what depends on parameters only, what depends on state and
input, and what is linear in the direction. The second runs once for all times of a chunk, by torch.vmap. The third
either runs on the frame step by step, or once for all times on the identity, which gives all Jacobians; there products
of the identity with parameters are the same for all times and computed once, and most cells' Jacobians are sums of such
products with scaled columns (:mod:`~pyflossing.modules.columns`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from pyflossing.modules.calling import Step, on_flat, with_graph
from pyflossing.modules.columns import NoColumnsError, ScaledColumns
from pyflossing.modules.compiled import (
    Columns,
    DecomposedAlong,
    decomposed,
    decomposed_along,
    decomposed_along_sums,
    pays,
)
from pyflossing.modules.recording import CannotRecordError, Recording, compiled, is_mutable, record, replayed
from pyflossing.modules.state import StateLayout
from pyflossing.modules.tree import leaves_of, map_tree

_IDENTITY_UP_TO = 64
"""n up to which Jacobians are formed rather than the frame pushed, unless there are nearly as many directions."""
_SUMS_UP_TO = 256
"""The same for n B with the kernel, where Jacobians are sums of fixed matrices with scaled columns. Of a batch of
examples, pushing all at once takes less time."""
_FURTHER_PRODUCTS = 64
"""Directions times further products with matrices up to which the kernel takes products rather than a sum of them."""


@dataclass(frozen=True)
class _Parts:
    state_part: Callable[..., Any]
    linear_part: Callable[..., Any]
    n_varying: int
    fixed: list[Tensor]
    state_constants: list[Tensor]
    columns: ScaledColumns | None


class RecordedDerivative:
    """States and derivatives of many times, from one recording of the step.

    Args:
        step, layout: the step.
        state, x: where it is recorded.
        k: directions that will be pushed.

    Raises:
        CannotRecordError: the step does other things from one time to another, or in an order that cannot be split.
    """

    def __init__(self, step: Step, layout: StateLayout, state: Tensor, x: Any, k: int) -> None:
        leaves = [leaf for _, leaf in leaves_of(x)]
        self.n, self.batch = layout.n_states, layout.batch
        with torch.no_grad():
            recording = record(_double_backward(step, layout, x), state, *leaves, state)
            formed, kernel = self.n <= _IDENTITY_UP_TO or 2 * k > self.n, pays(state, self.n)
            self._parts = _split(recording, len(leaves), state if formed or kernel else None)
        columns = self._parts.columns
        self._by_terms = columns is not None and kernel and (columns.n_products - 1) * k <= _FURTHER_PRODUCTS
        cheap = columns is not None and kernel and state.numel() <= _SUMS_UP_TO
        self.forms_jacobians = (formed or cheap) and not self._by_terms
        self._columns = columns if self._by_terms or self.forms_jacobians else None
        self.is_sum = self._columns is not None
        self._terms: list[Columns] = []
        self._prepared: dict[int, Callable[..., tuple[Tensor, ...]] | None] = {}
        self._pushes: dict[int, Callable[..., Any]] = {}
        self._residuals: list[tuple[Tensor, ...]] = []
        self._rows: Tensor | None = None
        self._jacobians: tuple[Tensor, ...] = ()

    def prepare(self, states: Tensor, inputs: Any) -> Tensor:
        """Get ready for pushes at the states (C, *batch, n) with their inputs; return the next states."""
        tensors = [states, *[leaf for _, leaf in leaves_of(inputs)]]
        size = len(states)
        if size in self._prepared and self._prepared[size] is None:
            try:
                self._prepared[size] = replayed(self._many, *tensors)  # vmap itself takes longer than small states do
            except CannotRecordError:
                self._prepared[size] = self._many
        following, *rest = (self._prepared.setdefault(size, None) or self._many)(*tensors)
        columns = self._columns
        if self._by_terms:
            assert columns is not None
            self._terms = columns.for_kernel(rest)
        elif self.forms_jacobians:
            self._rows = rest[0] if columns is None else columns.rows(rest)
            self._jacobians = self._rows.unbind(0)
        else:
            self._residuals = list(zip(*[r.unbind(0) for r in rest], strict=True)) or [()] * size
        return following

    def _many(self, states: Tensor, *leaves: Tensor) -> tuple[Tensor, ...]:
        """Next states of many times, and their Jacobians (C, *batch, n, n), or what those or pushes need."""
        parts = self._parts
        dims = (0,) * (1 + len(leaves)) + (None,) * len(parts.state_constants)
        following: Tensor
        following, *varying = torch.vmap(parts.state_part, in_dims=dims)(states, *leaves, *parts.state_constants)
        if self._columns is not None:
            values = self._columns.values
            dims = (0,) * parts.n_varying + (None,) * len(values)
            return (following, *torch.vmap(self._columns.scales, in_dims=dims)(*varying, *values))
        if not self.forms_jacobians:
            return (following, *varying)
        eye = torch.eye(self.n, dtype=states.dtype, device=states.device)
        eye = eye.reshape(self.n, *[1] * len(self.batch), self.n).expand(self.n, *self.batch, self.n)
        over_directions = torch.vmap(parts.linear_part, in_dims=(None,) * (parts.n_varying + len(parts.fixed)) + (0,))
        dims = (0,) * parts.n_varying + (None,) * (len(parts.fixed) + 1)
        if parts.n_varying:
            (rows,) = torch.vmap(over_directions, in_dims=dims)(*varying, *parts.fixed, eye)
        else:
            (rows,) = over_directions(*parts.fixed, eye)
            rows = rows.expand(len(states), *rows.shape)
        if self.batch:
            rows = rows.movedim(1, 2)
        return following, rows.contiguous()

    def transposed(self, i: int) -> Tensor:
        """The Jacobian at the i-th of the prepared states, transposed, (*batch, n, n), where such are formed."""
        if not self._by_terms:
            return self._jacobians[i]
        assert self._columns is not None
        return self._columns.rows([term.scales[i] for term in self._terms])

    def through(self, begin: int, end: int, V: Tensor) -> DecomposedAlong:
        """A frame (*batch, n, k) through some of the prepared states, with a decomposition after each."""
        if self._by_terms:
            return decomposed_along_sums([t._replace(scales=t.scales[begin:end]) for t in self._terms], V)
        if self.forms_jacobians:
            assert self._rows is not None
            return decomposed_along(self._rows[begin:end], V)
        each = []
        for i in range(begin, end):
            each.append(decomposed(self.push(i, V)))
            V = each[-1].frame
        return DecomposedAlong(V, *(torch.cat([e[i] for e in each]) for i in (1, 2)))

    def push(self, i: int, V: Tensor) -> Tensor:
        """D V (*batch, n, k) at the i-th of the prepared states."""
        if self._by_terms or self.forms_jacobians:
            rows, jacobian = V.mT, self.transposed(i)
            turned: Tensor = torch.bmm(rows, jacobian) if self.batch else rows @ jacobian
            return turned.mT
        k = V.shape[-1]
        if k not in self._pushes:  # shapes are part of a recording
            self._pushes[k] = self._over_directions(self._residuals[i], V)
        pushed: Tensor = self._pushes[k](self._residuals[i], V)
        return pushed

    def _over_directions(self, residuals: tuple[Tensor, ...], V: Tensor) -> Callable[..., Tensor]:
        """A function of residuals and frame, from a further recording, or, for one example, from the same one.

        The operations on one example's direction (1, n) are mostly those on k directions as rows (k, n).
        """
        parts = self._parts
        linear, fixed = parts.linear_part, parts.fixed
        over = torch.vmap(linear, in_dims=(None,) * (parts.n_varying + len(fixed)) + (0,))
        rows = V.movedim(-1, 0)
        found = record(lambda *a: over(*a[:-1], *fixed, a[-1]), *residuals, rows)
        values = list(found.constants.values())
        run = compiled([*found.inputs, *found.constants], found.operations, found.outputs)
        expected = run(*residuals, rows, *values)[0]
        if self.batch == (1,):
            try:
                (direct,) = linear(*residuals, *fixed, V[0].mT.contiguous())
            except (RuntimeError, IndexError):
                pass
            else:
                error = (direct - expected[:, 0]).abs().max() if direct.shape == expected[:, 0].shape else torch.inf
                if error <= 100 * torch.finfo(V.dtype).eps * expected.abs().max():
                    return lambda residuals, V: linear(*residuals, *fixed, V[0].mT)[0].mT[None]
        return lambda residuals, V: run(*residuals, V.movedim(-1, 0), *values)[0].movedim(0, -1)


def recorded_step(step: Step, layout: StateLayout, state: Tensor, x: Any) -> Callable[[Tensor, Any], Tensor]:
    """The step itself as recorded, without its Python code: the same kernels, and so the same numbers.

    Raises:
        CannotRecordError: the step does other things from one time to another, or writes into parameters or buffers.
    """

    def function(flat: Tensor, *leaves: Tensor) -> tuple[Tensor, ...]:
        values = iter(leaves)
        return (on_flat(step, layout)(flat, map_tree(lambda _: next(values), x)),)

    with torch.no_grad():
        run = replayed(function, state, *[leaf for _, leaf in leaves_of(x)])
    if isinstance(x, Tensor):
        return lambda flat, x: run(flat, x)[0]
    return lambda flat, x: run(flat, *[leaf for _, leaf in leaves_of(x)])[0]


def _double_backward(step: Step, layout: StateLayout, x: Any) -> Callable[..., tuple[Tensor, ...]]:
    """Next state and D v of state, the tensors of the input, and v."""

    def function(state: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        *leaves, v = rest
        values = iter(leaves)
        with torch.enable_grad():
            origin, following = with_graph(step, layout, state, map_tree(lambda _: next(values), x))
            cotangent = torch.zeros_like(following, requires_grad=True)
            (vjp,) = torch.autograd.grad(following, origin, cotangent, create_graph=True)
            (pushed,) = torch.autograd.grad(vjp, cotangent, v)
        return following.detach(), pushed

    return function


def _split(recording: Recording, n_leaves: int, like: Tensor | None) -> _Parts:
    """The recording's three parts, as functions; ``like`` is a direction, if scaled columns are to be looked for.

    Raises:
        CannotRecordError: a part writes into another one's tensors.
    """
    varying: set[fx.Node] = set(recording.inputs[: 1 + n_leaves])
    linear: set[fx.Node] = {recording.inputs[-1]}
    for node in recording.operations:
        sources = set(node.all_input_nodes)
        home = linear if sources & linear else varying if sources & varying else None
        if is_mutable(node):
            target = node.args[0] if node.args else None
            if home is None or target not in home or (home is varying and len(linear) > 1):
                raise CannotRecordError("an operation in place mixes what can be computed in advance with what cannot")
        if home is not None:
            home.add(node)
    following, pushed = recording.outputs
    if pushed not in linear or following not in varying:
        raise CannotRecordError("the next state does not depend on the state")
    groups: dict[str, list[fx.Node]] = {"linear": [], "state": [], "fixed": []}
    for node in recording.operations:
        groups["linear" if node in linear else "state" if node in varying else "fixed"].append(node)

    def sources_of(name: str) -> list[fx.Node]:
        own = set(groups[name])
        return list(dict.fromkeys(s for node in groups[name] for s in node.all_input_nodes if s not in own))

    constants = list(recording.constants)
    from_state = [s for s in sources_of("linear") if s in varying]
    from_fixed = [s for s in sources_of("linear") if s not in varying and s not in linear]
    needed = [s for s in sources_of("state") if s not in varying]
    fixed = compiled(constants, groups["fixed"], [*from_fixed, *needed])(*recording.constants.values())
    columns = None
    if from_state and like is not None:
        try:
            known = dict(zip(from_fixed, fixed, strict=False))
            columns = ScaledColumns(groups["linear"], recording.inputs[-1], pushed, from_state, known, like)
        except NoColumnsError:
            pass
    return _Parts(
        compiled([*recording.inputs[: 1 + n_leaves], *needed], groups["state"], [following, *from_state]),
        compiled([*from_state, *from_fixed, recording.inputs[-1]], groups["linear"], [pushed]),
        len(from_state),
        list(fixed[: len(from_fixed)]),
        list(fixed[len(from_fixed) :]),
        columns,
    )
