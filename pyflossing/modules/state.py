"""States of any structure as one flat real tensor, and inputs step by step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pyflossing._support.alignment import aligned
from pyflossing.modules.tree import leaves_of, map_tree, matching

State = Any
"""A tensor, or a tuple (named or not), list, dict, dataclass or registered pytree of states."""

_WIDE = (torch.float32, torch.float64)
_NARROW = (torch.bfloat16, torch.float16)
_REAL = {torch.complex64: torch.float32, torch.complex128: torch.float64}


@dataclass(frozen=True)
class StateLayout:
    """How a state is laid out in a flat tensor (*batch, n): its tensors one after the other, each row-major.

    Complex numbers count as two, real and imaginary part.

    Attributes:
        template: a state of this structure.
        names: of the tensors, such as "state[0]" or "state['mem']".
        shapes: of the tensors without the batch; of complex ones with a last dimension of 2.
        batch: (B,), or () for a single state.
        batch_dim: where the batch is in the state's own tensors.
        dtype: Float32 or Float64, of flat states, directions and QR decompositions.
        own: type of the state's tensors, which may be a half type or complex.
        asked: whether that type was asked for, so that what a step returns in a narrower one is converted.
    """

    template: Any
    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    batch: tuple[int, ...]
    batch_dim: int
    dtype: torch.dtype
    own: torch.dtype
    asked: bool = False

    @classmethod
    def of(cls, state: State, *, batched: bool, dtype: torch.dtype | None = None, batch_dim: int = 0) -> StateLayout:
        """The layout of a state at the start.

        Args:
            state: the state.
            batched: whether its tensors have a dimension of examples.
            dtype: into which the state will be converted; its own by default, Float32 for half types.
            batch_dim: which dimension of every tensor is that of the examples.

        Raises:
            ValueError: no tensors, integers, types that differ, batches that differ.
        """
        leaves = list(leaves_of(state))
        if not leaves:
            raise ValueError("state has no tensors: it must be a tensor, or a tuple, list or dict of tensors")
        for name, leaf in leaves:
            _require_floating(name, leaf)
            if batched and leaf.dim() <= batch_dim:
                raise ValueError(f"{name} has no dimension for the batch: give one, or say batched=False")
        if dtype is not None and dtype not in _WIDE:
            raise ValueError(f"dtype = {dtype} is not allowed: QR decompositions want torch.float32 or torch.float64")
        own = own_type(leaves[0][1], dtype)
        for name, leaf in leaves:
            if own_type(leaf, dtype) != own:
                raise ValueError(f"{name} has type {leaf.dtype}, but {leaves[0][0]} {own}: give all one type")
            if batched and leaf.shape[batch_dim] != leaves[0][1].shape[batch_dim]:
                raise ValueError(
                    f"{name} has batch size {leaf.shape[batch_dim]}, but {leaves[0][0]} "
                    f"{leaves[0][1].shape[batch_dim]}: dimension {batch_dim} of every tensor is the batch"
                )
        tail = (2,) if own.is_complex else ()
        shapes = []
        for _, leaf in leaves:
            shape = list(leaf.shape)
            if batched:
                del shape[batch_dim]
            shapes.append((*shape, *tail))
        layout = cls(
            template=state,
            names=tuple(name for name, _ in leaves),
            shapes=tuple(shapes),
            batch=(leaves[0][1].shape[batch_dim],) if batched else (),
            batch_dim=batch_dim,
            dtype=torch.float32 if own in _NARROW else _REAL.get(own, own),
            own=own,
            asked=dtype is not None,
        )
        if layout.n_states == 0 or 0 in layout.batch:
            raise ValueError(f"state is empty: shape {tuple(leaves[0][1].shape)} of {leaves[0][0]}")
        return layout

    @property
    def n_states(self) -> int:
        """n, the numbers in one example's state."""
        return sum(math.prod(shape) for shape in self.shapes)

    def with_batch(self, size: int) -> StateLayout:
        """The same layout for another number of examples."""
        return replace(self, batch=(size,))

    def convert(self, state: State) -> State:
        """A state in this layout's own type, without a graph, usable in one even if it was made in inference mode."""
        return map_tree(lambda t: usable(t).to(self.own), state)

    def flatten(self, state: State, whose: str = "the step returned a state whose") -> Tensor:
        """The flat tensor (*batch, n) of a state of this layout.

        Raises:
            ValueError: another structure, shape or type, with words that start with ``whose``.
        """
        if isinstance(state, Tensor) and state.shape == self._flat_shape and state.dtype == self.dtype:
            return state
        rows = []
        for name, shape, leaf in zip(
            self.names, self.shapes, matching(state, self.template, "state", whose), strict=True
        ):
            if leaf.dtype != self.own:
                # autocast returns half types, whatever it was given
                narrower = leaf.dtype in _NARROW or (self.asked and leaf.dtype == torch.float32)
                if not narrower or self.own.is_complex:
                    raise ValueError(
                        f"{whose} {name} has type {leaf.dtype}, not {self.own}: give state, inputs and parameters one "
                        "type, convert in the step, or set dtype"
                    )
                leaf = leaf.to(self.own)  # noqa: PLW2901
            real = torch.view_as_real(leaf) if self.own.is_complex else leaf
            if self.batch and self.batch_dim and real.dim() > self.batch_dim:
                real = real.movedim(self.batch_dim, 0)
            if tuple(real.shape) != self.batch + shape:
                raise ValueError(
                    f"{whose} {name} has shape {tuple(leaf.shape)}, not {self._own_shape(shape)}: shapes must stay as "
                    "they are, and may not depend on the data"
                )
            rows.append(real.reshape(*self.batch, -1))
        flat = rows[0] if len(rows) == 1 else torch.cat(rows, dim=-1)
        return flat if flat.dtype == self.dtype else flat.to(self.dtype)

    def unflatten(self, flat: Tensor) -> State:
        """The state of a flat tensor (*batch, n), as views where its type allows it."""
        if self._flat_shape is not None:
            return flat
        sizes = [math.prod(shape) for shape in self.shapes]
        parts = torch.split_with_sizes(flat, sizes, dim=-1) if len(sizes) > 1 else (flat,)
        tensors = iter([self._own(part, shape) for part, shape in zip(parts, self.shapes, strict=True)])
        return map_tree(lambda _: next(tensors), self.template)

    @cached_property
    def _flat_shape(self) -> tuple[int, ...] | None:
        """Shape of a state that is its own flat tensor, which saves most steps the work; None for others."""
        plain = isinstance(self.template, Tensor) and self.dtype == self.own and not self.batch_dim
        return (*self.batch, *self.shapes[0]) if plain and len(self.shapes[0]) == 1 else None

    def _own(self, part: Tensor, shape: tuple[int, ...]) -> Tensor:
        tensor = part.reshape(self.batch + shape)
        if self.batch and self.batch_dim:
            tensor = tensor.movedim(0, self.batch_dim)
        if self.own.is_complex:
            return torch.view_as_complex(tensor.contiguous())
        return tensor if tensor.dtype == self.own else tensor.to(self.own)

    def _own_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        own = list(shape[:-1] if self.own.is_complex else shape)
        if self.batch:
            own.insert(self.batch_dim, self.batch[0])
        return tuple(own)


def usable(tensor: Tensor) -> Tensor:
    """The tensor without its graph; a copy of one that was made in inference mode, which no graph may hold."""
    return tensor.clone() if tensor.is_inference() else tensor.detach()


def own_type(tensor: Tensor, dtype: torch.dtype | None) -> torch.dtype:
    """The type of a tensor when it is computed in ``dtype``: complex numbers stay complex."""
    if dtype is None or not (tensor.is_floating_point() or tensor.is_complex()):
        return tensor.dtype
    return dtype.to_complex() if tensor.is_complex() else dtype


def inputs_in(inputs: Any, dtype: torch.dtype | None) -> Any:
    """Inputs, aligned, with floating tensors converted to ``dtype``, if given; fit for a graph."""

    def converted(t: Tensor) -> Tensor:
        found = usable(t).to(own_type(t, dtype))
        return found if 0 in found.stride() else aligned(found)  # what was expanded keeps to its little memory

    return map_tree(converted, inputs)


def input_at(inputs: Any, step: int) -> Any:
    """The input of one step (from 0): entry ``step`` of every tensor, None without inputs."""
    if isinstance(inputs, Tensor):
        return inputs[step]
    return map_tree(lambda series: series[step], inputs)


def _require_floating(name: str, leaf: Tensor) -> None:
    if not (leaf.is_floating_point() or leaf.is_complex()):
        raise ValueError(
            f"{name} has type {leaf.dtype}, in which there are no tangents: convert it to a floating type; counters "
            "and masks belong into the inputs"
        )


def cloned(state: State, copy: Callable[[Tensor], Tensor] = torch.clone) -> State:
    """A state of new tensors."""
    return map_tree(copy, state)
