"""The networks of several cells, trained side by side: K times ``StandaloneNet`` in one set of tensors.

A single network of this size keeps a core busy with overhead, especially with small batches. K networks whose cells
have the same convolutions on the same edges, but may differ in everything else, run as one: their feature maps are
concatenated along the channels, every convolution is a grouped one, and skip connections and pooling are masked with
zeros and ones. The networks share the images of a batch and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from nasbench_eval.cell import AVG_POOL_3X3, EDGES, INCOMING, NODES, SKIP_CONNECT, Cell
from nasbench_eval.equivalence import convolutions
from nasbench_eval.images import Reduction
from nasbench_eval.networks.fused_cell import BN_MOMENTUM, KERNEL_SIZE, draw_default
from nasbench_eval.networks.fused_cell_function import BN_EPS
from nasbench_eval.networks.pooling import inverse_counts
from nasbench_eval.networks.skeleton import STAGES


class StackedNet:
    """K networks of one cell each.

    Args:
        cells: The cell of each network; all have the same ``convolutions``.
        channels: C, the channels of the first stage.
        repeats: N, the number of cells per stage.
        classes: Number of classes.
        reduction: The reduction between stages: ``ImageData.reduction``.
        generators: One generator per network, for its initial weights.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        channels: int,
        repeats: int,
        classes: int,
        *,
        generators: Sequence[torch.Generator],
        reduction: Reduction = "residual",
    ) -> None:
        self.size = len(cells)
        self.reduction = reduction
        self.channels = channels
        self.repeats = repeats
        self.convs = convolutions(cells[0])
        if any(convolutions(cell) != self.convs for cell in cells):
            raise ValueError("the cells of a group must have the same convolutions on the same edges")
        self._masks = {
            (edge, op): torch.tensor([float(cell.ops[edge] == op) for cell in cells])
            for edge in range(len(EDGES))
            for op in (SKIP_CONNECT, AVG_POOL_3X3)
        }
        self._wide_masks: dict[tuple[int, int, int], Tensor] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._norms: dict[str, int] = {}
        self._declare(classes)
        numbers = [torch.Size(shape).numel() for shape in self._shapes.values()]
        self.flat = torch.empty(self.size * sum(numbers))
        self.flat_grad = torch.zeros_like(self.flat)
        self.parameters = self._views(self.flat)
        self._initialise(generators)
        for name, grad in self._views(self.flat_grad).items():
            self.parameters[name].requires_grad_().grad = grad
        self.running = {
            name: (torch.zeros(self.size * width), torch.ones(self.size * width)) for name, width in self._norms.items()
        }

    def _declare(self, classes: int) -> None:
        """Declare the names and shapes of the parameters of one network, in the order in which they are drawn."""

        def conv(name: str, c_in: int, c_out: int, size: int, *, norm: bool = True) -> None:
            self._shapes[name] = (c_out, c_in, size, size)
            if norm:
                self._norm(f"{name}.bn", c_out)

        conv("stem", 3, self.channels, 3)
        for stage in range(STAGES):
            width = self.channels * 2**stage
            for n in range(self.repeats):
                for edge, op in self.convs.items():
                    conv(f"cell{stage}.{n}.{edge}", width, width, KERNEL_SIZE[op])
            if stage < STAGES - 1:
                if self.reduction == "residual":
                    conv(f"reduce{stage}.a", width, 2 * width, 3)
                    conv(f"reduce{stage}.b", 2 * width, 2 * width, 3)
                conv(f"reduce{stage}.down", width, 2 * width, 1, norm=False)
        self._norm("last", width)
        self._shapes["classifier"] = (classes, width)
        self._shapes["classifier.bias"] = (classes,)

    def _norm(self, name: str, width: int) -> None:
        self._norms[name] = width
        self._shapes[f"{name}.weight"] = self._shapes[f"{name}.bias"] = (width,)

    def _views(self, flat: Tensor) -> dict[str, Tensor]:
        """Return views of a flat vector: kernels (K*out, in, h, w), vectors (K*width,), classifier (K, ...)."""
        views, at = {}, 0
        for name, shape in self._shapes.items():
            size = self.size * torch.Size(shape).numel()
            part = flat[at : at + size]
            at += size
            if len(shape) == 4:
                o, i, h, w = shape
                views[name] = part.view(self.size * o, h, w, i).permute(0, 3, 1, 2)
            elif name.startswith("classifier"):
                views[name] = part.view(self.size, *shape)
            else:
                views[name] = part
        return views

    @torch.no_grad()
    def _initialise(self, generators: Sequence[torch.Generator]) -> None:
        for k, generator in enumerate(generators):
            for name, value in self.parameters.items():
                block = value.view(self.size, -1)[k] if value.dim() < 4 else value.chunk(self.size)[k]
                if name.startswith("classifier"):
                    draw_default(block, self._shapes["classifier"][1], generator)
                elif value.dim() < 4:
                    block.fill_(1.0 if name.endswith("weight") else 0.0)
                else:
                    draw_default(block, block[0].numel(), generator)

    def __call__(self, images: Tensor, *, training: bool) -> Tensor:
        """Map images (B, 3, H, W), channels-last, to logits (K, B, classes), with batch or running statistics."""
        # The stems of all networks have the same input: together they are one ordinary, wide convolution.
        x = self._norm_of(F.conv2d(images, self.parameters["stem"], padding=1), "stem.bn", training)
        for stage in range(STAGES):
            for n in range(self.repeats):
                x = self._cell(x, f"cell{stage}.{n}", training)
            if stage < STAGES - 1:
                x = self._reduce(x, f"reduce{stage}", training)
        features = self._norm_of(x, "last", training).relu().mean((2, 3)).view(len(x), self.size, -1)
        weight, bias = self.parameters["classifier"], self.parameters["classifier.bias"]
        return torch.baddbmm(bias.unsqueeze(1), features.transpose(0, 1), weight.transpose(1, 2))

    def _conv(self, x: Tensor, name: str, *, stride: int = 1) -> Tensor:
        kernel = self.parameters[name]
        return F.conv2d(x, kernel, stride=stride, padding=kernel.shape[2] // 2, groups=self.size)

    def _norm_of(self, x: Tensor, name: str, training: bool) -> Tensor:
        mean, var = self.running[name]
        weight, bias = self.parameters[f"{name}.weight"], self.parameters[f"{name}.bias"]
        return F.batch_norm(x, mean, var, weight, bias, training, BN_MOMENTUM, BN_EPS)

    def _reduce(self, x: Tensor, name: str, training: bool) -> Tensor:
        shortcut = self._conv(F.avg_pool2d(x, 2), f"{name}.down")
        if self.reduction == "pooling":
            return shortcut
        branch = self._norm_of(self._conv(x.relu(), f"{name}.a", stride=2), f"{name}.a.bn", training)
        branch = self._norm_of(self._conv(branch.relu(), f"{name}.b"), f"{name}.b.bn", training)
        return branch + shortcut

    def _cell(self, x: Tensor, name: str, training: bool) -> Tensor:
        nodes: list[Tensor | None] = [x]
        relus: dict[int, Tensor] = {}
        pools: dict[int, Tensor] = {}
        for node in range(1, NODES):
            total: Tensor | None = None
            for edge in INCOMING[node]:
                source = EDGES[edge][1]
                value = nodes[source]
                if value is None:
                    continue
                if edge in self.convs:
                    if source not in relus:
                        relus[source] = value.relu()
                    key = f"{name}.{edge}"
                    term = self._norm_of(self._conv(relus[source], key), f"{key}.bn", training)
                    total = term if total is None else total + term
                for op in (SKIP_CONNECT, AVG_POOL_3X3):
                    mask = self._masks[edge, op]
                    share = float(mask.sum())
                    if not share:
                        continue
                    if op == AVG_POOL_3X3 and source not in pools:
                        pools[source] = pool(value)
                    term = pools[source] if op == AVG_POOL_3X3 else value
                    if share == self.size:
                        total = term if total is None else total + term
                    else:
                        wide = self._mask(edge, op, x.shape[1])
                        total = term * wide if total is None else torch.addcmul(total, term, wide)
            nodes.append(total)
        return nodes[-1] if nodes[-1] is not None else torch.zeros_like(x)

    def _mask(self, edge: int, op: int, width: int) -> Tensor:
        key = (edge, op, width)
        if key not in self._wide_masks:
            self._wide_masks[key] = self._masks[edge, op].repeat_interleave(width // self.size).view(1, -1, 1, 1)
        return self._wide_masks[key]


class _Pool(torch.autograd.Function):
    """3x3 average pooling of stride 1 over the neighbours inside the map, by shifted sums along each axis."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.inverse = inverse_counts(1, x.shape[2], x.shape[3], x.device, x.dtype).permute(0, 2, 3, 1)
        return _shifted_sums(x.permute(0, 2, 3, 1)).mul_(ctx.inverse).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        return _shifted_sums(grad.permute(0, 2, 3, 1) * ctx.inverse).permute(0, 3, 1, 2)


def _shifted_sums(x: Tensor) -> Tensor:
    """Sum over the 3x3 neighbours inside the map, for (B, H, W, C)."""
    rows = x.clone()
    rows[:, 1:] += x[:, :-1]
    rows[:, :-1] += x[:, 1:]
    out = rows.clone()
    out[:, :, 1:] += rows[:, :, :-1]
    out[:, :, :-1] += rows[:, :, 1:]
    return out


def pool(x: Tensor) -> Tensor:
    """Average over the 3x3 neighbours inside a channels-last map (B, C, H, W)."""
    return _Pool.apply(x)  # type: ignore[no-untyped-call, no-any-return]
