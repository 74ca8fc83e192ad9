"""Pair the parameters and statistics of a ``Supernet`` with those of its plain form, and copy them into it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from network_inputs import GEN
from plain import PlainSupernet
from torch import Tensor, nn

from nasbench_eval.cell import NOR_CONV_1X1, NOR_CONV_3X3, OUTGOING
from nasbench_eval.images import Reduction
from nasbench_eval.networks.fused_cell import FusedCell, _name
from nasbench_eval.networks.skeleton import PoolingReduction
from nasbench_eval.networks.supernet import Supernet


def both(
    channels: int = 4, cells: int = 2, *, track: bool = True, reduction: Reduction = "residual"
) -> tuple[Supernet, PlainSupernet]:
    """Return a supernet of double precision and its plain form, with the same random weights."""
    fused = Supernet(
        channels, cells, 10, track_running_stats=track, generator=GEN.torch("weights"), reduction=reduction
    ).double()
    plain = PlainSupernet(channels, cells, 10, track_running_stats=track, pooling=reduction == "pooling").double()
    copy_into_plain(fused, plain)
    return fused, plain


def pairs(fused: Supernet, plain: PlainSupernet) -> Iterator[tuple[str, Tensor, Tensor, slice | None]]:
    """Yield (name, fused tensor, plain tensor, rows of the fused tensor) for every parameter and statistic."""
    for name in ("stem", "classifier"):
        yield from _same(name, getattr(fused, name), getattr(plain, name))
    yield from _same("last_bn", fused.last_bn, plain.lastact[0])
    for s, reduction in enumerate(fused.reductions):
        other = plain.reductions[s]
        if isinstance(reduction, PoolingReduction):
            yield from _same(f"reduction{s}", reduction.downsample, other[1])
            continue
        for ours, theirs in (
            (reduction.conv_a, other.conv_a[1]),
            (reduction.bn_a, other.conv_a[2]),
            (reduction.conv_b, other.conv_b[1]),
            (reduction.bn_b, other.conv_b[2]),
            (reduction.downsample, other.downsample[1]),
        ):
            yield from _same(f"reduction{s}", ours, theirs)
    for s, stage in enumerate(fused.stages):
        for n, cell in enumerate(stage):
            assert isinstance(cell, FusedCell)
            for source, edges in enumerate(OUTGOING):
                for op in (NOR_CONV_1X1, NOR_CONV_3X3) if edges else ():
                    key = _name(source, op)
                    for i, edge in enumerate(edges):
                        rows = slice(i * cell.channels, (i + 1) * cell.channels)
                        _, conv, bn = plain.stages[s][n].edges[edge][op]
                        where = f"stage{s}.cell{n}.edge{edge}.op{op}"
                        yield f"{where}.weight", cell.kernels[key], conv.weight, rows
                        yield f"{where}.bias", cell.biases[key], conv.bias, rows
                        if cell.track_running_stats:
                            yield f"{where}.mean", cell.get_buffer(f"mean_{key}"), bn.running_mean, rows
                            yield f"{where}.var", cell.get_buffer(f"var_{key}"), bn.running_var, rows


def _same(name: str, ours: nn.Module, theirs: nn.Module) -> Iterator[tuple[str, Tensor, Tensor, None]]:
    both = zip(
        [*ours.named_parameters(), *ours.named_buffers()],
        [*theirs.named_parameters(), *theirs.named_buffers()],
        strict=True,
    )
    for (key, a), (_, b) in both:
        yield f"{name}.{key}", a, b, None


@torch.no_grad()
def copy_into_plain(fused: Supernet, plain: PlainSupernet) -> None:
    for _, ours, theirs, rows in pairs(fused, plain):
        theirs.copy_(ours if rows is None else ours[rows])
