"""Discretised cells, one operation per edge, evaluated one after another with shared weights.

Operations are in the official edge order, so the value of a node depends only on the first operations of a cell: node 1
on one of them, node 2 on three, node 3 on all six. Cells in sorted order share the longest prefixes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Protocol, TypeVar, cast

import torch
from torch import Tensor

from nasbench_eval.cell import EDGES, INCOMING, NODES

Ops = tuple[int, ...]
_T = TypeVar("_T")

_PREFIX = tuple(sum(len(INCOMING[earlier]) for earlier in range(1, node + 1)) for node in range(NODES))
"""For each node, the number of operations that its value depends on: 0, 1, 3, 6."""


class SharedOperations(Protocol):
    """A weight-sharing cell, of which single operations can be evaluated."""

    def evaluate_operation(
        self, edge: int, op: int, node: Callable[[], Tensor], relu: Callable[[], Tensor]
    ) -> Tensor | None:
        """Return the output of one operation, as the cell computes it in evaluation mode; None if it is all zero.

        Args:
            edge: The edge.
            op: The operation.
            node: Returns the value of the node that the edge leaves, (B, C, H, W), channels-last.
            relu: Returns that value after ReLU.
        """


class DiscretisedCells:
    """Evaluates discretised cells on one feature map, and keeps of each what the next one can use.

    Only what leads to the last node is evaluated. At most one output of each operation on each edge is kept.

    Args:
        shared: The cell with the shared weights.
        x: The feature map, (B, C, H, W), channels-last.
        edges: Per edge (6,), a factor of its output; None for 1.
    """

    def __init__(self, shared: SharedOperations, x: Tensor, edges: Tensor | None = None) -> None:
        self._shared, self._x, self._edges = shared, x, edges
        self._kept: dict[Hashable, tuple[Ops, Any]] = {}

    def __call__(self, ops: Ops) -> Tensor:
        """Return the last node, (B, C, H, W), of the cell with these six operations."""
        return self._sum(NODES - 1, ops)

    def _sum(self, node: int, ops: Ops) -> Tensor:
        outputs = [output for edge in INCOMING[node] if (output := self._output(edge, ops)) is not None]
        if len(outputs) < 2:
            return outputs[0] if outputs else torch.zeros_like(self._x)
        total = outputs[0] + outputs[1]  # not in place: outputs are kept
        for output in outputs[2:]:
            total += output
        return total

    def _output(self, edge: int, ops: Ops) -> Tensor | None:
        source, op = EDGES[edge][1], ops[edge]
        prefix = ops[: _PREFIX[source]]

        def node() -> Tensor:
            return self._once(("node", source), prefix, lambda: self._sum(source, ops)) if source else self._x

        def relu() -> Tensor:
            return self._once(("relu", source), prefix, lambda: node().relu())

        def output() -> Tensor | None:
            result = self._shared.evaluate_operation(edge, op, node, relu)
            return result if result is None or self._edges is None else result * self._edges.select(0, edge)

        return self._once((edge, op), prefix, output)

    def _once(self, key: Hashable, prefix: Ops, compute: Callable[[], _T]) -> _T:
        """Return what was kept for a key, computed again if the operations that it depends on have changed."""
        kept = self._kept.get(key)
        if kept is None or kept[0] != prefix:
            kept = self._kept[key] = (prefix, compute())
        return cast("_T", kept[1])
