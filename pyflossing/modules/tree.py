"""Structures of tensors: tuples, lists, dicts, dataclasses, and whatever else is registered with torch's pytrees."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch.utils._pytree as torch_trees
from torch import Tensor


@dataclass(frozen=True)
class Node:
    """A structure's outermost level.

    Attributes:
        labels: what names its parts: keys, indices, fields.
        parts: the parts.
        rebuild: the same level with other parts.
        kind: "dict", "sequence" or "object"; tuples and lists stand for each other.
    """

    labels: tuple[Any, ...]
    parts: tuple[Any, ...]
    rebuild: Callable[[list[Any]], Any]
    kind: str

    def name(self, label: Any) -> str:
        """How a part is written after the name of the whole."""
        return f".{label}" if self.kind == "object" and isinstance(label, str) else f"[{label!r}]"


def node_of(tree: Any) -> Node | None:
    """The outermost level of a structure; None for a tensor, and for anything that is no structure."""
    if isinstance(tree, Tensor) or tree is None:
        return None
    if isinstance(tree, dict):
        keys = tuple(tree)
        return Node(keys, tuple(tree.values()), lambda parts: dict(zip(keys, parts, strict=True)), "dict")
    if isinstance(tree, (tuple, list)):
        kind = type(tree)
        if hasattr(tree, "_fields"):
            return Node(tuple(range(len(tree))), tuple(tree), lambda parts: kind(*parts), "sequence")
        plain: type = tuple if isinstance(tree, tuple) else list
        return Node(tuple(range(len(tree))), tuple(tree), plain, "sequence")
    return _object(tree)


def _object(tree: Any) -> Node | None:
    registered = torch_trees.SUPPORTED_NODES.get(type(tree))
    if registered is not None:
        parts, context = registered.flatten_fn(tree)
        return Node(
            tuple(range(len(parts))),
            tuple(parts),
            lambda new: registered.unflatten_fn(new, context),
            "object",
        )
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        names = tuple(field.name for field in dataclasses.fields(tree))
        return Node(
            names,
            tuple(getattr(tree, name) for name in names),
            lambda parts: dataclasses.replace(tree, **dict(zip(names, parts, strict=True))),
            "object",
        )
    return None


def leaves_of(tree: Any, name: str = "state") -> Iterator[tuple[str, Tensor]]:
    """The tensors of a structure, each with its name; None is a structure without tensors.

    Raises:
        ValueError: something that is neither a tensor nor a structure.
    """
    node = node_of(tree)
    if isinstance(tree, Tensor):
        yield name, tree
    elif node is not None:
        for label, part in zip(node.labels, node.parts, strict=True):
            yield from leaves_of(part, name + node.name(label))
    elif tree is not None:
        raise ValueError(
            f"{name} = {tree!r} is not allowed: it must be a tensor, or a tuple, list, dict or dataclass of tensors; "
            "what does not change from step to step belongs into the step itself, and what changes by itself into the "
            "inputs"
        )


def map_tree(function: Callable[[Any], Any], tree: Any) -> Any:
    """The same structure with ``function`` of everything in it that is no structure; None stays None."""
    node = node_of(tree)
    if node is not None:
        return node.rebuild([map_tree(function, part) for part in node.parts])
    return None if tree is None else function(tree)


def matching(tree: Any, template: Any, name: str, whose: str) -> Iterator[Tensor]:
    """The tensors of ``tree`` in the template's order; tuples and lists stand for each other.

    Raises:
        ValueError: another structure than the template's.
    """
    if isinstance(template, Tensor):
        if not isinstance(tree, Tensor):
            raise ValueError(
                f"{whose} {name} has type {type(tree).__name__}, where the state had a tensor: a step returns the new "
                "state alone, without outputs"
            )
        yield tree
        return
    expected, found = node_of(template), node_of(tree)
    if expected is None:
        if tree is not None:
            raise ValueError(f"{whose} {name} has type {type(tree).__name__}, where the state had None")
        return
    if found is None or found.kind != expected.kind or set(found.labels) != set(expected.labels):
        raise ValueError(f"{whose} {name} has {_words(tree, found)}, where the state had {_words(template, expected)}")
    parts = dict(zip(found.labels, found.parts, strict=True))
    for label, part in zip(expected.labels, expected.parts, strict=True):
        yield from matching(parts[label], part, name + expected.name(label), whose)


def _words(tree: Any, node: Node | None) -> str:
    if node is None or node.kind == "object":
        return f"type {type(tree).__name__}"
    return f"the keys {list(node.labels)}" if node.kind == "dict" else f"{len(node.labels)} entries"
