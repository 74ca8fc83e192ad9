"""DARTS: the second-order gradient."""

from __future__ import annotations

import pytest
import torch

from nasbench_eval.methods.weight_sharing.darts import central_difference, unrolled_gradient
from nasbench_eval.methods.weight_sharing.lambda_darts import alignment_gradient


def test_second_order_gradient_in_closed_form() -> None:
    """Train loss (w - a)^2 / 2, valid loss w^2 / 2 + a: one step gives w - lr (w - a + decay w + momentum m)."""
    lr, decay, momentum = 0.1, 0.01, 0.9
    w = torch.tensor([2.0], dtype=torch.float64, requires_grad=True)
    a = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    sgd = torch.optim.SGD([w], lr, momentum, weight_decay=decay)
    w.grad = torch.tensor([0.3], dtype=torch.float64)
    sgd.step()  # leaves a momentum buffer behind
    buffer, start = sgd.state[w]["momentum_buffer"].clone(), w.detach().clone()
    found = unrolled_gradient(lambda: ((w - a) ** 2 / 2).sum(), lambda: (w**2 / 2).sum() + a.sum(), [w], [a], sgd)
    after = start - lr * (start - a.detach() + decay * start + momentum * buffer)
    # d valid / d a = direct 1, and through w': w' * dw'/da = w' * lr.
    assert found[0].item() == pytest.approx((1 + after * lr).item(), rel=1e-9)
    assert torch.equal(w.detach(), start)


def test_narrow_differences_are_not_rounded_to_tf32() -> None:
    seen = []

    def gradient() -> list[torch.Tensor]:
        seen.append(torch.backends.cudnn.allow_tf32)
        return [torch.zeros(1)]

    central_difference(gradient, [torch.zeros(1)], [torch.ones(1)], 1e-3)
    assert seen == [False, False]
    assert torch.backends.cudnn.allow_tf32, "the rest of the search is as torch's default"

    def loss(values: torch.Tensor) -> torch.Tensor:
        seen.append(torch.backends.cudnn.allow_tf32)
        return values.sum() * weight

    weight = torch.ones((), requires_grad=True)
    alignment_gradient(torch.eye(30)[:2].view(2, 6, 5), torch.ones(2, 6, 5), loss, [weight])
    assert seen == [False] * 4
