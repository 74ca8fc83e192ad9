"""The weight-sharing cell with partial channel connections.

Source: PC-DARTS (Xu et al., ICLR 2020), section 3.2; on this cell space as in the released code of DrNAS
(``NAS201SearchCell_PartialChannel``).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasbench_eval.cell import AVG_POOL_3X3, EDGES, INCOMING, N_EDGES, NODES, SKIP_CONNECT
from nasbench_eval.networks.fused_cell import BN_MOMENTUM, KERNEL_SIZE
from nasbench_eval.networks.fused_cell_function import BN_EPS, Active, pool, scalars


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
                passing = source.narrow(1, self.worked, source.shape[1] - self.worked)
                mixed = torch.zeros_like(worked)
                for op in active[edge]:
                    mixed = mixed + values[edge][op] * self._evaluate(edge, op, worked)
                if offset_values is not None:
                    mixed = mixed + offset_values[edge]
                out = F.channel_shuffle(torch.cat([mixed, passing], 1), self.partial)
                total = total + edge_values[edge] * out
            nodes.append(total.contiguous(memory_format=torch.channels_last))
        return nodes[-1]

    def _evaluate(self, edge: int, op: int, x: Tensor) -> Tensor:
        if op == SKIP_CONNECT:
            return x
        if op == AVG_POOL_3X3:
            return pool(x)
        out: Tensor = self.convs[f"{edge}_{op}"](x.relu())
        return out
