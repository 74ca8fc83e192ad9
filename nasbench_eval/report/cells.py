"""Drawings of derived cells: four nodes in a row, six edges, the name of the operation on each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nasbench_eval.analysis.final_cells import FinalCell, final_cells
from nasbench_eval.analysis.order import dataset_order
from nasbench_eval.cell import EDGES, OPS
from nasbench_eval.runs.store import Run

SHORT = {
    "none": "none",
    "skip_connect": "skip",
    "nor_conv_1x1": "conv 1×1",
    "nor_conv_3x3": "conv 3×3",
    "avg_pool_3x3": "pool 3×3",
}
"""The names of operations in drawings."""

MOST_CELLS = 6
"""Cells drawn per variant, the most frequent ones."""

MOST_SEEDS = 4
"""Seeds of one cell that are named one by one."""

WIDTH, HEIGHT, RADIUS = 330, 160, 11
_X = (16, 115, 215, 314)
_Y = 96
# Height of the middle of each edge above the row of nodes: neighbours are joined by straight lines.
_RISE = {(0, 1): 0, (1, 2): 0, (2, 3): 0, (0, 2): 40, (1, 3): -40, (0, 3): 74}


@dataclass(frozen=True)
class DrawnEdge:
    """One edge of a drawing: the path, the place of its label, and its operation."""

    path: str
    x: float
    y: float
    op: str
    label: str


@dataclass(frozen=True)
class DrawnCell:
    """One derived cell of a variant.

    Attributes:
        index: Official index.
        arch: Architecture string.
        words: The cell in words, edge by edge.
        seeds: The seeds that ended on it.
        accuracies: Data set and true test accuracy in percent.
        edges: Its edges, ``none`` first, so that the others are drawn over them.
    """

    index: int
    arch: str
    words: str
    seeds: tuple[int, ...]
    accuracies: tuple[tuple[str, float], ...]
    edges: tuple[DrawnEdge, ...]

    @property
    def where(self) -> str:
        """The seeds that ended on it, in words."""
        if len(self.seeds) > MOST_SEEDS:
            return f"{len(self.seeds):,} seeds"
        return f"seed{'s' if len(self.seeds) > 1 else ''} {', '.join(map(str, self.seeds))}"


@dataclass(frozen=True)
class VariantCells:
    """The cells of one variant: the most frequent ones, and how many seeds ended on others."""

    shown: tuple[DrawnCell, ...]
    n_seeds: int
    n_cells: int
    other_seeds: int


def variant_cells(runs: Iterable[Run]) -> VariantCells:
    """Return the final cells of the runs of one variant, the most frequent first."""
    found = final_cells(runs)
    n_seeds = sum(len(each.runs) for each in found)
    shown = tuple(map(_drawn, found[:MOST_CELLS]))
    return VariantCells(shown, n_seeds, len(found), n_seeds - sum(len(each.seeds) for each in shown))


def _drawn(found: FinalCell) -> DrawnCell:
    cell = found.cell
    known = dataset_order(name for run in found.runs for name in run.test_acc)
    edges = [_edge(source, target, OPS[op]) for (target, source), op in zip(EDGES, cell.ops, strict=True)]
    words = ", ".join(
        f"{source} to {target} {SHORT[OPS[op]]}" for (target, source), op in zip(EDGES, cell.ops, strict=True)
    )
    return DrawnCell(
        index=cell.index,
        arch=str(cell),
        words=words,
        seeds=tuple(run.record.seed for run in found.runs),
        accuracies=tuple((name, found.test_acc(name)) for name in known),
        edges=tuple(sorted(edges, key=lambda edge: edge.op != "none")),
    )


def _edge(source: int, target: int, op: str) -> DrawnEdge:
    """Return an edge between the circles of two nodes; a curve passes through its label."""
    start, end, rise = _X[source], _X[target], _RISE[source, target]
    middle = (start + end) / 2
    side = 1 if rise >= 0 else -1
    if not rise:
        path = f"M{start + RADIUS} {_Y}H{end - RADIUS}"
    else:
        top, near, off = _Y - rise * 4 / 3, (end - start) / 6, _Y - side * 10
        path = f"M{start + 6} {off}C{start + near:g} {top:g} {end - near:g} {top:g} {end - 6} {off}"
    # Labels stand outside of the curves, so that no line runs through a word.
    return DrawnEdge(path, middle, _Y - rise - side * (12 if rise else 9), op, SHORT[op])


def nodes() -> list[tuple[int, int, str]]:
    """Return x, y and name of each node."""
    return [(x, _Y, name) for x, name in zip(_X, ("0", "1", "2", "3"), strict=True)]
