"""Local search: move to a better neighbour until there is none, then restart (White et al., UAI 2021, algorithm 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from nasbench_eval.cell import Cell
from nasbench_eval.methods.base import SearchContext
from nasbench_eval.methods.tabular.base import TabularMethod, TabularSettings, cell_of
from nasbench_eval.settings import setting


@dataclass(frozen=True, kw_only=True)
class LocalSearchSettings(TabularSettings):
    """The settings of local search."""

    move: str = setting(
        "best: query all 24 neighbours, then move to the best; first: move to the first better neighbour",
        choices=("best", "first"),
    )


@final
class LocalSearch(TabularMethod):
    """Hill climbing from random starts; known rewards are remembered, so no neighbour is queried twice.

    A random start that is already known is queried and charged again, so that every step is a query.
    """

    Settings = LocalSearchSettings

    def __init__(self, settings: LocalSearchSettings, context: SearchContext) -> None:
        super().__init__(settings, context)
        self.settings = settings
        self.rewards: dict[Cell, float] = {}
        self.centre: Cell | None = None
        self.waiting: list[Cell] = []

    def propose(self) -> tuple[Cell, int]:
        """Return the next neighbour of the centre, in random order, or a random start."""
        while not self.waiting and self.centre is not None:
            better = self._better(self.centre.neighbours())
            if better is None:
                self.centre = None
            else:
                self._move(better)
        return (self.waiting[-1] if self.waiting else Cell.random(self.rng)), 0

    def observe(self, cell: Cell, rung: int, reward: float) -> None:
        """Remember the reward, and move if it is time to."""
        self.rewards[cell] = reward
        if self.centre is None:
            self._move(cell)
            return
        self.waiting.pop()
        if self.settings.move == "first" and reward > self.rewards[self.centre]:
            self._move(cell)

    def _better(self, cells: list[Cell]) -> Cell | None:
        assert self.centre is not None
        best = max(cells, key=self.rewards.__getitem__)
        return best if self.rewards[best] > self.rewards[self.centre] else None

    def _move(self, cell: Cell) -> None:
        self.centre = cell
        around = cell.neighbours()
        order = self.rng.permutation(len(around)).tolist()
        self.waiting = [around[i] for i in order if around[i] not in self.rewards]

    def own_state(self) -> dict[str, Any]:
        """Return the known rewards, the centre, and the neighbours still to be queried."""
        return {
            "rewards": [[list(cell.ops), reward] for cell, reward in self.rewards.items()],
            "centre": None if self.centre is None else list(self.centre.ops),
            "waiting": [list(cell.ops) for cell in self.waiting],
        }

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        """Restore the known rewards, the centre, and the neighbours still to be queried."""
        self.rewards = {cell_of(ops): reward for ops, reward in state["rewards"]}
        self.centre = None if state["centre"] is None else cell_of(state["centre"])
        self.waiting = [cell_of(ops) for ops in state["waiting"]]
