"""The NAS-Bench-201 network skeleton, with weight-sharing cells (``Supernet``) or one cell (``StandaloneNet``).

Source: NAS-Bench-201 (ICLR 2020), figure 1 and section 2: stem, three stages of N cells with C, 2C, 4C channels, a
residual block of stride 2 between stages, global average pooling, a linear classifier. A data set may ask for a
plainer reduction between stages (``REDUCTIONS``).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasbench_eval.cell import AVG_POOL_3X3, EDGES, INCOMING, N_EDGES, N_OPS, NODES, NONE, Cell
from nasbench_eval.cell_function import Active
from nasbench_eval.images import Reduction
from nasbench_eval.mixed_cell import KERNEL_SIZE, MixedCell, draw_default
from nasbench_eval.partial_cell import PartialCell

ALL_OPS: Active = (tuple(op for op in range(N_OPS) if op != NONE),) * N_EDGES
"""Every operation on every edge; ``none`` contributes nothing and is never evaluated."""

STAGES = 3


def active_of(cell: Cell) -> Active:
    """Return the active operations of one-hot weights that stand for a cell."""
    return tuple(() if op == NONE else (op,) for op in cell.ops)


def one_hot(cell: Cell, *, device: torch.device | str = "cpu") -> Tensor:
    """Return the edge weights (6, 5) that are one on the cell's operations and zero elsewhere."""
    return F.one_hot(torch.tensor(cell.ops), N_OPS).float().to(device, non_blocking=True)


class ResidualReduction(nn.Module):
    """The residual block of stride 2 between stages (``ResNetBasicblock`` in the released code)."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv_a = nn.Conv2d(c_in, c_out, 3, stride=2, padding=1, bias=False)
        self.bn_a = nn.BatchNorm2d(c_out)
        self.conv_b = nn.Conv2d(c_out, c_out, 3, padding=1, bias=False)
        self.bn_b = nn.BatchNorm2d(c_out)
        self.downsample = nn.Conv2d(c_in, c_out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, c_in, H, W) to (B, c_out, H/2, W/2)."""
        branch = self.bn_a(self.conv_a(x.relu()))
        branch = self.bn_b(self.conv_b(branch.relu()))
        return branch + self.downsample(F.avg_pool2d(x, 2))  # type: ignore[no-any-return]


class PoolingReduction(nn.Module):
    """The shortcut of ``ResidualReduction`` by itself: average pooling and a 1x1 convolution, both linear.

    All that is not linear but stem and classifier is then the cells': for images so easy that five layers read them.
    """

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.downsample = nn.Conv2d(c_in, c_out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, c_in, H, W) to (B, c_out, H/2, W/2)."""
        return self.downsample(F.avg_pool2d(x, 2))  # type: ignore[no-any-return]


REDUCTIONS: dict[Reduction, type[nn.Module]] = {"residual": ResidualReduction, "pooling": PoolingReduction}


class _Skeleton(nn.Module):
    """Everything but the cells. ``stages`` holds the cells of each stage."""

    def __init__(
        self,
        channels: int,
        classes: int,
        cells: list[list[nn.Module]],
        reduction: Reduction,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        self.stages = nn.ModuleList(nn.ModuleList(stage) for stage in cells)
        self.reductions = nn.ModuleList(
            REDUCTIONS[reduction](channels * 2**s, channels * 2 ** (s + 1)) for s in range(STAGES - 1)
        )
        self.last_bn = nn.BatchNorm2d(channels * 2 ** (STAGES - 1))
        self.classifier = nn.Linear(channels * 2 ** (STAGES - 1), classes)
        self._initialise(generator)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _initialise(self, generator: torch.Generator) -> None:
        """Draw all weights from torch's default distributions for these layers, but from the run's own generator."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                draw_default(module.weight, module.weight[0].numel(), generator)
                if module.bias is not None:
                    draw_default(module.bias, module.weight[0].numel(), generator)
            elif isinstance(module, MixedCell):
                module.initialise(generator)

    def _run(self, images: Tensor, *cell_args: object) -> Tensor:
        x = self.stem(images.contiguous(memory_format=torch.channels_last))
        for s, stage in enumerate(self.stages):
            assert isinstance(stage, nn.ModuleList)
            for cell in stage:
                x = cell(x, *cell_args)
            if s < STAGES - 1:
                x = self.reductions[s](x)
        return self.classifier(self.last_bn(x).relu().mean((2, 3)))  # type: ignore[no-any-return]


class Supernet(_Skeleton):
    """The network of weight-sharing searches: all cells share one set of edge weights.

    Args:
        channels: C, the channels of the first stage.
        cells: N, the cells a stage.
        classes: Number of classes.
        generator: For the initial weights.
        track_running_stats: Whether the cells' BatchNorm keeps running statistics and evaluates with them.
        partial_channels: K: one K-th of the channels goes through the operations, the rest passes by.
        reduction: What is between stages: ``ImageData.reduction``.
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
                return MixedCell(width, track_running_stats=track_running_stats)
            return PartialCell(width, partial_channels, track_running_stats=track_running_stats)

        super().__init__(
            channels,
            classes,
            [[cell(channels * 2**s) for _ in range(cells)] for s in range(STAGES)],
            reduction,
            generator,
        )

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
            weights: Edge weights (6, 5), used by every cell.
            active: Per edge, the operations to evaluate; others count as weight zero and cost nothing.
            offsets: Per edge (6,), a number added to every value of its output.
            edges: Per edge (6,), a factor of its output.

        Returns:
            Logits (B, classes).
        """
        return self._run(images, weights, active, offsets, edges)


class _FixedCell(nn.Module):
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
            return F.avg_pool2d(source, 3, stride=1, padding=1, count_include_pad=False)
        return source

    def forward(self, x: Tensor) -> Tensor:
        nodes = [x]
        for node in range(1, NODES):
            terms = [self._edge(e, nodes[EDGES[e][1]]) for e in INCOMING[node] if self.cell.ops[e] != NONE]
            nodes.append(sum(terms[1:], terms[0]) if terms else torch.zeros_like(x))
        return nodes[-1]


class StandaloneNet(_Skeleton):
    """The network that the benchmark trains for one cell, with weights of its own.

    Args:
        cell: The cell, repeated N times a stage.
        channels: C, the channels of the first stage (16 in the benchmark).
        cells: N, the cells a stage (5 in the benchmark).
        classes: Number of classes.
        generator: For the initial weights.
        reduction: What is between stages: ``ImageData.reduction``.
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
            [_FixedCell(cell, channels * 2**s) for _ in range(cells)] for s in range(STAGES)
        ]
        super().__init__(channels, classes, stages, reduction, generator)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to logits (B, classes)."""
        return self._run(images)
