"""The stand-alone network, which the benchmark trains for every cell: the skeleton with one cell and its own weights.

Source: NAS-Bench-201 (ICLR 2020), section 2; ``InferCell`` and ``TinyNetwork`` in the released code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nasbench_eval.cell import AVG_POOL_3X3, EDGES, INCOMING, NODES, NONE, Cell
from nasbench_eval.images.datasets import Reduction
from nasbench_eval.networks.fused_cell import KERNEL_SIZE
from nasbench_eval.networks.pooling import pool
from nasbench_eval.networks.skeleton import STAGES, Skeleton


class _StandaloneCell(nn.Module):
    """One cell with its own weights (``InferCell`` in the released code): affine BatchNorm, no biases."""

    def __init__(self, cell: Cell, channels: int) -> None:
        super().__init__()
        self.cell = cell
        self.convs = nn.ModuleDict(
            {
                str(edge): nn.Sequential(
                    nn.ReLU(),
                    nn.Conv2d(channels, channels, KERNEL_SIZE[op], padding=KERNEL_SIZE[op] // 2, bias=False),
                    nn.BatchNorm2d(channels),
                )
                for edge, op in enumerate(cell.ops)
                if op in KERNEL_SIZE
            }
        )

    def _edge(self, edge: int, source: Tensor) -> Tensor:
        op = self.cell.ops[edge]
        if op in KERNEL_SIZE:
            return self.convs[str(edge)](source)  # type: ignore[no-any-return]
        if op == AVG_POOL_3X3:
            return pool(source)
        return source

    def forward(self, x: Tensor) -> Tensor:
        nodes = [x]
        for node in range(1, NODES):
            terms = [self._edge(e, nodes[EDGES[e][1]]) for e in INCOMING[node] if self.cell.ops[e] != NONE]
            nodes.append(sum(terms[1:], terms[0]) if terms else torch.zeros_like(x))
        return nodes[-1]


class StandaloneNet(Skeleton):
    """The network of one cell, with its own weights.

    Args:
        cell: The cell, repeated N times per stage.
        channels: C, the channels of the first stage (16 in the benchmark).
        cells: N, the number of cells per stage (5 in the benchmark).
        classes: Number of classes.
        generator: Generator of the initial weights.
        reduction: The reduction between stages: ``ImageData.reduction``.
    """

    def __init__(
        self,
        cell: Cell,
        channels: int,
        cells: int,
        classes: int,
        *,
        generator: torch.Generator,
        reduction: Reduction = "residual",
    ) -> None:
        stages: list[list[nn.Module]] = [
            [_StandaloneCell(cell, channels * 2**s) for _ in range(cells)] for s in range(STAGES)
        ]
        super().__init__(channels, classes, stages, reduction, generator)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to logits (B, classes)."""
        return self._after_stem(self._stem(images), lambda cell, x: cell(x))
