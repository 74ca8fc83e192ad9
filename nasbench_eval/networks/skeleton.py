"""The NAS-Bench-201 network skeleton, shared by the supernet and the stand-alone network.

Source: NAS-Bench-201 (ICLR 2020), figure 1 and section 2: a stem, three stages of N cells with C, 2C and 4C channels, a
residual block of stride 2 between stages, global average pooling, a linear classifier. A data set may ask for a simpler
reduction between stages (``REDUCTIONS``).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasbench_eval.images.datasets import Reduction
from nasbench_eval.networks.fused_cell import FusedCell, draw_default

STAGES = 3


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
    """Only the shortcut of ``ResidualReduction``: average pooling and a 1x1 convolution, both linear.

    Everything nonlinear between stem and classifier is then in the cells. It is meant for images so easy that the five
    layers of the residual network would classify them without the cells.
    """

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.downsample = nn.Conv2d(c_in, c_out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, c_in, H, W) to (B, c_out, H/2, W/2)."""
        return self.downsample(F.avg_pool2d(x, 2))  # type: ignore[no-any-return]


REDUCTIONS: dict[Reduction, type[nn.Module]] = {"residual": ResidualReduction, "pooling": PoolingReduction}


class Skeleton(nn.Module):
    """The whole network around the cells; ``stages`` holds the cells of each stage, ``cells`` is their number."""

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
        self.cells = sum(len(stage) for stage in cells)
        self.reductions = nn.ModuleList(
            REDUCTIONS[reduction](channels * 2**s, channels * 2 ** (s + 1)) for s in range(STAGES - 1)
        )
        self.last_bn = nn.BatchNorm2d(channels * 2 ** (STAGES - 1))
        self.classifier = nn.Linear(channels * 2 ** (STAGES - 1), classes)
        self._initialise(generator)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _initialise(self, generator: torch.Generator) -> None:
        """Draw all weights from torch's default distributions for these layers, with the run's own generator."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                draw_default(module.weight, module.weight[0].numel(), generator)
                if module.bias is not None:
                    draw_default(module.bias, module.weight[0].numel(), generator)
            elif isinstance(module, FusedCell):
                module.initialise(generator)

    def _stem(self, images: Tensor) -> Tensor:
        return self.stem(images.contiguous(memory_format=torch.channels_last))  # type: ignore[no-any-return]

    def _after_stem(self, x: Tensor, evaluate: Callable[[nn.Module, Tensor], Tensor]) -> Tensor:
        """Return the logits; ``evaluate`` maps a cell and its input to its output."""
        for s, stage in enumerate(self.stages):
            assert isinstance(stage, nn.ModuleList)
            for cell in stage:
                x = evaluate(cell, x)
            if s < STAGES - 1:
                x = self.reductions[s](x)
        return self.classifier(self.last_bn(x).relu().mean((2, 3)))  # type: ignore[no-any-return]
