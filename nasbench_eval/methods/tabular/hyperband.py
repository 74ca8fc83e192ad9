"""Successive halving: evaluate many cells at a low fidelity, and promote the best of them to the next.

:class:`Brackets` is the synchronous form, Hyperband (Li et al., JMLR 2018), one query at a time; ``bohb.Bohb`` runs it.
:class:`Asha` is the asynchronous form (Li et al., MLSys 2020) with a single worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from nasbench_eval.cell import Cell
from nasbench_eval.methods.base import SearchContext
from nasbench_eval.methods.tabular.base import TabularMethod, TabularSettings, cell_of
from nasbench_eval.settings import setting


def bracket_sizes(rungs: int, eta: int, number: int) -> list[int]:
    """Return the number of cells of a Hyperband bracket at each of its fidelities, lowest first.

    Args:
        rungs: Number of fidelities R.
        eta: One in eta cells is promoted.
        number: Index of the bracket; brackets 0 to R - 1 start at fidelities 0 to R - 1, then they repeat.

    Returns:
        The sizes, as in ``hpbandster``: first floor(R / (s + 1)) * eta^s cells, where s = R - 1 - number mod R.
    """
    s = rungs - 1 - number % rungs
    first = rungs // (s + 1) * eta**s
    return [max(first // eta**i, 1) for i in range(s + 1)]


class Brackets:
    """Decides for each query whether to start a new cell or which cell to promote to the next fidelity."""

    def __init__(self, rungs: int, eta: int, *, only_first: bool) -> None:
        self.rungs, self.eta, self.only_first = rungs, eta, only_first
        self.number = 0
        self.stage = 0
        self.waiting: list[Cell] = []
        self.results: list[tuple[Cell, float]] = []

    @property
    def sizes(self) -> list[int]:
        """The sizes of the current bracket."""
        return bracket_sizes(self.rungs, self.eta, 0 if self.only_first else self.number)

    def next(self) -> tuple[Cell | None, int]:
        """Return the cell to promote, or None for a new one, and the index of the fidelity."""
        sizes = self.sizes
        if len(self.results) == sizes[self.stage]:
            ranked = sorted(self.results, key=lambda result: -result[1])
            self.results, self.stage = [], self.stage + 1
            if self.stage == len(sizes):
                self.number, self.stage = self.number + 1, 0
                sizes = self.sizes
            else:
                self.waiting = [cell for cell, _ in ranked[: sizes[self.stage]]]
        cell = self.waiting[len(self.results)] if self.stage else None
        return cell, self.rungs - len(sizes) + self.stage

    def add(self, cell: Cell, reward: float) -> None:
        """Record the result of the query."""
        self.results.append((cell, reward))

    def state(self) -> dict[str, Any]:
        """Return the state of the current bracket."""
        return {
            "number": self.number,
            "stage": self.stage,
            "waiting": [list(cell.ops) for cell in self.waiting],
            "results": [[list(cell.ops), reward] for cell, reward in self.results],
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Restore the state of a bracket."""
        self.number, self.stage = state["number"], state["stage"]
        self.waiting = [cell_of(ops) for ops in state["waiting"]]
        self.results = [(cell_of(ops), reward) for ops, reward in state["results"]]


@dataclass(frozen=True, kw_only=True)
class AshaSettings(TabularSettings):
    """The settings of ASHA."""

    eta: int = setting("one in eta cells is promoted to the next fidelity", at_least=2)


@final
class Asha(TabularMethod):
    """Asynchronous successive halving with one worker.

    A cell is promoted as soon as it is among the best 1/eta of its fidelity; if there is none, a random cell starts at
    the lowest fidelity. A promoted cell is charged the full cost of its new fidelity, as in NATS-Bench's BOHB and as
    for the separate schedules of NAS-Bench-201; the paper resumes a training where the fidelities are on one curve.
    """

    Settings = AshaSettings
    many_fidelities = True

    def __init__(self, settings: AshaSettings, context: SearchContext) -> None:
        super().__init__(settings, context)
        self.settings = settings
        self.results: list[list[tuple[Cell, float]]] = [[] for _ in self.fidelities]
        self.promoted: list[list[int]] = [[] for _ in self.fidelities]

    def propose(self) -> tuple[Cell, int]:
        """Return the best cell to promote, from the highest fidelity down, or a random cell."""
        for rung in reversed(range(len(self.fidelities) - 1)):
            results = self.results[rung]
            ranked = sorted(range(len(results)), key=lambda i: -results[i][1])[: len(results) // self.settings.eta]
            for number in ranked:
                if number not in self.promoted[rung]:
                    self.promoted[rung].append(number)
                    return results[number][0], rung + 1
        return Cell.random(self.rng), 0

    def observe(self, cell: Cell, rung: int, reward: float) -> None:
        """Record the result at its fidelity."""
        self.results[rung].append((cell, reward))

    def own_state(self) -> dict[str, Any]:
        """Return the results at every fidelity and which of them were promoted."""
        return {
            "results": [[[list(cell.ops), reward] for cell, reward in rung] for rung in self.results],
            "promoted": [list(rung) for rung in self.promoted],
        }

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        """Restore the results at every fidelity and which of them were promoted."""
        self.results = [[(cell_of(ops), reward) for ops, reward in rung] for rung in state["results"]]
        self.promoted = [list(rung) for rung in state["promoted"]]
