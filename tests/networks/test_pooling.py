"""Average pooling: its value, and its gradient, which torch's own function has wrong on GPUs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from weight_sharing import NEEDS_GPU

import nasbench_eval
from nasbench_eval.networks.pooling import pool, pool_backward


@pytest.mark.parametrize("size", [(8, 8), (5, 4), (2, 2), (1, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # a convolution, and the form for GPUs
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=NEEDS_GPU)])
def test_value_and_gradient_are_those_of_torch_on_a_cpu(
    size: tuple[int, int], dtype: torch.dtype, layout: torch.memory_format, device: str
) -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = (torch.randn(2, 3, *size, generator=generator, dtype=dtype) for _ in range(2))
    x, grad = (tensor.contiguous(memory_format=layout) for tensor in drawn)
    ours, theirs = x.to(device, copy=True).requires_grad_(), x.clone().requires_grad_()
    value, expected = pool(ours), F.avg_pool2d(theirs, 3, stride=1, padding=1, count_include_pad=False)
    torch.testing.assert_close(value.cpu(), expected)
    value.backward(grad.to(device))
    expected.backward(grad)
    assert ours.grad is not None
    torch.testing.assert_close(ours.grad.cpu(), theirs.grad)
    torch.testing.assert_close(pool_backward(grad.to(device)).cpu(), theirs.grad)


def test_no_network_uses_padded_pooling_of_torch() -> None:
    home = Path(nasbench_eval.__file__).parent
    files = [path for path in home.rglob("*.py") if path.name != "pooling.py"]
    used = [line for path in files for line in path.read_text().splitlines() if "avg_pool2d" in line]
    assert used
    assert all("F.avg_pool2d(x, 2)" in line for line in used), used
