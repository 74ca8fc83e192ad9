"""BANANAS: Bayesian optimisation with an ensemble of networks on paths (White, Neiswanger & Savani, AAAI 2021).

The algorithm, and the code:

1. Query random cells, then repeat: train the predictor, mutate the best cells, query the most promising mutations:
   ``predictor.PredictorSearch``.
2. The predictor sees a cell as the set of its paths, longer ones cut off: ``predictor.path_encoding``.
3. Independent Thompson sampling draws one error per candidate from the normal distribution with the mean and standard
   deviation of the ensemble; the lowest draws are queried: :meth:`Bananas.order`.

The source is naszilla, the authors' library: ``nas_algorithms.py``, ``nas_benchmarks.py`` (``get_candidates``),
``acquisition_functions.py`` (``its``) and ``nas_bench_201/cell_201.py`` (``mutate``, ``encode_freq_paths``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from nasbench_eval.cell import N_EDGES, N_OPS, Cell
from nasbench_eval.methods.base import SearchContext
from nasbench_eval.methods.tabular.base import cell_of
from nasbench_eval.methods.tabular.predictor import PredictorSearch, PredictorSettings, path_encoding
from nasbench_eval.settings import setting


@dataclass(frozen=True, kw_only=True)
class BananasSettings(PredictorSettings):
    """The settings of BANANAS."""

    longest_path: int = setting("operations of the longest path that the predictor sees", at_least=1, at_most=3)
    mutation_rate: float = setting("probability that an operation of a mutated cell changes", above=0, at_most=1)


@final
class Bananas(PredictorSearch):
    """Path encoding, an ensemble, and independent Thompson sampling."""

    Settings = BananasSettings

    def __init__(self, settings: BananasSettings, context: SearchContext) -> None:
        super().__init__(settings, context)
        self._longest, self._rate = settings.longest_path, settings.mutation_rate

    def encode(self, cell: Cell) -> np.ndarray:
        """Return the path encoding."""
        return path_encoding(cell, self._longest)

    def mutate(self, cell: Cell) -> Cell:
        """Change each operation with probability ``mutation_rate``; the new one is drawn from the other four."""
        changed = self.rng.random(N_EDGES) < self._rate
        shift = self.rng.integers(1, N_OPS, size=N_EDGES)
        return cell_of(((np.array(cell.ops) + changed * shift) % N_OPS).tolist())

    def order(self, errors: np.ndarray) -> np.ndarray:
        """Return the order of one draw per candidate from N(mean, standard deviation of the ensemble)."""
        return np.argsort(self.rng.normal(errors.mean(axis=0), errors.std(axis=0)), kind="stable")
