"""Random search: each query draws a cell uniformly, with replacement (Bergstra & Bengio, JMLR 2012)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

from nasbench_eval.cell import Cell
from nasbench_eval.methods.tabular.base import TabularMethod, TabularSettings


@final
class RandomSearch(TabularMethod):
    """Random search."""

    Settings = TabularSettings

    def propose(self) -> tuple[Cell, int]:
        """Return a random cell."""
        return Cell.random(self.rng), 0

    def observe(self, cell: Cell, rung: int, reward: float) -> None:
        """Ignore the reward; the base class keeps the best cell."""

    def own_state(self) -> dict[str, Any]:
        """Return an empty state."""
        return {}

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        """Restore nothing."""
