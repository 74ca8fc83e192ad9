"""The weight-sharing cell with partial channel connections.

Source: PC-DARTS (Xu et al., ICLR 2020), section 3.2; on this cell space as in the released code of DrNAS
(``NAS201SearchCell_PartialChannel``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial as partial_of

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasbench_eval.cell import AVG_POOL_3X3, EDGES, N_EDGES, NONE, OUTGOING, SKIP_CONNECT
from nasbench_eval.networks.fused_cell import BN_MOMENTUM, KERNEL_SIZE
from nasbench_eval.networks.fused_cell_function import BN_EPS, SOURCES, Active, scalars
from nasbench_eval.networks.pooling import pool

Grow = Callable[[Tensor], Tensor]
"""Appends copies of some channels to a tensor."""


class PartialCell(nn.Module):
    """Six edges; on each, the candidate operations act on 1/K of the channels, and the others bypass them.

    The output channels of an edge are shuffled, so that the next node works on others.

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
        if edges is not None:
            weights = weights * edges.unsqueeze(1)
            offsets = None if offsets is None else offsets * edges
        values = scalars(weights)
        sums = [torch.zeros_like(self._worked(x)) for _ in range(SOURCES)]
        rests = [torch.zeros_like(self._passing(x)) for _ in range(SOURCES)]
        node = x
        for source, leaving in enumerate(OUTGOING[:SOURCES]):
            worked, passing = self._worked(node), self._passing(node)
            for edge, output in self._convolved(worked, values, [(e, op) for e in leaving for op in active[e]]):
                sums[EDGES[edge][0] - 1].add_(output)
            shared = {SKIP_CONNECT: worked}
            if any(AVG_POOL_3X3 in active[edge] for edge in leaving):
                shared[AVG_POOL_3X3] = pool(worked)
            for edge in leaving:
                target = EDGES[edge][0] - 1
                for op in shared.keys() & active[edge]:
                    sums[target].addcmul_(shared[op], values[edge][op])
                if offsets is not None:
                    sums[target].add_(offsets[edge])
                rests[target].add_(passing if edges is None else edges[edge] * passing)
            # Shuffling is linear: once for the sum, not once per edge.
            node = self._shuffled(sums[source], rests[source])
        return node

    def _convolved(
        self, worked: Tensor, values: list[tuple[Tensor, ...]], ops: list[tuple[int, int]]
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield the edge and the weighted output of each convolution among some operations on the edges of one node.

        They are one wide 3x3 convolution (a 1x1 convolution is its centre) and one BatchNorm, whose factors are the
        operation weights: a kernel for two or four channels has the cost of its call.
        """
        ops = [(edge, op) for edge, op in ops if op in KERNEL_SIZE]
        if not ops:
            return
        convs, norms = zip(*(self.convs[f"{edge}_{op}"] for edge, op in ops), strict=True)
        kernel = torch.cat([F.pad(conv.weight, [1 - conv.padding[0]] * 4) for conv in convs])
        statistics = [torch.cat(each) for each in self._statistics(norms)]
        mean, var = statistics or (None, None)
        scale = torch.stack([values[edge][op] for edge, op in ops]).repeat_interleave(self.worked)
        wide = F.batch_norm(
            F.conv2d(worked.relu(), kernel, torch.cat([conv.bias for conv in convs]), padding=1),
            mean,
            var,
            scale,
            training=self.training or not statistics,
            momentum=BN_MOMENTUM,
            eps=BN_EPS,
        )
        if self.training:
            for own, new in zip(self._statistics(norms), statistics, strict=True):
                torch._foreach_copy_(own, list(new.chunk(len(own))))
        yield from zip((edge for edge, _ in ops), wide.chunk(len(ops), 1), strict=True)

    @staticmethod
    def _statistics(norms: Sequence[nn.BatchNorm2d]) -> list[list[Tensor]]:
        """Return the running means and the running variances; empty if none are kept."""
        kept = [[norm.running_mean for norm in norms], [norm.running_var for norm in norms]]
        return [each for each in kept if each[0] is not None]  # type: ignore[misc]

    def evaluate_operation(self, edge: int, op: int, node: Callable[[], Tensor], relu: Callable[[], Tensor]) -> Tensor:
        """Evaluate one operation, as ``SharedOperations.evaluate_operation``; with ``none`` the other channels pass."""
        value = node()
        worked = self._worked(value)
        if op == NONE:
            output = torch.zeros_like(worked)
        elif op == SKIP_CONNECT:
            output = worked
        elif op == AVG_POOL_3X3:
            output = pool(worked)
        else:
            output = self.convs[f"{edge}_{op}"](worked.relu())
        return self._shuffled(output, self._passing(value))

    def _worked(self, node: Tensor) -> Tensor:
        """Return the channels of a node that go through the operations."""
        return node[:, : self.worked].contiguous(memory_format=torch.channels_last)

    def _passing(self, node: Tensor) -> Tensor:
        """Return the channels of a node that bypass the operations."""
        return node[:, self.worked :]

    def _shuffled(self, worked: Tensor, passing: Tensor) -> Tensor:
        """Return a node, channels-last, from its two parts: as ``torch.nn.functional.channel_shuffle``, but faster."""
        # Without a rest, its only part is empty.
        groups = [worked, *torch.split(passing, self.worked, 1)][: self.partial]
        return torch.stack([group.permute(0, 2, 3, 1) for group in groups], 4).flatten(3).permute(0, 3, 1, 2)

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
        drop_running_statistics(self)


def drop_running_statistics(network: nn.Module) -> None:
    """Let every ``nn.BatchNorm2d`` in a network evaluate with the statistics of each batch from now on."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats = False
            module.running_mean = module.running_var = None


def _append(tensor: Tensor, axis: int, channels: Tensor) -> Tensor:
    """Return a tensor with copies of some of its channels behind it."""
    return torch.cat([tensor, tensor.index_select(axis, channels.to(tensor.device))], axis)


def _append_both(weight: Tensor, inputs: Tensor, outputs: Tensor) -> Tensor:
    """Return a kernel with copies of some input channels, then of some output channels."""
    return _append(_append(weight, 1, inputs), 0, outputs)
