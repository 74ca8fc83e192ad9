"""The weight-sharing cell as one function: all candidate operations of all edges evaluated together.

The plain form evaluates five operations on each of six edges. This function computes the same with far fewer and larger
kernels:

- ReLU and average pooling depend only on the source node: they are computed once per node, not once per edge.
- The 3x3 convolutions that leave a node are one wide convolution.
- BatchNorm without affine parameters and the operation weight together are one scale and shift per channel.
- A 1x1 convolution is linear, so the batch statistics of its output follow from the mean and covariance of its input,
  which are computed once per node. Scale and operation weight fold into its kernel, and its output is never stored.

Tensors are in channels-last layout: a feature map is a matrix of (images x pixels, channels).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nasbench_eval.cell import (
    AVG_POOL_3X3,
    EDGES,
    INCOMING,
    NODES,
    NOR_CONV_1X1,
    NOR_CONV_3X3,
    OPS,
    OUTGOING,
    SKIP_CONNECT,
)
from nasbench_eval.networks.pooling import pool, pool_backward

BN_EPS = 1e-5
SOURCES = NODES - 1

Active = tuple[tuple[int, ...], ...]
"""For each edge, the operations whose weight can differ from zero; known without reading from the device."""


@dataclass(frozen=True)
class Source:
    """The edges that leave one node, by the operations that are active on them."""

    conv1: tuple[int, ...]
    conv3: tuple[int, ...]
    skip: tuple[int, ...]
    pool: tuple[int, ...]

    def convs(self, op: int) -> tuple[int, ...]:
        """Return the edges on which a convolution, 1x1 or 3x3, is active."""
        return self.conv1 if op == NOR_CONV_1X1 else self.conv3


@cache
def plan_of(active: Active) -> tuple[Source, ...]:
    """Return, for nodes 0 to 2, the active operations of their outgoing edges."""

    def having(node: int, op: int) -> tuple[int, ...]:
        return tuple(e for e in OUTGOING[node] if op in active[e])

    return tuple(
        Source(*(having(node, op) for op in (NOR_CONV_1X1, NOR_CONV_3X3, SKIP_CONNECT, AVG_POOL_3X3)))
        for node in range(SOURCES)
    )


def as_matrix(x: Tensor) -> Tensor:
    """View a channels-last feature map (B, C, H, W) as (B*H*W, C)."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def as_map(x: Tensor, like: Tensor) -> Tensor:
    """Undo ``as_matrix``; the number of channels may differ from that of ``like``."""
    batch, _, height, width = like.shape
    return x.view(batch, height, width, x.shape[1]).permute(0, 3, 1, 2)


def scalars(weights: Tensor) -> list[tuple[Tensor, ...]]:
    """Split a matrix of operation weights into scalars [edge][operation], without synchronising with the device."""
    return [row.unbind() for row in weights.unbind()]


def per_channel(values: Sequence[tuple[Tensor, ...]], edges: tuple[int, ...], op: int, channels: int) -> Tensor:
    """Return the weights of one operation on some edges, each repeated for its channels: (len(edges) * channels,)."""
    # Contiguous: the backward pass of BatchNorm ignores the strides of its weight.
    return torch.stack([values[e][op] for e in edges]).unsqueeze(1).expand(-1, channels).contiguous().view(-1)


def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the biased variance per channel of a feature map; var_mean over three axes is slower."""
    mean, var = torch.ops.aten.batch_norm_update_stats(x, None, None, 0.0)
    return mean, var


def add_pooling_and_skip(
    sums: Sequence[Tensor], node: Tensor, edges: Source, values: Sequence[tuple[Tensor, ...]]
) -> Tensor | None:
    """Add the operations without weights that leave a node to its targets.

    Args:
        sums: Nodes 1 to 3 as matrices, to which the weighted outputs are added in place.
        node: The node, (B, C, H, W).
        edges: The edges that leave it.
        values: The operation weights [edge][operation].

    Returns:
        The pooled node as a matrix, None if no edge pools it.
    """
    pooled = None
    if edges.pool:
        pooled = as_matrix(pool(node))
        for edge in edges.pool:
            sums[EDGES[edge][0] - 1].addcmul_(pooled, values[edge][AVG_POOL_3X3])
    for edge in edges.skip:
        sums[EDGES[edge][0] - 1].addcmul_(as_matrix(node), values[edge][SKIP_CONNECT])
    return pooled


def _blocks(edges: tuple[int, ...], *wide: Tensor) -> Iterator[tuple[Any, ...]]:
    """Split tensors whose first axis holds the channels of some edges; yield (target node, block of each tensor)."""
    for edge, *blocks in zip(edges, *(values.chunk(len(edges)) for values in wide), strict=True):
        yield EDGES[edge][0], *blocks


class _Conv1:
    """The 1x1 convolutions that leave a node, with BatchNorm and operation weight folded in; forward and backward.

    ``out = relu @ kernel.T + shift`` with ``kernel = scale * weight`` row by row, ``scale = operation weight / std``.
    """

    def __init__(self, relu: Tensor, weight: Tensor, op_weight: Tensor) -> None:
        self.n = relu.shape[0]
        self.weight = weight
        self.op_weight = op_weight
        self.m = relu.mean(0)
        self.covariance = relu.t().mm(relu).div_(self.n).addr_(self.m, self.m, alpha=-1.0)
        self.mean = weight.mv(self.m)
        self.spread = weight.mm(self.covariance)
        self.var = (self.spread * weight).sum(1).clamp_min_(0.0)
        self.inv_std = torch.rsqrt(self.var + BN_EPS)
        self.scale = op_weight * self.inv_std
        self.kernel = weight * self.scale.unsqueeze(1)
        self.shift = -self.scale * self.mean

    def backward(self, grad: Tensor, relu: Tensor, d_relu: Tensor | None) -> tuple[Tensor, Tensor]:
        """Add the gradient of the input to ``d_relu``; return those of the weight and of the operation weights."""
        d_kernel = grad.t().mm(relu)
        d_shift = grad.sum(0)
        d_scale = (d_kernel * self.weight).sum(1) - d_shift * self.mean
        d_var = -0.5 * d_scale * self.op_weight * self.inv_std**3
        d_mean = -self.scale * d_shift
        d_weight = (
            d_kernel * self.scale.unsqueeze(1) + torch.outer(d_mean, self.m) + 2 * d_var.unsqueeze(1) * self.spread
        )
        if d_relu is not None:
            d_cov = self.weight.t().mm(self.weight * d_var.unsqueeze(1))
            d_m = self.weight.t().mv(d_mean) - 2 * d_cov.mv(self.m)
            d_relu.addmm_(grad, self.kernel).addmm_(relu, d_cov, alpha=2 / self.n).add_(d_m / self.n)
        return d_weight, d_scale * self.inv_std


@dataclass
class _Saved:
    """What the forward pass saves for the backward pass of one source node."""

    node: Tensor
    relu: Any = None
    conv1: _Conv1 | None = None
    conv3: tuple[Tensor, Tensor, Tensor, Tensor] | None = None
    pooled: Any = None


class CellFunction(torch.autograd.Function):
    """The cell with batch statistics; its backward pass computes only the gradients that are needed."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weights: Tensor,
        offsets: Tensor | None,
        plan: tuple[Source, ...],
        statistics: dict[tuple[int, int], tuple[Tensor, Tensor]],
        *kernels: Tensor | None,
    ) -> Tensor:
        """Evaluate the cell.

        Args:
            ctx: The context of autograd.
            x: Feature map (B, C, H, W), channels-last.
            weights: Edge weights (6, 5).
            offsets: Per edge (6,), a number added to its output, or None.
            plan: ``plan_of`` the active operations.
            statistics: Filled with the batch mean and biased variance per (source, operation).
            kernels: Per source the wide 1x1 kernel (k*C, C) and the wide 3x3 kernel (k*C, C, 3, 3) of the k edges in
                the plan, None if k is zero.

        Returns:
            The last node, (B, C, H, W).
        """
        channels, values = x.shape[1], scalars(weights)
        nodes = [x]
        # Nodes 1 to 3 are summed in place, source by source; constants are collected separately and added once.
        sums = [torch.zeros_like(as_matrix(x)) for _ in range(SOURCES)]
        shifts = [x.new_zeros(channels) for _ in range(SOURCES)]
        if offsets is not None:
            for target in range(1, NODES):
                for edge in INCOMING[target]:
                    shifts[target - 1] += offsets.select(0, edge)
        saved: list[_Saved] = []
        for source, edges in enumerate(plan):
            kernel1, kernel3 = kernels[2 * source : 2 * source + 2]
            node = nodes[source]
            keep = _Saved(node)
            if edges.conv1 or edges.conv3:
                keep.relu = relu = node.relu()
            if kernel1 is not None:
                op_weight = per_channel(values, edges.conv1, NOR_CONV_1X1, channels)
                keep.conv1 = conv1 = _Conv1(as_matrix(relu), kernel1, op_weight)
                statistics[source, NOR_CONV_1X1] = (conv1.mean, conv1.var)
                for target, kernel, shift in _blocks(edges.conv1, conv1.kernel, conv1.shift):
                    sums[target - 1].addmm_(as_matrix(relu), kernel.t())
                    shifts[target - 1] += shift
            if kernel3 is not None:
                op_weight = per_channel(values, edges.conv3, NOR_CONV_3X3, channels)
                wide = F.conv2d(relu, kernel3, padding=1).contiguous(memory_format=torch.channels_last)
                mean, var = _statistics(wide)
                statistics[source, NOR_CONV_3X3] = (mean, var)
                inv_std = torch.rsqrt(var + BN_EPS)
                keep.conv3 = (wide, mean, inv_std, op_weight)
                scales = op_weight * inv_std
                parts = as_matrix(wide).chunk(len(edges.conv3), 1)
                blocks = _blocks(edges.conv3, scales, scales * mean)
                for part, (target, scale, shift) in zip(parts, blocks, strict=True):
                    sums[target - 1].addcmul_(part, scale)
                    shifts[target - 1] -= shift
            keep.pooled = add_pooling_and_skip(sums, node, edges, values)
            nodes.append(as_map(sums[source].add_(shifts[source]), x))
            saved.append(keep)
        ctx.plan, ctx.saved, ctx.kernels, ctx.values = plan, saved, kernels, values
        return nodes[-1]

    @staticmethod
    def backward(ctx: Any, grad_out: Tensor) -> Any:
        """Return the gradients of the inputs of ``forward``, as far as they are needed."""
        plan, kernels, values = ctx.plan, ctx.kernels, ctx.values
        need_x, need_weights, need_offsets = ctx.needs_input_grad[:3]
        channels = grad_out.shape[1]
        grads: list[Any] = [None, None, None, as_matrix(grad_out.contiguous(memory_format=torch.channels_last))]
        zero = grad_out.new_zeros(())
        d_weights = [[zero] * len(OPS) for _ in EDGES]
        d_kernels: list[Tensor | None] = [None] * len(kernels)

        def gather(edges: tuple[int, ...]) -> Tensor:
            parts = [grads[EDGES[edge][0]] for edge in edges]
            return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

        def set_weights(edges: tuple[int, ...], op: int, per_channel: Tensor) -> None:
            for edge, value in zip(edges, per_channel.view(-1, channels).sum(1).unbind(), strict=True):
                d_weights[edge][op] = value

        for source in reversed(range(SOURCES)):
            edges, keep = plan[source], ctx.saved[source]
            node, relu = keep.node, keep.relu
            need_node = source > 0 or need_x
            need_1, need_3 = ctx.needs_input_grad[5 + 2 * source : 7 + 2 * source]
            d_relu = grad3 = None
            if keep.conv3 is not None and (need_node or need_3 or need_weights):
                wide, mean, inv_std, op_weight = keep.conv3
                grad3 = gather(edges.conv3)
                d_wide, d_scale, _ = torch.ops.aten.native_batch_norm_backward(
                    as_map(grad3, node), wide, op_weight, None, None, mean, inv_std, True, BN_EPS, [True] * 3
                )
                if need_weights:
                    set_weights(edges.conv3, NOR_CONV_3X3, d_scale)
                if need_node or need_3:
                    d_map, d_kernels[2 * source + 1], _ = torch.ops.aten.convolution_backward(
                        d_wide, relu, kernels[2 * source + 1], None, (1, 1), (1, 1), (1, 1), False, (0, 0), 1,
                        (need_node, need_3, False),
                    )  # fmt: skip
                    if need_node:
                        d_relu = as_matrix(d_map.contiguous(memory_format=torch.channels_last))
            if keep.conv1 is not None and (need_node or need_1 or need_weights):
                grad1 = grad3 if grad3 is not None and edges.conv1 == edges.conv3 else gather(edges.conv1)
                if need_node and d_relu is None:
                    d_relu = torch.zeros_like(as_matrix(node))
                d_kernels[2 * source], d_edge = keep.conv1.backward(grad1, as_matrix(relu), d_relu)
                if need_weights:
                    set_weights(edges.conv1, NOR_CONV_1X1, d_edge)
            if need_weights:
                for op, which, value in (
                    (SKIP_CONNECT, edges.skip, as_matrix(node)),
                    (AVG_POOL_3X3, edges.pool, keep.pooled),
                ):
                    for edge in which:
                        d_weights[edge][op] = torch.dot(grads[EDGES[edge][0]].view(-1), value.view(-1))
            if not need_node:
                continue
            d_node = torch.zeros_like(as_matrix(node))
            if edges.pool:
                for edge in edges.pool:
                    d_node.addcmul_(grads[EDGES[edge][0]], values[edge][AVG_POOL_3X3])
                d_node = as_matrix(pool_backward(as_map(d_node, node)))
            for edge in edges.skip:
                d_node.addcmul_(grads[EDGES[edge][0]], values[edge][SKIP_CONNECT])
            if d_relu is not None:
                d_node.add_(torch.ops.aten.threshold_backward(d_relu, as_matrix(relu), 0))
            grads[source] = d_node
        d_offsets = torch.stack([grads[target].sum() for target, _ in EDGES]) if need_offsets else None
        return (
            as_map(grads[0], ctx.saved[0].node) if need_x else None,
            torch.stack([value for row in d_weights for value in row]).view(len(EDGES), -1) if need_weights else None,
            d_offsets,
            None,
            None,
            *d_kernels,
        )
