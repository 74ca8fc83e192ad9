"""Which cells compute the same function, so that only one of them need be trained. Needs no torch."""

from __future__ import annotations

from functools import cache
from itertools import permutations

from nasbench_eval.cell import (
    AVG_POOL_3X3,
    EDGES,
    INCOMING,
    NODES,
    NONE,
    NOR_CONV_1X1,
    NOR_CONV_3X3,
    SKIP_CONNECT,
    Cell,
    all_cells,
)

_INPUT = -1
"""In a sum: the cell's input, where a number is the edge of the convolution whose output is meant."""

Term = tuple[int, int]
"""How often a value was pooled, and whose value it is: ``_INPUT`` or a convolution's edge."""
Sum = dict[Term, int]
"""A node as a sum: how often each term occurs."""

Form = tuple[tuple[tuple[int, int, int], ...], tuple[tuple[int, tuple[tuple[int, int, int], ...]], ...]]


def _sums(cell: Cell) -> tuple[list[Sum], dict[int, Sum]]:
    """Return every node as a sum of terms, and the input of every convolution on an edge that is not zero."""
    nodes: list[Sum] = [{(0, _INPUT): 1}]
    inputs: dict[int, Sum] = {}
    for node in range(1, NODES):
        total: Sum = {}
        for edge in INCOMING[node]:
            source, op = nodes[EDGES[edge][1]], cell.ops[edge]
            if op == NONE or not source:
                continue
            if op == SKIP_CONNECT:
                terms = source
            elif op == AVG_POOL_3X3:
                terms = {(depth + 1, origin): count for (depth, origin), count in source.items()}
            else:
                inputs[edge] = source
                terms = {(0, edge): 1}
            for term, count in terms.items():
                total[term] = total.get(term, 0) + count
        nodes.append(total)
    return nodes, inputs


def live_edges(cell: Cell) -> frozenset[int]:
    """Return the edges on which the output depends: not zero, and on a path to the last node."""
    nodes, _ = _sums(cell)
    live: set[int] = set()
    reached = {NODES - 1}
    for node in range(NODES - 1, 0, -1):
        if node in reached:
            for edge in INCOMING[node]:
                source = EDGES[edge][1]
                if cell.ops[edge] != NONE and nodes[source]:
                    live.add(edge)
                    reached.add(source)
    return frozenset(live)


def function_of(cell: Cell) -> Form:
    """Return a form that is equal for two cells if they compute the same function when their weights correspond.

    The rule: ``none``, and any operation on a node without input, is zero and drops out; ``skip_connect`` passes its
    input on; average pooling is linear, so that the pool of a sum is the sum of the pools; the order of summands does
    not matter; what does not reach the output does not either. Each convolution has weights of its own: two of them
    on the same input are two different summands, while one whose value is used twice counts twice. The names of
    convolutions do not matter: of all ways to number them the form is the smallest.
    """
    return _smallest(cell)[0]


def corresponding(cell: Cell) -> tuple[int, ...]:
    """Return the edges of the live convolutions, in an order in which those of cells of one function correspond."""
    return _smallest(cell)[1]


def _smallest(cell: Cell) -> tuple[Form, tuple[int, ...]]:
    nodes, inputs = _sums(cell)
    used: set[int] = set()
    open_sums = [nodes[-1]]
    while open_sums:
        for _, origin in open_sums.pop():
            if origin != _INPUT and origin not in used:
                used.add(origin)
                open_sums.append(inputs[origin])

    def form(order: tuple[int, ...]) -> Form:
        number = {_INPUT: _INPUT, **{edge: i for i, edge in enumerate(order)}}

        def named(total: Sum) -> tuple[tuple[int, int, int], ...]:
            return tuple(sorted((depth, number[origin], count) for (depth, origin), count in total.items()))

        return named(nodes[-1]), tuple((cell.ops[edge], named(inputs[edge])) for edge in order)

    return min((form(order), order) for order in permutations(sorted(used)))


@cache
def representatives() -> tuple[int, ...]:
    """Return for every cell, in official order, the lowest official index of a cell that computes the same function."""
    first: dict[Form, int] = {}
    return tuple(first.setdefault(function_of(cell), index) for index, cell in enumerate(all_cells()))


def normal_form(cell: Cell) -> Cell:
    """Return the cell with ``none`` on every edge that does not reach the output or carries nothing."""
    live = live_edges(cell)
    return Cell(tuple(op if edge in live else NONE for edge, op in enumerate(cell.ops)))  # type: ignore[arg-type]


def convolutions(cell: Cell) -> dict[int, int]:
    """Return the convolutions that are live, by edge."""
    live = live_edges(cell)
    return {e: op for e, op in enumerate(cell.ops) if e in live and op in (NOR_CONV_1X1, NOR_CONV_3X3)}
