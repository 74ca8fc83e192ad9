"""Which cells compute the same function, so that only one of them needs training. Needs no torch."""

from __future__ import annotations

from functools import cache
from itertools import chain, groupby, permutations, product

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
"""The cell's input as the origin of a term; any other origin is the edge of a convolution."""

Term = tuple[int, int]
"""How many times a value was pooled, and its origin: ``_INPUT`` or the edge of a convolution."""
Sum = dict[Term, int]
"""The value of a node: how many times each term occurs in it."""

Form = tuple[tuple[tuple[int, int, int], ...], tuple[tuple[int, tuple[tuple[int, int, int], ...]], ...]]


def _sums(cell: Cell) -> tuple[list[Sum], dict[int, Sum]]:
    """Return every node as a sum of terms, and the input of every convolution whose input is not zero."""
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
    """Return the edges on which the output depends: those that carry a value and lie on a path to the last node."""
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
    """Return a canonical form, equal for two cells if they compute the same function with corresponding weights.

    The rules: ``none`` is zero, and so is every operation on a node that is zero (the bias of a convolution's BatchNorm
    is left out there: ``docs/training.md`` has the cells and the effect); ``skip_connect`` is the identity;
    average pooling is linear, so the pool of a sum is the sum of the pools; the order of summands does not matter;
    edges that do not reach the output are ignored. Every convolution has its own weights: two convolutions of the same
    input are two different summands, while one convolution that is used twice counts twice. The numbering of the
    convolutions does not matter.
    """
    return _canonical(cell)[0]


def corresponding(cell: Cell) -> tuple[int, ...]:
    """Return the edges of the live convolutions, ordered so that they correspond between cells of one function."""
    return _canonical(cell)[1]


def _canonical(cell: Cell) -> tuple[Form, tuple[int, ...]]:
    """Return the canonical form of a cell, and the order of its convolutions in that form."""
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

    def signature(edge: int) -> tuple[int, list[tuple[int, bool, int]]]:
        terms = inputs[edge].items()
        return cell.ops[edge], sorted((depth, origin == _INPUT, count) for (depth, origin), count in terms)

    # The smallest form over all numberings. Convolutions that already differ without a numbering are sorted; only
    # those that look alike are permuted.
    alike = [list(group) for _, group in groupby(sorted(used, key=lambda e: (signature(e), e)), key=signature)]
    orders = (tuple(chain(*parts)) for parts in product(*map(permutations, alike)))
    return min((form(order), order) for order in orders)


@cache
def representatives() -> tuple[int, ...]:
    """Return, for every cell in official order, the lowest index of a cell that computes the same function."""
    first: dict[Form, int] = {}
    return tuple(first.setdefault(function_of(cell), index) for index, cell in enumerate(all_cells()))


def normal_form(cell: Cell) -> Cell:
    """Return the cell with ``none`` on every edge that is zero or does not reach the output."""
    live = live_edges(cell)
    return Cell(tuple(op if edge in live else NONE for edge, op in enumerate(cell.ops)))  # type: ignore[arg-type]


def convolutions(cell: Cell) -> dict[int, int]:
    """Return the live convolutions: their operations by edge."""
    live = live_edges(cell)
    return {e: op for e, op in enumerate(cell.ops) if e in live and op in (NOR_CONV_1X1, NOR_CONV_3X3)}
