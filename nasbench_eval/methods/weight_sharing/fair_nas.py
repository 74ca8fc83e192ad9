"""FairNAS (Chu et al., ICCV 2021): one step of the weights trains every operation of every edge exactly once.

With N candidate operations, a step draws a permutation of them for every edge, trains the N cells that these make, one
after another on the same batch, and moves the weights by the sum of their gradients (strict fairness):
:meth:`Fair.weights_samples`. No operation gets ahead by being drawn more often, or earlier.

After the last epoch cells evolve with the shared weights, as in SPOS; the paper's search also weighs the size and the
multiplications of a network against its accuracy. The authors released trained networks, not their search.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

import torch

from nasbench_eval.cell import N_EDGES, Cell
from nasbench_eval.methods.weight_sharing.base import EdgeLoss, EdgeWeights
from nasbench_eval.methods.weight_sharing.rs_ws import Uniform
from nasbench_eval.networks.supernet import active_of, one_hot


@final
class Fair(Uniform):
    """Every step of the weights trains as many cells as there are operations, each operation in one of them."""

    def __init__(self, ops: tuple[int, ...]) -> None:
        super().__init__(ops)
        self._steps: Iterator[list[Cell]] = iter(())
        self._device = torch.device("cpu")

    def begin_epoch(self, epoch: int, samples: int, generator: torch.Generator, device: torch.device) -> None:
        """Draw the permutations of the epoch, and the cells on which the supernet is evaluated."""
        super().begin_epoch(epoch, samples, generator, device)
        self._steps, self._device = iter(self._draw(samples, generator)), device

    def _draw(self, steps: int, generator: torch.Generator) -> list[list[Cell]]:
        """Return the cells of each step."""
        orders = torch.rand(steps, N_EDGES, len(self.ops), generator=generator).argsort(-1)
        return [
            [Cell(tuple(self.ops[i] for i in row)).with_ops(self._decisions()) for row in step]
            for step in orders.mT.tolist()
        ]

    def weights_samples(self, loss: EdgeLoss) -> list[EdgeWeights]:
        """Return the one-hot weights of cells that between them have every operation on every edge once."""
        return [EdgeWeights(one_hot(cell, device=self._device), active_of(cell)) for cell in next(self._steps)]
