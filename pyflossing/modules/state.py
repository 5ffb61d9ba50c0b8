"""States of any structure as one flat tensor: tensors, and tuples, lists and dicts of them, nested as they like."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyflossing._support.alignment import aligned

State = Any
"""A tensor, or a tuple (named or not), list or dict of states."""

_LEAF = "tensor"
_DTYPES = (torch.float32, torch.float64)


@dataclass(frozen=True)
class StateLayout:
    """How a state is laid out in a flat tensor (*batch, n): its tensors one after the other, each row-major.

    Attributes:
        template: the structure, with a placeholder for each tensor.
        names: of the tensors, such as "state[0]" or "state['mem']".
        shapes: of the tensors without the batch.
        batch: (B,), or () for a single state.
        dtype: Float32 or Float64, of every tensor.
    """

    template: Any
    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    batch: tuple[int, ...]
    dtype: torch.dtype

    @classmethod
    def of(cls, state: State, *, batched: bool, dtype: torch.dtype | None = None) -> StateLayout:
        """The layout of a state at the start.

        Args:
            state: the state; the first dimension of every tensor is the batch if ``batched``.
            batched: whether it is.
            dtype: into which the state will be converted; its own by default.

        Raises:
            ValueError: no tensors, integers, types that differ, batches that differ.
        """
        leaves = list(leaves_of(state))
        if not leaves:
            raise ValueError("state has no tensors: it must be a tensor, or a tuple, list or dict of tensors")
        for name, leaf in leaves:
            _require_floating(name, leaf)
            if batched and leaf.dim() == 0:
                raise ValueError(f"{name} has no dimension for the batch: give one, or say batched=False")
        found = dtype if dtype is not None else leaves[0][1].dtype
        if found not in _DTYPES:
            raise ValueError(f"dtype = {found} is not allowed: QR decompositions want torch.float32 or torch.float64")
        for name, leaf in leaves:
            if dtype is None and leaf.dtype != found:
                raise ValueError(f"{name} has type {leaf.dtype}, but {leaves[0][0]} {found}: give all one type")
            if batched and leaf.shape[0] != leaves[0][1].shape[0]:
                raise ValueError(
                    f"{name} has batch size {leaf.shape[0]}, but {leaves[0][0]} {leaves[0][1].shape[0]}: the first "
                    "dimension of every tensor is the batch"
                )
        start = 1 if batched else 0
        layout = cls(
            template=_map(state, lambda leaf: _LEAF),
            names=tuple(name for name, _ in leaves),
            shapes=tuple(tuple(leaf.shape[start:]) for _, leaf in leaves),
            batch=tuple(leaves[0][1].shape[:start]),
            dtype=found,
        )
        if layout.n_states == 0 or 0 in layout.batch:
            raise ValueError(f"state is empty: shape {tuple(leaves[0][1].shape)} of {leaves[0][0]}")
        return layout

    @property
    def n_states(self) -> int:
        """n, the numbers in one example's state."""
        return sum(math.prod(shape) for shape in self.shapes)

    def flatten(self, state: State, whose: str = "the step returned a state whose") -> Tensor:
        """The flat tensor (*batch, n) of a state of this layout.

        Raises:
            ValueError: another structure, shape or type, with words that start with ``whose``.
        """
        leaves = list(_matching(state, self.template, "state", whose))
        for name, shape, leaf in zip(self.names, self.shapes, leaves, strict=True):
            if tuple(leaf.shape) != self.batch + shape:
                raise ValueError(
                    f"{whose} {name} has shape {tuple(leaf.shape)}, not {self.batch + shape}: shapes must stay as they "
                    "are, and may not depend on the data"
                )
            if leaf.dtype != self.dtype:
                raise ValueError(
                    f"{whose} {name} has type {leaf.dtype}, not {self.dtype}: give state, inputs and parameters one "
                    "type, convert in the step, or set dtype"
                )
        rows = [leaf.reshape(*self.batch, -1) for leaf in leaves]
        return rows[0] if len(rows) == 1 else torch.cat(rows, dim=-1)

    def unflatten(self, flat: Tensor) -> State:
        """The state of a flat tensor (*batch, n), as views."""
        sizes = [math.prod(shape) for shape in self.shapes]
        parts = torch.split_with_sizes(flat, sizes, dim=-1) if len(sizes) > 1 else (flat,)
        tensors = iter([part.reshape(self.batch + s) for part, s in zip(parts, self.shapes, strict=True)])
        return _map(self.template, lambda _: next(tensors))


def leaves_of(tree: State, name: str = "state") -> Iterator[tuple[str, Tensor]]:
    """The tensors of a structure, each with its name.

    Raises:
        ValueError: something that is neither a tensor nor a tuple, list or dict.
    """
    if isinstance(tree, Tensor):
        yield name, tree
    elif isinstance(tree, dict):
        for key, part in tree.items():
            yield from leaves_of(part, f"{name}[{key!r}]")
    elif isinstance(tree, (tuple, list)):
        for i, part in enumerate(tree):
            yield from leaves_of(part, f"{name}[{i}]")
    else:
        raise ValueError(
            f"{name} = {tree!r} is not allowed: it must be a tensor, or a tuple, list or dict of tensors; what does "
            "not change from step to step belongs into the step itself, and what changes by itself into the inputs"
        )


def convert(tree: State, function: Callable[[Tensor], Tensor]) -> State:
    """The same structure with ``function`` of every tensor."""
    return _map(tree, function)


def inputs_in(inputs: Any, dtype: torch.dtype | None) -> Any:
    """Inputs, aligned, floating ones converted to ``dtype`` if there is one; None without inputs."""

    def converted(t: Any) -> Any:
        if not isinstance(t, Tensor):
            return t
        found = t.to(dtype) if dtype is not None and t.is_floating_point() else t
        return found if 0 in found.stride() else aligned(found)  # what was expanded keeps to its little memory

    return None if inputs is None else _map(inputs, converted)


def input_at(inputs: Any, step: int) -> Any:
    """The input of one step (from 0): entry ``step`` of every tensor, None without inputs."""
    return None if inputs is None else _map(inputs, lambda series: series[step])


def _map(tree: Any, function: Callable[[Any], Any]) -> Any:
    if isinstance(tree, dict):
        return {key: _map(part, function) for key, part in tree.items()}
    if isinstance(tree, (tuple, list)):
        parts = [_map(part, function) for part in tree]
        if hasattr(tree, "_fields"):
            return type(tree)(*parts)
        return tuple(parts) if isinstance(tree, tuple) else parts
    return function(tree)


def _matching(tree: State, template: Any, name: str, whose: str) -> Iterator[Tensor]:
    """The tensors of ``tree`` in the template's order; tuples and lists stand for each other."""
    if isinstance(template, dict):
        if not isinstance(tree, dict) or tree.keys() != template.keys():
            found = f"the keys {list(tree)}" if isinstance(tree, dict) else f"type {type(tree).__name__}"
            raise ValueError(f"{whose} {name} has {found}, where the state had the keys {list(template)}")
        for key, part in template.items():
            yield from _matching(tree[key], part, f"{name}[{key!r}]", whose)
    elif isinstance(template, (tuple, list)):
        if not isinstance(tree, (tuple, list)) or len(tree) != len(template):
            found = f"{len(tree)} entries" if isinstance(tree, (tuple, list)) else f"type {type(tree).__name__}"
            raise ValueError(f"{whose} {name} has {found}, where the state had {len(template)} entries")
        for i, part in enumerate(template):
            yield from _matching(tree[i], part, f"{name}[{i}]", whose)
    elif isinstance(tree, Tensor):
        yield tree
    else:
        raise ValueError(
            f"{whose} {name} has type {type(tree).__name__}, where the state had a tensor: a step returns the new "
            "state alone, without outputs"
        )


def _require_floating(name: str, leaf: Tensor) -> None:
    if not leaf.is_floating_point():
        raise ValueError(
            f"{name} has type {leaf.dtype}, in which there are no tangents: convert it to a floating type; counters "
            "and masks belong into the inputs"
        )
