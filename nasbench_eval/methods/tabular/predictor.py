"""Search with a predictor of accuracy: what BANANAS and NPENAS share.

1. Query random cells, all different.
2. Train a predictor from scratch on all queried cells: an ensemble of small networks, trained side by side.
3. Mutate the best queried cells, rank the mutations by the predictor, and query the first of them. Go to 2.

The methods differ in how a cell is described to the predictor, how it is mutated, and how predictions rank cells.
"""

from __future__ import annotations

import abc
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nasbench_eval.cell import N_OPS, Cell
from nasbench_eval.errors import Diverged
from nasbench_eval.methods.base import SearchContext
from nasbench_eval.methods.tabular.base import TabularMethod, TabularSettings, cell_of
from nasbench_eval.methods.tabular.ensemble import fit
from nasbench_eval.settings import setting

PATHS = ((3,), (0, 4), (1, 5), (0, 2, 5))
"""The edges of the four paths from the first node of a cell to the last."""


def path_encoding(cell: Cell, longest: int) -> np.ndarray:
    """Return which sequences of operations lead from the first node to the last (White et al., AAAI 2021).

    Args:
        cell: The cell.
        longest: The number of operations of the longest path encoded, 1 to 3.

    Returns:
        Zeros and ones: first 5 for the paths of one operation, then 25 for those of two, then 125 for that of three.
    """
    code = np.zeros(sum(N_OPS**length for length in range(1, longest + 1)), dtype=np.float32)
    for path in PATHS:
        if len(path) <= longest:
            start = sum(N_OPS**length for length in range(1, len(path)))
            code[start + sum(cell.ops[edge] * N_OPS**place for place, edge in enumerate(path))] = 1
    return code


@dataclass(frozen=True, kw_only=True)
class PredictorSettings(TabularSettings):
    """The settings of a search with a predictor."""

    initial: int = setting("random cells before the first prediction", at_least=1, at_most=1000)
    batch: int = setting("cells queried between two trainings of the predictor", at_least=1)
    mutations: int = setting("mutated cells that the predictor ranks", at_least=1)
    parents: int = setting("best queried cells that are mutated in turn, until there are enough", at_least=1)
    ensemble: int = setting("networks of the predictor", at_least=1)
    layers: int = setting("hidden layers of each", at_least=1)
    width: int = setting("units of a hidden layer", at_least=1)
    predictor_epochs: int = setting("epochs for which they are trained", at_least=1)
    predictor_batch_size: int = setting("cells per batch", at_least=1)
    predictor_lr: float = setting("their learning rate (Adam)", above=0)


class PredictorSearch(TabularMethod):
    """A search with a predictor; the methods say how cells are encoded, mutated, told apart and ranked."""

    Settings = PredictorSettings
    settings: PredictorSettings

    def __init__(self, settings: PredictorSettings, context: SearchContext) -> None:
        super().__init__(settings, context)
        self.settings = settings
        self.results: list[tuple[Cell, float]] = []
        self.waiting: list[Cell] = []

    @abc.abstractmethod
    def encode(self, cell: Cell) -> np.ndarray:
        """Return what the predictor sees of a cell, float32 (features,)."""

    @abc.abstractmethod
    def mutate(self, cell: Cell) -> Cell:
        """Return a mutation of a cell."""

    @abc.abstractmethod
    def order(self, errors: np.ndarray) -> np.ndarray:
        """Return the indices of the candidates (m,), first choice first.

        Args:
            errors: Their predicted validation errors in percent, (ensemble, m).
        """

    def key(self, cell: Cell) -> Hashable:
        """Return what two cells have in common that count as the same one."""
        return cell

    def propose(self) -> tuple[Cell, int]:
        """Return the next cell of the batch; the first of a batch chooses the whole batch."""
        if not self.waiting:
            self.waiting = self._mutations() if self.results else self._random(self.settings.initial)
        return self.waiting.pop(0), 0

    def observe(self, cell: Cell, rung: int, reward: float) -> None:
        """Record the result."""
        self.results.append((cell, reward))

    def _random(self, count: int) -> list[Cell]:
        found: dict[Hashable, Cell] = {}
        while len(found) < count:
            cell = Cell.random(self.rng)
            found.setdefault(self.key(cell), cell)
        return list(found.values())

    def _mutations(self) -> list[Cell]:
        """Return the mutations to query next; a random cell if every mutation is known."""
        settings = self.settings
        x, y = self._encoded([cell for cell, _ in self.results]), [100 - reward for _, reward in self.results]
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite raises below
            predict = fit(
                x,
                np.array(y, dtype=np.float32),
                members=settings.ensemble,
                layers=settings.layers,
                width=settings.width,
                epochs=settings.predictor_epochs,
                batch_size=settings.predictor_batch_size,
                lr=settings.predictor_lr,
                rng=self.rng,
            )
        ranked = sorted(self.results, key=lambda result: -result[1])
        known = {self.key(cell) for cell, _ in self.results}
        candidates: list[Cell] = []
        for parent, _ in ranked[: settings.parents]:
            if len(candidates) >= settings.mutations:
                break
            for child in (self.mutate(parent) for _ in range(settings.mutations)):
                key = self.key(child)
                if key not in known:
                    known.add(key)
                    candidates.append(child)
        if not candidates:
            return self._random(1)
        errors = predict(self._encoded(candidates))
        if not np.isfinite(errors).all():
            raise Diverged(len(self.results), "a prediction is not finite")
        return [candidates[i] for i in self.order(errors)[: settings.batch].tolist()]

    def _encoded(self, cells: Sequence[Cell]) -> np.ndarray:
        return np.stack([self.encode(cell) for cell in cells])

    def own_state(self) -> dict[str, Any]:
        """Return the results and the rest of the batch."""
        return {
            "results": [[list(cell.ops), reward] for cell, reward in self.results],
            "waiting": [list(cell.ops) for cell in self.waiting],
        }

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        """Restore the results and the rest of the batch."""
        self.results = [(cell_of(ops), reward) for ops, reward in state["results"]]
        self.waiting = [cell_of(ops) for ops in state["waiting"]]
