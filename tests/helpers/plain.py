"""A plain supernet, operation by operation and edge by edge: the oracle of the tests and the benchmarks' reference.

It follows the description in NAS-Bench-201 (ICLR 2020), appendix A, as DARTS-like codes implement it: every edge holds
five operation modules, each evaluated on its own, and its output is their weighted sum.
"""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from nasbench_eval.cell import EDGES, INCOMING, NODES


class Zero(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mul(0.0)


def relu_conv_bn(channels: int, kernel: int, affine: bool, track: bool) -> nn.Module:
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=not affine),
        nn.BatchNorm2d(channels, affine=affine, track_running_stats=track),
    )


class PlainCell(nn.Module):
    def __init__(self, channels: int, affine: bool, track: bool) -> None:
        super().__init__()
        self.auxiliary = 0.0  # weight of a skip connection more on every edge (DARTS-)
        self.edges = nn.ModuleList(
            nn.ModuleList(
                [
                    Zero(),
                    nn.Identity(),
                    relu_conv_bn(channels, 1, affine, track),
                    relu_conv_bn(channels, 3, affine, track),
                    nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False),
                ]
            )
            for _ in EDGES
        )

    def forward(self, x: Tensor, weights: Tensor, sampled: bool) -> Tensor:
        nodes = [x]
        for node in range(1, NODES):
            total = 0
            for edge in INCOMING[node]:
                source = nodes[EDGES[edge][1]]
                total = total + self.auxiliary * source
                for op, module in enumerate(self.edges[edge]):
                    # Sampled weights are one-hot, and the published codes evaluate only the sampled operation.
                    if not sampled or weights[edge, op] != 0:
                        total = total + weights[edge, op] * module(source)
            nodes.append(total)
        return nodes[-1]


class PlainResidual(nn.Module):
    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv_a = nn.Sequential(
            nn.ReLU(), nn.Conv2d(c_in, c_out, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(c_out)
        )
        self.conv_b = nn.Sequential(nn.ReLU(), nn.Conv2d(c_out, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out))
        self.downsample = nn.Sequential(nn.AvgPool2d(2, stride=2, padding=0), nn.Conv2d(c_in, c_out, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.downsample(x) + self.conv_b(self.conv_a(x))


class PlainPooling(nn.Sequential):
    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__(nn.AvgPool2d(2), nn.Conv2d(c_in, c_out, 1, bias=False))


class PlainSupernet(nn.Module):
    def __init__(
        self,
        channels: int,
        cells: int,
        classes: int,
        *,
        affine: bool = False,
        track_running_stats: bool = True,
        pooling: bool = False,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        self.stages = nn.ModuleList(
            nn.ModuleList(PlainCell(channels * 2**s, affine, track_running_stats) for _ in range(cells))
            for s in range(3)
        )
        reduction = PlainPooling if pooling else PlainResidual
        self.reductions = nn.ModuleList(reduction(channels * 2**s, channels * 2 ** (s + 1)) for s in range(2))
        self.lastact = nn.Sequential(nn.BatchNorm2d(channels * 4), nn.ReLU())
        self.classifier = nn.Linear(channels * 4, classes)

    def forward(self, images: Tensor, weights: Tensor, sampled: bool = False) -> Tensor:
        x = self.stem(images)
        # Of shape (cells, 6, 5), each cell has its own.
        of_each = iter(weights) if weights.dim() == 3 else itertools.repeat(weights)
        for s, stage in enumerate(self.stages):
            for cell in stage:
                x = cell(x, next(of_each), sampled)
            if s < 2:
                x = self.reductions[s](x)
        return self.classifier(self.lastact(x).mean((2, 3)))
