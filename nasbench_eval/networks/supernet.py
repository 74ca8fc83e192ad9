"""The supernet of weight-sharing searches: the network skeleton with weight-sharing cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import repeat
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasbench_eval.cell import N_EDGES, N_OPS, NONE, Cell
from nasbench_eval.images.datasets import Reduction
from nasbench_eval.networks.discretised import DiscretisedCells, SharedOperations
from nasbench_eval.networks.fused_cell import FusedCell
from nasbench_eval.networks.fused_cell_function import Active
from nasbench_eval.networks.partial_cell import Grow, PartialCell, drop_running_statistics
from nasbench_eval.networks.skeleton import STAGES, Skeleton

ALL_OPS: Active = (tuple(op for op in range(N_OPS) if op != NONE),) * N_EDGES
"""Every operation on every edge; ``none`` contributes nothing and is never evaluated."""


def active_of(cell: Cell) -> Active:
    """Return the active operations of the one-hot weights of a cell."""
    return tuple(() if op == NONE else (op,) for op in cell.ops)


def one_hot(cell: Cell, *, device: torch.device | str = "cpu") -> Tensor:
    """Return the operation weights (6, 5) that are one on the operations of a cell and zero elsewhere."""
    return F.one_hot(torch.tensor(cell.ops), N_OPS).float().to(device, non_blocking=True)


class Supernet(Skeleton):
    """The network of weight-sharing searches: all cells share one set of operation weights.

    Args:
        channels: C, the channels of the first stage.
        cells: N, the number of cells per stage.
        classes: Number of classes.
        generator: Generator of the initial weights.
        track_running_stats: Whether BatchNorm in the cells keeps running statistics and uses them in evaluation.
        partial_channels: K: 1/K of the channels goes through the operations, the rest bypasses them.
        reduction: The reduction between stages: ``ImageData.reduction``.
    """

    def __init__(
        self,
        channels: int,
        cells: int,
        classes: int,
        *,
        generator: torch.Generator,
        track_running_stats: bool = True,
        partial_channels: int = 1,
        reduction: Reduction = "residual",
    ) -> None:
        def cell(width: int) -> nn.Module:
            if partial_channels == 1:
                return FusedCell(width, track_running_stats=track_running_stats)
            return PartialCell(width, partial_channels, track_running_stats=track_running_stats)

        super().__init__(
            channels,
            classes,
            [[cell(channels * 2**s) for _ in range(cells)] for s in range(STAGES)],
            reduction,
            generator,
        )

    def widen(self, partial: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Grow]]:
        """Widen every cell with partial channels to K = ``partial``; as :meth:`PartialCell.widen`."""
        for module in self.modules():
            if isinstance(module, PartialCell):
                yield from module.widen(partial, generator)

    def use_batch_statistics(self, *, everywhere: bool = False) -> None:
        """Let BatchNorm evaluate with the statistics of each batch from now on.

        Args:
            everywhere: In all layers. Otherwise in the cells only, as ``track_running_stats=False`` does.
        """
        for module in self.modules():
            if isinstance(module, FusedCell | PartialCell):
                module.use_batch_statistics()
        if everywhere:
            drop_running_statistics(self)

    def forward(
        self,
        images: Tensor,
        weights: Tensor,
        active: Active = ALL_OPS,
        offsets: Tensor | None = None,
        edges: Tensor | None = None,
    ) -> Tensor:
        """Classify images.

        Args:
            images: (B, 3, H, W).
            weights: Edge weights (6, 5), used by every cell; or (cells, 6, 5), of each cell in order.
            active: Per edge, the operations to evaluate; all others have weight zero and cost nothing.
            offsets: Per edge (6,), a number added to every value of its output.
            edges: Per edge (6,), a factor of its output.

        Returns:
            Logits (B, classes).
        """
        of_each = iter(weights.unbind()) if weights.dim() == 3 else repeat(weights)
        return self._after_stem(self._stem(images), lambda cell, x: cell(x, next(of_each), active, offsets, edges))

    def classify_with(self, cells: Iterable[Cell], images: Tensor, edges: Tensor | None = None) -> Iterator[Tensor]:
        """Classify images with one discretised cell after another, in evaluation mode.

        Equal to ``forward`` with the cells' one-hot weights, up to rounding, and faster: cells in sorted order share
        what they have in common in the first cell of the network, and nothing is evaluated that has no effect.

        Args:
            cells: The cells.
            images: (B, 3, H, W).
            edges: Per edge (6,), a factor of its output.

        Yields:
            The logits (B, classes) of each cell.
        """
        x = self._stem(images)
        stage = self.stages[0]
        assert isinstance(stage, nn.ModuleList)
        first = stage[0]
        on_stem = DiscretisedCells(cast("SharedOperations", first), x, edges)

        def evaluate(cell: nn.Module, x: Tensor, ops: tuple[int, ...]) -> Tensor:
            known = on_stem if cell is first else DiscretisedCells(cast("SharedOperations", cell), x, edges)
            return known(ops)

        for each in cells:
            yield self._after_stem(x, partial(evaluate, ops=each.ops))
