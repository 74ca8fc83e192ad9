"""RS-WS, random search with weight sharing (Li & Talwalkar, UAI 2019); called RSPS in NAS-Bench-201.

No distribution over cells is learned. The algorithm (section 4), and the code below:

1. Every batch trains one cell drawn uniformly: :meth:`Uniform.sample`.
2. After the epoch, draw ``select_cells`` cells uniformly: :meth:`Uniform.candidates`.
3. Score them with the shared weights on the valid part and keep the best: ``Selection.choose``, ``scoring.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from nasbench_eval.cell import N_EDGES, Cell
from nasbench_eval.methods.weight_sharing.base import ArchParameters, EdgeWeights
from nasbench_eval.networks.supernet import active_of, one_hot


class UniformCells:
    """Cells drawn uniformly before an epoch; the host knows them, so no batch waits for the device."""

    def __init__(self, ops: tuple[int, ...]) -> None:
        self._ops = ops
        self._cells: Iterator[Cell] = iter(())
        self._device = torch.device("cpu")

    def draw(self, n: int, generator: torch.Generator, device: torch.device, decided: Mapping[int, int]) -> None:
        """Draw the ``n`` cells that :meth:`next` returns one by one, with these operations on decided edges."""
        self._cells = (cell.with_ops(decided) for cell in self.cells(n, generator))
        self._device = device

    def cells(self, n: int, generator: torch.Generator) -> list[Cell]:
        """Return ``n`` cells drawn uniformly."""
        rows: list[Any] = torch.randint(len(self._ops), (n, N_EDGES), generator=generator).tolist()
        return [Cell(tuple(self._ops[i] for i in row)) for row in rows]

    def next(self) -> EdgeWeights:
        """Return the one-hot weights of the next cell."""
        cell = next(self._cells)
        return EdgeWeights(one_hot(cell, device=self._device), active_of(cell))


class Uniform(ArchParameters):
    """Every batch trains one cell drawn uniformly; nothing is learned about the architecture."""

    def __init__(self, ops: tuple[int, ...]) -> None:
        super().__init__(ops, None)
        self._uniform = UniformCells(ops)

    def begin_epoch(self, epoch: int, samples: int, generator: torch.Generator, device: torch.device) -> None:
        """Draw the cells of the epoch."""
        self._uniform.draw(samples, generator, device, self._decisions())

    def sample(self) -> EdgeWeights:
        """Return the one-hot weights of the next cell."""
        return self._uniform.next()

    def candidates(self, n: int, generator: torch.Generator) -> list[Cell]:
        """Return cells drawn uniformly."""
        return self._uniform.cells(n, generator)
