"""The weight-sharing cell with partial channel connections.

Source: PC-DARTS (Xu et al., ICLR 2020), section 3.2; on this cell space as in the released code of DrNAS
(``NAS201SearchCell_PartialChannel``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial as partial_of

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasbench_eval.cell import AVG_POOL_3X3, EDGES, INCOMING, N_EDGES, NODES, NONE, SKIP_CONNECT
from nasbench_eval.networks.fused_cell import BN_MOMENTUM, KERNEL_SIZE
from nasbench_eval.networks.fused_cell_function import BN_EPS, Active, pool, scalars

Grow = Callable[[Tensor], Tensor]
"""Appends copies of some channels to a tensor."""


class PartialCell(nn.Module):
    """Six edges; on each, the candidate operations act on 1/K of the channels, and the others bypass them.

    The output channels of an edge are shuffled, so that the next node works on others. This is plain torch, edge by
    edge: on 1/K of the channels, fusing gains little.

    Args:
        channels: Channels of every node.
        partial: K.
        track_running_stats: Whether BatchNorm keeps running statistics and uses them in evaluation.
    """

    def __init__(self, channels: int, partial: int, *, track_running_stats: bool) -> None:
        super().__init__()
        self.partial = partial
        self.worked = channels // partial
        self.convs = nn.ModuleDict(
            {
                f"{edge}_{op}": nn.Sequential(
                    nn.Conv2d(self.worked, self.worked, size, padding=size // 2),
                    nn.BatchNorm2d(
                        self.worked,
                        eps=BN_EPS,
                        momentum=BN_MOMENTUM,
                        affine=False,
                        track_running_stats=track_running_stats,
                    ),
                )
                for edge in range(N_EDGES)
                for op, size in KERNEL_SIZE.items()
            }
        )

    def forward(
        self,
        x: Tensor,
        weights: Tensor,
        active: Active,
        offsets: Tensor | None = None,
        edges: Tensor | None = None,
    ) -> Tensor:
        """Evaluate the cell; the arguments are as in ``FusedCell.forward``."""
        values = scalars(weights)
        edge_values = [x.new_ones(())] * N_EDGES if edges is None else list(edges.unbind())
        offset_values = None if offsets is None else offsets.unbind()
        nodes = [x]
        for node in range(1, NODES):
            total = torch.zeros_like(x)
            for edge in INCOMING[node]:
                source = nodes[EDGES[edge][1]]
                worked = source.narrow(1, 0, self.worked)
                mixed = torch.zeros_like(worked)
                for op in active[edge]:
                    mixed = mixed + values[edge][op] * self._evaluate(edge, op, worked)
                if offset_values is not None:
                    mixed = mixed + offset_values[edge]
                total = total + edge_values[edge] * self._beside_the_rest(mixed, source)
            nodes.append(total.contiguous(memory_format=torch.channels_last))
        return nodes[-1]

    def evaluate_operation(self, edge: int, op: int, node: Callable[[], Tensor], relu: Callable[[], Tensor]) -> Tensor:
        """Evaluate one operation, as ``SharedOperations.evaluate_operation``; with ``none`` the other channels pass."""
        value = node()
        worked = value.narrow(1, 0, self.worked)
        output = torch.zeros_like(worked) if op == NONE else self._evaluate(edge, op, worked)
        return self._beside_the_rest(output, value)

    def _beside_the_rest(self, output: Tensor, node: Tensor) -> Tensor:
        """Append the channels of the node that bypassed the operations, and shuffle all."""
        passing = node.narrow(1, self.worked, node.shape[1] - self.worked)
        return F.channel_shuffle(torch.cat([output, passing], 1), self.partial)

    def widen(self, partial: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Grow]]:
        """Let more channels go through the operations: K becomes ``partial``.

        The new channels are copies of random ones, without rescaling, as in the released ``net2wider.py`` of DrNAS.
        Buffers grow here; parameters are left to the caller, because their momentum grows like them.

        Args:
            partial: K, at most the present one.
            generator: Draws the channels that are copied.

        Yields:
            Each parameter, and the function that makes its wider value.
        """
        more = self.worked * (self.partial // partial - 1)
        for operation in self.convs.values():
            assert isinstance(operation, nn.Sequential)
            conv, norm = operation
            assert isinstance(conv, nn.Conv2d)
            assert isinstance(norm, nn.BatchNorm2d)
            assert conv.bias is not None
            inputs, outputs = (torch.randint(self.worked, (more,), generator=generator) for _ in range(2))
            yield conv.weight, partial_of(_append_both, inputs=inputs, outputs=outputs)
            yield conv.bias, partial_of(_append, axis=0, channels=outputs)
            for name in ("running_mean", "running_var"):
                if (statistic := getattr(norm, name)) is not None:
                    setattr(norm, name, _append(statistic, 0, outputs))
            conv.in_channels = conv.out_channels = norm.num_features = self.worked + more
        self.partial, self.worked = partial, self.worked + more

    def use_batch_statistics(self) -> None:
        """Evaluate with the statistics of each batch from now on."""
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.track_running_stats = False
                module.running_mean = module.running_var = None

    def _evaluate(self, edge: int, op: int, x: Tensor) -> Tensor:
        if op == SKIP_CONNECT:
            return x
        if op == AVG_POOL_3X3:
            return pool(x)
        out: Tensor = self.convs[f"{edge}_{op}"](x.relu())
        return out


def _append(tensor: Tensor, axis: int, channels: Tensor) -> Tensor:
    """Return a tensor with copies of some of its channels behind it."""
    return torch.cat([tensor, tensor.index_select(axis, channels.to(tensor.device))], axis)


def _append_both(weight: Tensor, inputs: Tensor, outputs: Tensor) -> Tensor:
    """Return a kernel with copies of some input channels, then of some output channels."""
    return _append(_append(weight, 1, inputs), 0, outputs)
