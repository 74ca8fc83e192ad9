"""SETN (Dong & Yang, ICCV 2019): the weights train on uniform cells, the architecture on the mixture.

The algorithm, as NAS-Bench-201's ``SETN.py`` runs it, and the code below:

1. Each weights step trains one cell drawn uniformly: :meth:`Setn.sample`.
2. Each architecture step descends the valid loss of the mixture of all operations: :meth:`Setn.architecture_sample`.
3. After the epoch take the ``select_cells`` most probable cells: :meth:`Setn.candidates`.
4. Score them with the shared weights on the valid part and keep the best: ``Selection.choose``.
"""

from __future__ import annotations

from functools import cache
from typing import final

import numpy as np
import numpy.typing as npt
import torch

from nasbench_eval.cell import Cell, all_cells
from nasbench_eval.methods.weight_sharing.base import ArchParameters, Distribution, EdgeWeights
from nasbench_eval.methods.weight_sharing.rs_ws import UniformCells


@final
class Setn(ArchParameters):
    """The weights train on uniform cells, the architecture on the mixture; the most probable cells are candidates."""

    def __init__(self, distribution: Distribution) -> None:
        super().__init__(distribution.ops, distribution)
        self._learned = distribution
        self._uniform = UniformCells(distribution.ops)

    def begin_epoch(self, epoch: int, samples: int, generator: torch.Generator, device: torch.device) -> None:
        """Draw the cells of the epoch."""
        self._uniform.draw(samples, generator, device, self._decisions())

    def sample(self) -> EdgeWeights:
        """Return the one-hot weights of the next cell."""
        return self._uniform.next()

    def architecture_sample(self) -> EdgeWeights:
        """Return the probabilities as operation weights."""
        return self._mixture(self._learned.probabilities())

    def candidates(self, n: int, generator: torch.Generator) -> list[Cell]:
        """Return the ``n`` most probable cells, those of equal probability in official order."""
        logs = self._learned.probabilities().detach().double().log().cpu().numpy()
        cells, choices = _cells_of(self.ops)
        total = np.zeros(len(cells))
        for edge, row in enumerate(logs):
            total += row[choices[:, edge]]
        return [cells[i] for i in np.argsort(-total, kind="stable")[:n]]


@cache
def _cells_of(ops: tuple[int, ...]) -> tuple[list[Cell], npt.NDArray[np.int64]]:
    """Return all cells made of these operations, and the number of each operation among ``ops``, (cells, 6)."""
    cells = [cell for cell in all_cells() if all(op in ops for op in cell.ops)]
    return cells, np.array([[ops.index(op) for op in cell.ops] for cell in cells])
