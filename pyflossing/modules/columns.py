"""Jacobians as sums of fixed matrices whose columns are scaled: what those of most recurrent cells are.

After the product with the recurrent weights a cell's derivative only scales and adds: that of a GRU is
``D = diag(r) W_r + diag(z) W_z + diag(n) W_n + diag(u)`` with vectors r, z, n, u that depend on the state. Vectors are
small; once they are known for many times, each Jacobian takes a pass per matrix, however many operations the step has.
A recording of a step is read here for such a sum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx

from pyflossing.gradients.kernel.library import line
from pyflossing.modules.compiled import Columns
from pyflossing.modules.recording import compiled

_aten = torch.ops.aten
_SCALING = {
    _aten.mul.Tensor, _aten.mul.Scalar, _aten.div.Tensor, _aten.div.Scalar, _aten.neg.default,
    _aten.sigmoid_backward.default, _aten.tanh_backward.default, _aten.threshold_backward.default,
    _aten.silu_backward.default, _aten.gelu_backward.default, _aten.elu_backward.default,
    _aten.leaky_relu_backward.default, _aten.hardtanh_backward.default, _aten.softplus_backward.default,
}  # fmt: skip
"""Act on every number by itself, and are linear in one argument."""

_ARRANGING = {
    _aten.view.default, _aten._unsafe_view.default, _aten.permute.default, _aten.select.int,
    _aten.select_backward.default, _aten.unsqueeze.default, _aten.clone.default, _aten.detach.default,
}  # fmt: skip
"""Leave rows as they are."""

_MOST_TERMS = 16


class NoColumnsError(ValueError):
    """The derivative is no such sum."""


@dataclass(frozen=True)
class Term:
    """A matrix (n, m) whose columns are scaled, beginning at column ``at`` of the sum.

    Attributes:
        scale: (..., m), of the value's own shape but for its last axis; None, for ones.
        first: the matrix is the identity's columns from this one on, if it is not None.
    """

    matrix: Tensor
    scale: fx.Node | None = None
    at: int = 0
    first: int | None = None


class ScaledColumns:
    """The sum that a recording's linear part is.

    Args:
        operations, direction, pushed: of the linear part.
        varying: what it takes of the state's part.
        fixed: what it takes that depends on parameters only, with the values.
        like: a direction, (*batch, n).

    Raises:
        NoColumnsError: it is none.
    """

    def __init__(
        self,
        operations: Sequence[fx.Node],
        direction: fx.Node,
        pushed: fx.Node,
        varying: Sequence[fx.Node],
        fixed: dict[fx.Node, Tensor],
        like: Tensor,
    ) -> None:
        self._n, self._like = like.shape[-1], like
        self._fixed, self._ones = fixed, dict[fx.Node, Tensor]()
        self._small: list[fx.Node] = []
        self._sums: dict[fx.Node, list[Term]] = {direction: [Term(torch.eye(self._n).to(like), first=0)]}
        for node in operations:
            self._sums[node] = self._sum(node)
            if len(self._sums[node]) > _MOST_TERMS:
                raise NoColumnsError(f"more than {_MOST_TERMS} terms")
        self._terms = self._sums[pushed]
        self._padded: list[Tensor | None] | None = None
        scales = [self._scale_of(term, pushed) for term in self._terms]
        self.values = [*fixed.values(), *self._ones.values()]
        self.scales: Callable[..., tuple[Tensor, ...]] = compiled([*varying, *fixed, *self._ones], self._small, scales)

    @property
    def n_products(self) -> float:
        """Columns of all matrices but the identity, divided by n."""
        return sum(term.matrix.shape[1] for term in self._terms if term.first is None) / self._n

    def for_kernel(self, scales: Sequence[Tensor]) -> list[Columns]:
        """The terms with their scales (*size, m), as the kernel takes them."""
        if self._padded is None:
            self._padded = [None if term.first is not None else _padded(term.matrix) for term in self._terms]
        return [
            Columns(matrix, scale.contiguous(), term.at, term.first or 0)
            for matrix, term, scale in zip(self._padded, self._terms, scales, strict=True)
        ]

    def rows(self, scales: Sequence[Tensor]) -> Tensor:
        """D' (*size, n, n), contiguous, from the terms' scales (*size, m)."""
        n = self._n
        rows = scales[0].new_empty(*scales[0].shape[:-1], n, n)
        # those that fill the whole array first
        terms = sorted(zip(self._terms, scales, strict=True), key=lambda pair: (pair[0].first is not None, pair[0].at))
        first, scale = terms[0]
        if first.first is None and scale.shape[-1] == n:
            torch.mul(scale[..., None, :], first.matrix, out=rows)
            terms = terms[1:]
        else:
            rows.zero_()
        for term, scale in terms:
            columns = rows[..., term.at : term.at + scale.shape[-1]]
            if term.first is None:
                columns.addcmul_(scale[..., None, :], term.matrix)
            else:
                torch.diagonal(columns[..., term.first :, :], dim1=-2, dim2=-1).add_(scale)
        return rows

    def _sum(self, node: fx.Node) -> list[Term]:
        target, args = node.target, list[Any](node.args)
        own = [a for a in args if isinstance(a, fx.Node) and a in self._sums]
        source = own[0]
        terms = self._sums[source]
        whole = all(t.matrix.shape[1] == _shape(source)[-1] for t in terms)
        if target is _aten.add.Tensor and not node.kwargs:
            if len(own) == 2 and _shape(own[0]) == _shape(own[1]):
                return self._added(terms, self._sums[own[1]], node)
        elif target in _SCALING and len(own) == 1 and whole and _shape(node) == _shape(source):
            if source is args[0] or target is _aten.mul.Tensor:
                return [replace(t, scale=self._with(node, source, self._scale_of(t, source))) for t in terms]
        elif len(own) == 1 and source is args[0] and not node.kwargs:
            return self._rearranged(node, source, terms, whole)
        raise NoColumnsError(f"{node}, {target}, is not among what is known here")

    def _rearranged(self, node: fx.Node, source: fx.Node, terms: list[Term], whole: bool) -> list[Term]:
        target, args, last = node.target, list[Any](node.args), len(_shape(source)) - 1
        if target in _ARRANGING and whole and _keeps_rows(node, source):
            return [t if t.scale is None else replace(t, scale=self._with(node, source, t.scale)) for t in terms]
        if target is _aten.mm.default and args[1] in self._fixed and all(t.scale is None for t in terms):
            weights = self._fixed[args[1]]
            if terms[0].first == 0 and len(weights) == self._n:
                return [Term(weights.contiguous())]
            return [Term(t.matrix @ weights[t.at : t.at + t.matrix.shape[1]]) for t in terms]
        if target is _aten.slice.Tensor and len(args) == 4 and args[1] in (-1, last):
            return self._sliced(terms, node, args[2], args[3])
        if target is _aten.slice_backward.default and args[2] == last and args[5] == 1:
            return [replace(t, at=t.at + args[3]) for t in terms]
        raise NoColumnsError(f"{node}, {target}, is not among what is known here")

    def _added(self, terms: list[Term], others: list[Term], node: fx.Node) -> list[Term]:
        """Both, with the scales of the same matrix added."""
        found = list(terms)
        for other in others:
            for i, term in enumerate(found):
                if term.matrix is other.matrix and term.at == other.at:
                    scale = self._small_node(_aten.add.Tensor, self._scale_of(term, node), self._scale_of(other, node))
                    found[i] = replace(term, scale=scale)
                    break
            else:
                found.append(other)
        return found

    def _sliced(self, terms: list[Term], node: fx.Node, begin: int, end: int) -> list[Term]:
        end = min(end, begin + _shape(node)[-1])
        found = []
        for term in terms:
            lowest, highest = max(begin, term.at), min(end, term.at + term.matrix.shape[1])
            if lowest < highest:
                part = slice(lowest - term.at, highest - term.at)
                scale = term.scale and self._small_node(_aten.slice.Tensor, term.scale, -1, part.start, part.stop)
                first = None if term.first is None else term.first + part.start
                found.append(Term(term.matrix[:, part], scale, lowest - begin, first))
        if not found:
            raise NoColumnsError("nothing is left")
        return found

    def _scale_of(self, term: Term, node: fx.Node) -> fx.Node:
        """Its scale, or ones."""
        if term.scale is not None:
            return term.scale
        ones = torch.ones(*_shape(node)[:-1], term.matrix.shape[1]).to(self._like)
        found = node.graph.placeholder(f"ones_{len(self._ones)}")
        self._ones[found] = ones
        return found

    def _small_node(self, target: Any, *args: Any, **options: Any) -> fx.Node:
        graph = next(a for a in args if isinstance(a, fx.Node)).graph
        node = graph.call_function(target, args, options)
        self._small.append(node)
        return node

    def _with(self, node: fx.Node, source: fx.Node, scale: fx.Node) -> fx.Node:
        """The node's operation on a scale."""
        return self._small_node(node.target, *[scale if a is source else a for a in node.args], **node.kwargs)


def _padded(matrix: Tensor) -> Tensor:
    """With rows that are as long as the kernel's."""
    found = matrix.new_zeros(len(matrix), line(matrix.shape[1], matrix))
    found[:, : matrix.shape[1]] = matrix
    return found


def _keeps_rows(node: fx.Node, source: fx.Node) -> bool:
    """Whether the last axis stays the last."""
    before, after, args = _shape(source), _shape(node), list[Any](node.args)
    last = len(before) - 1
    if not after or before[-1] != after[-1] or before[-1] == 1:
        return False
    if node.target is _aten.permute.default:
        return args[1][-1] in (-1, last)
    if node.target is _aten.select.int:
        return args[1] not in (-1, last)
    if node.target is _aten.select_backward.default:
        return args[2] not in (-1, len(after) - 1)
    return node.target is not _aten.unsqueeze.default or args[1] not in (-1, len(before))


def _shape(node: fx.Node) -> torch.Size:
    shape: torch.Size = node.meta["shape"]
    return shape
