"""NPENAS-NP: evolution guided by a neural predictor (Wei et al., IEEE TNNLS 2022).

The algorithm, and the code:

1. Query random cells, then repeat: train the predictor, mutate the best cells many times each, query the mutations with
   the best predictions: ``predictor.PredictorSearch``.
2. Mutation draws a node, then one of its edges: ``evolution.mutate``.
3. Cells with the same paths count as the same, ``none`` being no path: :meth:`Npenas.key`.

The source is the authors' code: ``nas_lib/algos/predictor.py`` (``gin_predictor_nasbench_201``) and
``nas_lib/data/data_nasbench_201.py``. Their predictor is a graph isomorphism network with a squared error; ours is a
network on the one-hot operations of the six edges with an absolute error, because the table's methods need no torch.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import final

import numpy as np

from nasbench_eval.cell import N_OPS, NONE, Cell
from nasbench_eval.methods.tabular import evolution
from nasbench_eval.methods.tabular.predictor import PATHS, PredictorSearch


@final
class Npenas(PredictorSearch):
    """One-to-many mutation of the best cells, ranked by their predicted accuracy."""

    def encode(self, cell: Cell) -> np.ndarray:
        """Return the operations of the six edges, one-hot."""
        return np.eye(N_OPS, dtype=np.float32)[list(cell.ops)].ravel()

    def mutate(self, cell: Cell) -> Cell:
        """Return a cell that differs on one edge: draw a node, then one of its edges."""
        return evolution.mutate(cell, self.rng, node_first=True)

    def key(self, cell: Cell) -> Hashable:
        """Return the operations on each path that exists."""
        paths = (tuple(cell.ops[edge] for edge in path) for path in PATHS)
        return tuple(path for path in paths if NONE not in path)

    def order(self, errors: np.ndarray) -> np.ndarray:
        """Return the order of the predictions, averaged over the ensemble, of no more than ``mutations`` candidates."""
        return np.argsort(errors.mean(axis=0)[: self.settings.mutations], kind="stable")
