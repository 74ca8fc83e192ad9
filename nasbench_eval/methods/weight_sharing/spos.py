"""SPOS, single path one-shot (Guo et al., ECCV 2020): uniform training, then evolution with the shared weights.

1. Every batch trains one cell drawn uniformly, as in RS-WS: ``rs_ws.Uniform``.
2. After the last epoch, cells evolve (:func:`evolve`). The first generation is drawn uniformly. Of all cells so far the
   best are parents; half of the next generation are mutations of one parent, half are crossovers of two. No cell is
   scored twice; a generation that lacks new cells is filled with random ones.
3. The best cell of all is kept.

The sizes and the rules follow ``src/Search/search.py`` of the released code. There each cell's BatchNorm statistics are
estimated anew before it is scored; ``track_running_stats = false`` takes those of the batch in the cells, while the
stem, the blocks between the stages and the last layer keep running ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from nasbench_eval.cell import N_EDGES, Cell
from nasbench_eval.methods.weight_sharing.base import Score
from nasbench_eval.methods.weight_sharing.rs_ws import UniformCells

PARENTS = 10
MUTATION = 0.1
"""The probability that a mutation draws an edge anew."""
TRIES = 10
"""Draws of each kind of child, per child that is wanted."""


def evolve(
    ops: tuple[int, ...], score: Score, *, population: int, generations: int, generator: torch.Generator
) -> tuple[Cell, float]:
    """Return the best cell that evolution finds, and its score.

    Args:
        ops: The candidate operations.
        score: Scores cells.
        population: Cells of a generation.
        generations: Number of generations, the first one included.
        generator: Draws cells, parents and children.
    """
    scores: dict[Cell, float] = {}
    uniform = UniformCells(ops)

    def draw(n: int) -> list[Any]:
        numbers: list[Any] = torch.randint(n, (N_EDGES,), generator=generator).tolist()
        return numbers

    def parent() -> Cell:
        return parents[int(torch.randint(len(parents), (), generator=generator))]

    def mutation() -> Cell:
        changed = (torch.rand(N_EDGES, generator=generator) < MUTATION).tolist()
        new = [ops[number] for number in draw(len(ops))]
        pairs = zip(parent().ops, new, changed, strict=True)
        return Cell(tuple(other if anew else op for op, other, anew in pairs))  # type: ignore[arg-type]

    def crossover() -> Cell:
        both = parent().ops, parent().ops
        return Cell(tuple(both[side][edge] for edge, side in enumerate(draw(2))))  # type: ignore[arg-type]

    def add(make: Callable[[], Cell], wanted: int, generation: list[Cell]) -> None:
        """Append new cells to a generation, as many as wanted if they are found."""
        goal = len(generation) + wanted
        for _ in range(TRIES * wanted):
            if len(generation) == goal:
                return
            cell = make()
            if cell not in scores and cell not in generation:
                generation.append(cell)

    parents: Sequence[Cell] = ()
    for _ in range(generations):
        generation: list[Cell] = []
        if parents:
            add(mutation, population // 2, generation)
            add(crossover, population // 2, generation)
        add(lambda: uniform.cells(1, generator)[0], population - len(generation), generation)
        if not generation:
            break  # every cell of a small space is known
        scores.update(zip(generation, score(generation), strict=True))
        parents = sorted(scores, key=scores.__getitem__, reverse=True)[:PARENTS]
    return parents[0], scores[parents[0]]
