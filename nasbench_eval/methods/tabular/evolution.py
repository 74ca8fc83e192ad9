"""Regularised evolution: tournaments in a population whose oldest member dies (Real et al., AAAI 2019).

Algorithm 1 of the paper, and the code below:

1. Fill the population with random cells: :meth:`RegularisedEvolution.propose`.
2. Draw a sample of the population; its best member is the parent: also there.
3. Mutate one operation of the parent: :func:`mutate`.
4. Add the child to the population and drop the oldest member: :meth:`RegularisedEvolution.observe`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from nasbench_eval.cell import INCOMING, N_EDGES, N_OPS, NODES, Cell
from nasbench_eval.methods.base import SearchContext
from nasbench_eval.methods.tabular.base import TabularMethod, TabularSettings, cell_of
from nasbench_eval.settings import setting


@dataclass(frozen=True, kw_only=True)
class EvolutionSettings(TabularSettings):
    """The settings of regularised evolution."""

    population: int = setting("cells in the population", at_least=1)
    sample: int = setting("cells in a tournament, drawn with replacement", at_least=1)
    mutation: str = setting(
        "edge: draw one of the six edges; node_first: draw a node, then one of its edges, so that the only edge of the "
        "first node changes three times as often as each edge of the last",
        choices=("edge", "node_first"),
        default="edge",
    )


@final
class RegularisedEvolution(TabularMethod):
    """A random population first, then one mutated tournament winner per step."""

    Settings = EvolutionSettings

    def __init__(self, settings: EvolutionSettings, context: SearchContext) -> None:
        super().__init__(settings, context)
        self.settings = settings
        self.population: deque[tuple[Cell, float]] = deque(maxlen=settings.population)

    def propose(self) -> tuple[Cell, int]:
        """Return a random cell until the population is full, then a child of the winner of a tournament."""
        size = self.settings.population
        if len(self.population) < size:
            return Cell.random(self.rng), 0
        drawn = self.rng.integers(size, size=self.settings.sample).tolist()
        parent, _ = max((self.population[i] for i in drawn), key=lambda member: member[1])
        return mutate(parent, self.rng, node_first=self.settings.mutation == "node_first"), 0

    def observe(self, cell: Cell, rung: int, reward: float) -> None:
        """Add the cell; a full population drops its oldest member."""
        self.population.append((cell, reward))

    def own_state(self) -> dict[str, Any]:
        """Return the population, oldest first."""
        return {"population": [[list(cell.ops), reward] for cell, reward in self.population]}

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        """Restore the population."""
        self.population.clear()
        self.population.extend((cell_of(ops), reward) for ops, reward in state["population"])


def mutate(parent: Cell, rng: np.random.Generator, *, node_first: bool = False) -> Cell:
    """Return a cell that differs on exactly one edge; the new operation is drawn uniformly from the other four."""
    if node_first:
        edges = INCOMING[1 + int(rng.integers(NODES - 1))]
        edge = edges[int(rng.integers(len(edges)))]
    else:
        edge = int(rng.integers(N_EDGES))
    op = int(rng.integers(N_OPS - 1))
    ops = list(parent.ops)
    ops[edge] = op + (op >= ops[edge])
    return cell_of(ops)
