"""Recording the operations of a function on tensors, so that they can be run again on other ones.

A step's derivative is recorded once and then run without the step's Python code, without autograd's bookkeeping, and
for many times at once. What is recorded are torch's own basic operations, those of backward passes included, so that
surrogate gradients and hooks need nothing of their own.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils._python_dispatch import TorchDispatchMode

_SEEN_BY_PYTHON = ("_local_scalar_dense", "equal", "is_nonzero", "item")


class CannotRecordError(RuntimeError):
    """The operations depend on the numbers, or draw random ones, so that those of one run are not those of another."""


@dataclass(frozen=True)
class Recording:
    """Operations in their order, as a graph of torch.fx.

    Attributes:
        inputs: nodes of the arguments.
        operations: nodes, each of one operation, or of one of its several results; ``meta["shape"]`` is a result's.
        constants: tensors that were there before: parameters, buffers.
        outputs: nodes of the results.
    """

    inputs: tuple[fx.Node, ...]
    operations: list[fx.Node]
    constants: dict[fx.Node, Tensor]
    outputs: tuple[fx.Node, ...]


def is_mutable(node: fx.Node) -> bool:
    """Whether an operation writes into its first argument."""
    schema = getattr(node.target, "_schema", None)
    return bool(schema is not None and schema.is_mutable)


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, arguments: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.graph = fx.Graph()
        self.held: list[Tensor] = []  # kept alive, or another tensor could get the same id
        self.nodes: dict[int, fx.Node] = {}
        self.constants: dict[fx.Node, Tensor] = {}
        for i, tensor in enumerate(arguments):
            self.keep(tensor, self.graph.placeholder(f"input_{i}"))

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # which would load torch's compiler, for a second

    def keep(self, tensor: Tensor, node: fx.Node) -> fx.Node:
        self.held.append(tensor)
        self.nodes[id(tensor)] = node
        node.meta["shape"] = tensor.shape
        return node

    def node(self, tensor: Tensor) -> fx.Node:
        if id(tensor) not in self.nodes:
            found = self.graph.placeholder(f"constant_{len(self.constants)}")
            self.constants[self.keep(tensor, found)] = tensor.detach()
        return self.nodes[id(tensor)]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tags = set(func.tags)
        name = func.overloadpacket.__name__
        if name in _SEEN_BY_PYTHON or tags & {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}:
            raise CannotRecordError(f"{name} makes the step depend on its numbers")
        if torch.Tag.nondeterministic_seeded in tags:
            raise CannotRecordError(f"{name} draws random numbers")
        arguments = tuple(_replaced(a, self.node) for a in args)
        options = {key: _replaced(a, self.node) for key, a in kwargs.items()}
        result = func(*args, **kwargs)
        node = self.graph.call_function(func, arguments, options)
        if isinstance(result, Tensor):
            self.keep(result, node)
        elif isinstance(result, (tuple, list)):
            for i, part in enumerate(result):
                if isinstance(part, Tensor):
                    self.keep(part, self.graph.call_function(operator.getitem, (node, i)))
        return result


def record(function: Callable[..., tuple[Tensor, ...]], *arguments: Tensor) -> Recording:
    """The operations of ``function(*arguments)``, which returns a tuple of tensors.

    Raises:
        CannotRecordError: another run may take other operations.
    """
    arguments = tuple(a.detach().clone() for a in arguments)
    recorder = _Recorder(arguments)
    with recorder:
        found = function(*arguments)
    outputs = tuple(recorder.node(tensor) for tensor in found)
    inputs = tuple(recorder.nodes[id(a)] for a in arguments)
    operations = [node for node in recorder.graph.nodes if node.op == "call_function"]
    return Recording(inputs, _needed(operations, outputs), recorder.constants, outputs)


def compiled(
    inputs: Sequence[fx.Node], operations: Sequence[fx.Node], outputs: Sequence[fx.Node]
) -> Callable[..., tuple[Tensor, ...]]:
    """A function of the tensors at ``inputs`` that runs the operations and returns the tuple at ``outputs``.

    It is a line of Python per operation, which calls torch's kernel itself: small steps spend their time between
    kernels.
    """
    names = {node: f"t{i}" for i, node in enumerate([*inputs, *operations])}
    known: dict[str, Any] = {}

    def written(value: Any) -> str:
        if isinstance(value, fx.Node):
            return names[value]
        if isinstance(value, (list, tuple)):
            inner = "".join(f"{written(part)}, " for part in value)
            return f"[{inner}]" if isinstance(value, list) else f"({inner})"
        name = f"c{len(known)}"
        known[name] = value
        return name

    lines = [f"def run({', '.join(names[node] for node in inputs)}):"]
    for node in operations:
        kernel = written(getattr(node.target, "_op", node.target))
        options = [f"{key}={written(value)}" for key, value in node.kwargs.items()]
        lines.append(f"    {names[node]} = {kernel}({', '.join([*map(written, node.args), *options])})")
    lines.append(f"    return ({''.join(names[node] + ', ' for node in outputs)})")
    exec("\n".join(lines), known)
    run: Callable[..., tuple[Tensor, ...]] = known["run"]
    return run


def replayed(function: Callable[..., tuple[Tensor, ...]], *arguments: Tensor) -> Callable[..., tuple[Tensor, ...]]:
    """The function as recorded, for arguments of these shapes; what depends on none of them is computed once, here.

    Raises:
        CannotRecordError: another run may take other operations, or they write into parameters or buffers.
    """
    found = record(function, *arguments)
    varying: set[fx.Node] = set(found.inputs)
    for node in found.operations:
        if varying & set(node.all_input_nodes):
            varying.add(node)
        if is_mutable(node) and node.args[0] not in varying:
            raise CannotRecordError("an operation writes into what was there before")
    changing = [node for node in found.operations if node in varying]
    fixed = [node for node in found.operations if node not in varying]
    read = [*[s for node in changing for s in node.all_input_nodes], *found.outputs]
    needed = list(dict.fromkeys(node for node in read if node not in varying))
    values = compiled(list(found.constants), fixed, needed)(*found.constants.values())
    run = compiled([*found.inputs, *needed], changing, found.outputs)
    return lambda *given: run(*given, *values)


def _replaced(value: Any, node: Callable[[Tensor], fx.Node]) -> Any:
    if isinstance(value, Tensor):
        return node(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_replaced(part, node) for part in value)
    return value


def _needed(operations: list[fx.Node], outputs: Sequence[fx.Node]) -> list[fx.Node]:
    """Without operations that no output depends on; those that write into a tensor stay."""
    wanted = set(outputs)
    kept = []
    for node in reversed(operations):
        if node in wanted or is_mutable(node):
            wanted |= set(node.all_input_nodes)
            kept.append(node)
    return kept[::-1]
