"""Average pooling over the 3x3 neighbours inside the map, stride 1, with the right gradient on every device.

On GPUs, ``avg_pool2d`` of torch silently returned wrong gradients until mid-2026, for channels-last maps with padding:
those of the pixel one row above and one column to the left (pytorch issue 188344; its forward pass is right). So the
gradient is computed here. With the sum over neighbours S and the number of pixels in each sum n, pooling is
``S(x) / n``, and as S is symmetric, its gradient is ``S(g / n)``.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@cache
def inverse_counts(channels: int, height: int, width: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return one over the number of pixels in each sum of 3x3 neighbours, (1, channels, height, width)."""
    rows, columns = (torch.full((n,), 3, device=device, dtype=dtype) for n in (height, width))
    for line in (rows, columns):
        line[0] -= 1
        line[-1] -= 1
    # One number per channel too, channels-last: a factor with one channel costs several times the time on narrow maps.
    counts = torch.outer(rows, columns).expand(1, channels, height, width)
    return (1 / counts).contiguous(memory_format=torch.channels_last)


@cache
def _kernel(channels: int) -> Tensor:
    return torch.ones(channels, 1, 3, 3)


def _counts_of(x: Tensor) -> Tensor:
    _, channels, height, width = x.shape
    return inverse_counts(channels, height, width, x.device, x.dtype)


def _as_convolution(x: Tensor) -> bool:
    """Tell whether to sum by a convolution: on a CPU, torch pools channels-last maps several times slower."""
    return x.device.type == "cpu" and x.dtype == torch.float32


def _sums(x: Tensor) -> Tensor:
    """Return the sum over the 3x3 neighbours inside the map."""
    if _as_convolution(x):
        return F.conv2d(x, _kernel(x.shape[1]), padding=1, groups=x.shape[1])
    return F.avg_pool2d(x, 3, stride=1, padding=1, divisor_override=1)


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _sums(x).mul_(_counts_of(x))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return pool_backward(grad)


def pool(x: Tensor) -> Tensor:
    """Average over the 3x3 neighbours inside a map (B, C, H, W)."""
    return _Pool.apply(x)  # type: ignore[no-untyped-call, no-any-return]


def pool_backward(grad: Tensor) -> Tensor:
    """Return the gradient of the input of :func:`pool`, given that of its output, both (B, C, H, W)."""
    return _sums(grad * _counts_of(grad))
