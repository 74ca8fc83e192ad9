"""The weight-sharing cell as a module; ``nasbench_eval.networks.fused_cell_function`` describes how it is evaluated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasbench_eval.cell import AVG_POOL_3X3, EDGES, NONE, NOR_CONV_1X1, NOR_CONV_3X3, OPS, OUTGOING, SKIP_CONNECT
from nasbench_eval.networks.fused_cell_function import (
    BN_EPS,
    SOURCES,
    Active,
    CellFunction,
    Source,
    add_pooling_and_skip,
    as_map,
    as_matrix,
    per_channel,
    plan_of,
    scalars,
)
from nasbench_eval.networks.pooling import pool

KERNEL_SIZE = {NOR_CONV_1X1: 1, NOR_CONV_3X3: 3}
BN_MOMENTUM = 0.1
_CONVS = [(source, op) for source in range(SOURCES) for op in KERNEL_SIZE]


def _name(source: int, op: int) -> str:
    return f"node{source}_{OPS[op]}"


def draw_default(tensor: Tensor, fan_in: int, generator: torch.Generator) -> None:
    """Draw a kernel or bias from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), torch's default for these layers."""
    nn.init.uniform_(tensor, -(fan_in**-0.5), fan_in**-0.5, generator=generator)


class FusedCell(nn.Module):
    """The weight-sharing cell: six edges, each with the five candidate operations, mixed by operation weights.

    Convolutions that leave the same node are stored as one wide kernel, with blocks in the order of ``OUTGOING``. Every
    convolution has a bias, because its BatchNorm has no affine parameters (``ReLUConvBN`` in the released code of
    NAS-Bench-201). With batch statistics the bias cancels, so it is left out, and its gradient is zero.

    Args:
        channels: Channels of every node.
        track_running_stats: Whether BatchNorm keeps running statistics and uses them in evaluation.
    """

    def __init__(self, channels: int, *, track_running_stats: bool) -> None:
        super().__init__()
        self.channels = channels
        self.track_running_stats = track_running_stats
        self.kernels = nn.ParameterDict()
        self.biases = nn.ParameterDict()
        for source, op in _CONVS:
            width = len(OUTGOING[source]) * channels
            size = KERNEL_SIZE[op]
            self.kernels[_name(source, op)] = nn.Parameter(torch.empty(width, channels, size, size))
            self.biases[_name(source, op)] = nn.Parameter(torch.empty(width))
            if track_running_stats:
                self.register_buffer(f"mean_{_name(source, op)}", torch.zeros(width))
                self.register_buffer(f"var_{_name(source, op)}", torch.ones(width))

    def use_batch_statistics(self) -> None:
        """Evaluate with the statistics of each batch from now on."""
        self.track_running_stats = False

    def initialise(self, generator: torch.Generator) -> None:
        """Draw kernels and biases from torch's default distribution for convolutions."""
        for name, kernel in self.kernels.items():
            draw_default(kernel, kernel[0].numel(), generator)
            draw_default(self.biases[name], kernel[0].numel(), generator)

    def forward(
        self,
        x: Tensor,
        weights: Tensor,
        active: Active,
        offsets: Tensor | None = None,
        edges: Tensor | None = None,
    ) -> Tensor:
        """Evaluate the cell.

        Args:
            x: Feature map (B, C, H, W), channels-last.
            weights: Edge weights (6, 5).
            active: Per edge, the operations to evaluate; all others have weight zero and cost nothing.
            offsets: Per edge (6,), a number added to every value of its output (the GDAS weight term).
            edges: Per edge (6,), a factor of its output (the edge normalisation of PC-DARTS).

        Returns:
            The last node, (B, C, H, W), channels-last.
        """
        plan = plan_of(active)
        if edges is not None:
            weights = weights * edges.unsqueeze(1)
            offsets = None if offsets is None else offsets * edges
        if self.track_running_stats and not self.training:
            return self._on_running_statistics(x, weights, plan)
        kernels: list[Tensor | None] = []
        for source, leaving in enumerate(plan):
            kernel1 = self._rows(self.kernels, source, NOR_CONV_1X1, leaving.conv1)
            kernels.append(None if kernel1 is None else kernel1.flatten(1))
            kernels.append(self._rows(self.kernels, source, NOR_CONV_3X3, leaving.conv3))
        statistics: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        out: Tensor = CellFunction.apply(x, weights, offsets, plan, statistics, *kernels)  # type: ignore[no-untyped-call]
        if self.track_running_stats and statistics:
            self._track(statistics, plan, x.numel() // x.shape[1])
        return out

    def evaluate_operation(
        self, edge: int, op: int, node: Callable[[], Tensor], relu: Callable[[], Tensor]
    ) -> Tensor | None:
        """Evaluate one operation; as ``SharedOperations.evaluate_operation``."""
        if op == NONE:
            return None
        if op == SKIP_CONNECT:
            return node()
        if op == AVG_POOL_3X3:
            return pool(node())
        source = EDGES[edge][1]
        kernel, bias = (self._rows(values, source, op, (edge,)) for values in (self.kernels, self.biases))
        assert kernel is not None
        assert bias is not None
        padding = KERNEL_SIZE[op] // 2
        if not self.track_running_stats:
            # With batch statistics the bias cancels.
            return F.batch_norm(F.conv2d(relu(), kernel, padding=padding), None, None, training=True, eps=BN_EPS)
        mean, var = (self.get_buffer(f"{kind}_{_name(source, op)}") for kind in ("mean", "var"))
        here = OUTGOING[source].index(edge)
        mean, var = (values.chunk(len(OUTGOING[source]))[here] for values in (mean, var))
        scale = torch.rsqrt(var + BN_EPS)
        return F.conv2d(relu(), kernel * scale.view(-1, 1, 1, 1), (bias - mean) * scale, padding=padding)

    def _rows(self, values: Any, source: int, op: int, edges: tuple[int, ...], prefix: str = "") -> Tensor | None:
        """Return the channel blocks of some edges from a wide kernel, bias or statistic; None if there are no edges."""
        if not edges:
            return None
        wide: Tensor = values[prefix + _name(source, op)]
        if len(edges) == len(OUTGOING[source]):
            return wide
        size = self.channels
        blocks = [wide.narrow(0, OUTGOING[source].index(edge) * size, size) for edge in edges]
        return blocks[0] if len(blocks) == 1 else torch.cat(blocks)

    @torch.no_grad()
    def _track(
        self, statistics: dict[tuple[int, int], tuple[Tensor, Tensor]], plan: tuple[Source, ...], n: int
    ) -> None:
        """Update the running statistics as BatchNorm does: unbiased variance, mean including the bias."""
        running: list[Tensor] = []
        observed: list[Tensor] = []
        names, means, variances = zip(*((key, *values) for key, values in statistics.items()), strict=True)
        rows = (self._rows(self.biases, source, op, plan[source].convs(op)) for source, op in names)
        biases = [bias for bias in rows if bias is not None]
        # All at once: a GPU takes longer to launch each of these kernels than to compute it.
        for kind, found in (
            ("mean", torch._foreach_add(means, biases)),
            ("var", torch._foreach_mul(variances, n / max(n - 1, 1))),
        ):
            for (source, op), values in zip(names, found, strict=True):
                edges, leaving = plan[source].convs(op), OUTGOING[source]
                kept = self.get_buffer(f"{kind}_{_name(source, op)}").chunk(len(leaving))
                running += [kept[leaving.index(edge)] for edge in edges]
                observed += values.chunk(len(edges))
        torch._foreach_lerp_(running, observed, BN_MOMENTUM)

    def _on_running_statistics(self, x: Tensor, weights: Tensor, plan: tuple[Source, ...]) -> Tensor:
        """Evaluate with running statistics: BatchNorm is a fixed scale and shift, and folds into the kernels."""
        values = scalars(weights)
        nodes = [x]
        sums = [torch.zeros_like(as_matrix(x)) for _ in range(SOURCES)]
        for source, edges in enumerate(plan):
            node = nodes[source]
            for convs, kernel, bias in self._folded(source, edges, values):
                wide = F.conv2d(node.relu(), kernel, bias, padding=kernel.shape[-1] // 2)
                parts = as_matrix(wide.contiguous(memory_format=torch.channels_last)).chunk(len(convs), 1)
                for edge, part in zip(convs, parts, strict=True):
                    sums[EDGES[edge][0] - 1].add_(part)
            add_pooling_and_skip(sums, node, edges, values)
            nodes.append(as_map(sums[source], x))
        return nodes[-1]

    def _folded(
        self, source: int, leaving: Source, values: list[tuple[Tensor, ...]]
    ) -> list[tuple[tuple[int, ...], Tensor, Tensor]]:
        """Return the convolutions of a node, with BatchNorm and operation weights in them: edges, kernel and bias."""
        buffers = dict(self.named_buffers(recurse=False))
        found = []
        for op in KERNEL_SIZE:
            convs = leaving.convs(op)
            kernel, bias, mean, var = (
                self._rows(tensors, source, op, convs, prefix)
                for tensors, prefix in ((self.kernels, ""), (self.biases, ""), (buffers, "mean_"), (buffers, "var_"))
            )
            if kernel is None:
                continue
            assert bias is not None
            assert mean is not None
            assert var is not None
            scale = per_channel(values, convs, op, self.channels) * torch.rsqrt(var + BN_EPS)
            found.append((convs, kernel * scale.view(-1, 1, 1, 1), (bias - mean) * scale))
        if len(found) == len(KERNEL_SIZE) and leaving.conv1 == leaving.conv3:
            # A 1x1 convolution of the same edges is the centre of a 3x3 one.
            (convs, kernel1, bias1), (_, kernel3, bias3) = found
            kernel3[:, :, 1:2, 1:2] += kernel1
            return [(convs, kernel3, bias1 + bias3)]
        return found
