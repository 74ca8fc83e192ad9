"""BOHB: Hyperband whose new cells come from a kernel density model (Falkner et al., ICML 2018).

The algorithm, and the code below:

1. Hyperband says whether to promote a cell or to start a new one: ``hyperband.Brackets``.
2. A new cell is drawn uniformly, or from the model: two kernel densities over cells, one of the best results and one of
   the others, at the highest fidelity with enough results: :meth:`Bohb._model`.
3. Candidates are drawn near good cells; the one with the highest ratio of the two densities is queried: :func:`choose`.

This is a numpy implementation. ``hpbandster``, the authors' library, is no longer developed and schedules workers in
real time, not on a simulated clock. Optuna and SMAC use different models (another TPE, random forests), and their runs
cannot be resumed exactly from plain values.

The kernel is that of Aitchison and Aitken: weight 1 - h where the operations agree and h / (c - 1) where they differ,
for c operations. ``hpbandster`` computes h by a rule for real numbers, 1.06 std n^(-1/(4 + 6)), on the indices of the
operations. This h is usually above (c - 1) / c, where the kernel prefers cells that differ, and often above 1, where it
is not a density. By default h is capped at (c - 1) / c, the uniform distribution; ``bandwidth = hpbandster`` does not
cap it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import numpy as np

from nasbench_eval.cell import N_EDGES, N_OPS, Cell
from nasbench_eval.methods.base import SearchContext
from nasbench_eval.methods.tabular.base import TabularMethod, TabularSettings, cell_of
from nasbench_eval.methods.tabular.hyperband import Brackets
from nasbench_eval.settings import setting

FEWEST = N_EDGES + 1
"""The smallest number of cells of a density: dimensions + 1 (Falkner et al., section 4.1)."""
TOP_PERCENT = 15
"""Percentage of cells that count as good (Falkner et al., appendix; the default of ``hpbandster``)."""


@dataclass(frozen=True, kw_only=True)
class BohbSettings(TabularSettings):
    """The settings of BOHB, and of Hyperband and successive halving, which are BOHB without a model."""

    eta: int = setting("one in eta cells is promoted to the next fidelity", at_least=2)
    brackets: str = setting(
        "all: the brackets of Hyperband in turn; first: only the one that starts at the lowest fidelity",
        choices=("all", "first"),
    )
    random_fraction: float = setting("fraction of new cells drawn uniformly; 1: no model", at_least=0, at_most=1)
    samples: int = setting("candidates drawn per new cell", at_least=1)
    min_bandwidth: float = setting("smallest bandwidth of the kernels", above=0)
    bandwidth: str = setting(
        "capped: at most that of the uniform distribution; hpbandster: not capped, levels are the observed operations",
        choices=("capped", "hpbandster"),
        default="capped",
    )


class Density(NamedTuple):
    """A kernel density over cells: ``data`` (n, 6) operation indices, ``h`` (6,) bandwidths, ``levels`` (6,)."""

    data: np.ndarray
    h: np.ndarray
    levels: np.ndarray

    def at(self, cells: np.ndarray) -> np.ndarray:
        """Return the density at each of the cells (m, 6), shape (m,)."""
        agree = cells[:, None, :] == self.data[None, :, :]
        with np.errstate(divide="ignore", invalid="ignore"):
            other = self.h / (self.levels - 1)
            return np.asarray(np.where(agree, 1 - self.h, other).prod(axis=2).mean(axis=1))


def fit(data: np.ndarray, min_bandwidth: float, bandwidth: str) -> Density:
    """Return the density of cells (n, 6), with bandwidths by the normal reference rule on the operations' indices."""
    h = 1.06 * data.std(axis=0) * len(data) ** (-1 / (4 + N_EDGES))
    if bandwidth == "hpbandster":
        levels = np.array([len(np.unique(column)) for column in data.T])
        return Density(data, np.maximum(h, min_bandwidth), levels)
    return Density(data, np.clip(h, min_bandwidth, (N_OPS - 1) / N_OPS), np.full(N_EDGES, N_OPS))


def choose(good: np.ndarray, bad: np.ndarray) -> int | None:
    """Return the index of the candidate with the highest good / bad, (m,) each; None if no density is finite.

    Uncapped bandwidths can make densities infinite or NaN. As in ``hpbandster``, the first candidate whose ratio is not
    finite but whose good density is then wins.
    """
    with np.errstate(invalid="ignore"):
        ratio = np.maximum(bad, 1e-32) / np.maximum(good, 1e-32)
    odd = np.flatnonzero(~np.isfinite(ratio) & np.isfinite(good))
    if len(odd):
        return int(odd[0])
    known = np.flatnonzero(np.isfinite(ratio))
    return int(known[np.argmin(ratio[known])]) if len(known) else None


@final
class Bohb(TabularMethod):
    """Hyperband with new cells drawn near the good cells of the highest fidelity that has enough results.

    A promoted cell is trained from scratch and its full cost is charged, as in ``hpbandster``.
    """

    Settings = BohbSettings
    many_fidelities = True

    def __init__(self, settings: BohbSettings, context: SearchContext) -> None:
        super().__init__(settings, context)
        self.settings = settings
        self.brackets = Brackets(len(self.fidelities), settings.eta, only_first=settings.brackets == "first")
        self.results: list[list[tuple[Cell, float]]] = [[] for _ in self.fidelities]

    def propose(self) -> tuple[Cell, int]:
        """Return a promoted cell, or a new one."""
        cell, rung = self.brackets.next()
        return self._new_cell() if cell is None else cell, rung

    def observe(self, cell: Cell, rung: int, reward: float) -> None:
        """Record the result in the bracket and in the data of the model."""
        self.brackets.add(cell, reward)
        self.results[rung].append((cell, reward))

    def _new_cell(self) -> Cell:
        fraction = self.settings.random_fraction
        model = None if fraction >= 1 else self._model()
        if model is None or (fraction > 0 and self.rng.random() < fraction):
            return Cell.random(self.rng)
        good, bad = model
        size = (self.settings.samples, N_EDGES)
        near = good.data[self.rng.integers(len(good.data), size=size[0])]
        keep = self.rng.random(size) < 1 - good.h
        candidates = np.where(keep, near, self.rng.integers(N_OPS, size=size))
        number = choose(good.at(candidates), bad.at(candidates))
        return Cell.random(self.rng) if number is None else cell_of(candidates[number].tolist())

    def _model(self) -> tuple[Density, Density] | None:
        """Fit the densities of good and other cells at the highest fidelity with enough results; None if none has."""
        for results in reversed(self.results):
            count = max(FEWEST, TOP_PERCENT * len(results) // 100)
            if len(results) - count < FEWEST:
                continue
            order = np.argsort([-reward for _, reward in results], kind="stable")
            data = np.array([cell.ops for cell, _ in results])[order]
            how = self.settings.min_bandwidth, self.settings.bandwidth
            return fit(data[:count], *how), fit(data[count:], *how)
        return None

    def own_state(self) -> dict[str, Any]:
        """Return the bracket and the results of every fidelity."""
        results = [[[list(cell.ops), reward] for cell, reward in rung] for rung in self.results]
        return {"brackets": self.brackets.state(), "results": results}

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        """Restore the bracket and the results of every fidelity."""
        self.brackets.load(state["brackets"])
        self.results = [[(cell_of(ops), reward) for ops, reward in rung] for rung in state["results"]]
