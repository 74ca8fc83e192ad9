"""DARTS: the second-order gradient."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from weight_sharing import make

from nasbench_eval.methods.weight_sharing import gradients
from nasbench_eval.methods.weight_sharing.darts import Logits, Loss, central_difference, unrolled_gradient
from nasbench_eval.methods.weight_sharing.lambda_darts import alignment_gradient
from nasbench_eval.methods.weight_sharing.passes import Passes
from nasbench_eval.utils.rng import Streams


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


@pytest.mark.parametrize("name", ["darts_2nd", "idarts"])
def test_without_a_step_of_the_weights_second_orders_are_the_first_order_on_the_architecture_batch(name: str) -> None:
    method = make(name, train_images=64)
    train_batch, batch, *_ = method._batches(method.train, "weights batches")
    logits = method.architecture.distribution.logits
    loss = F.cross_entropy(method.supernet(batch[0], *method.architecture.sample()), batch[1])
    [expected] = torch.autograd.grad(loss, [logits])
    method.optimizer.param_groups[0]["lr"] = 0.0
    method.architecture.zero_grad()
    passes = Passes(method.supernet)
    gradients.backward(
        method.architecture, method.supernet, method.optimizer, method.settings, passes, batch, train_batch
    )
    assert torch.allclose(logits.grad, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


@pytest.mark.parametrize(("name", "rule"), [("darts_2nd", "unrolled_gradient"), ("idarts", "implicit_gradient")])
def test_second_orders_train_on_the_batch_of_the_weights_step(
    name: str, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []

    def losses(train_loss: Loss, valid_loss: Loss, weights: Any, architecture: Any, *_: Any) -> list[torch.Tensor]:
        seen.extend([train_loss().item(), valid_loss().item()])
        return [torch.zeros_like(parameter) for parameter in architecture]

    monkeypatch.setattr(gradients, rule, losses)
    method = make(name, train_images=64)
    train_batch, batch, *_ = method._batches(method.train, "weights batches")
    weights = method.architecture.sample()
    expected = [
        F.cross_entropy(method.supernet(images, *weights), labels).item() for images, labels in (train_batch, batch)
    ]
    passes = Passes(method.supernet)
    gradients.backward(
        method.architecture, method.supernet, method.optimizer, method.settings, passes, batch, train_batch
    )
    assert seen == pytest.approx(expected, rel=1e-4)
    assert abs(expected[0] - expected[1]) > 1e-3


def test_the_central_difference_of_the_second_order_is_as_wide_as_in_the_released_code() -> None:
    """Train loss a sin(w), valid loss w^2 / 2 + a, whose gradient in w is w: the weights move 0.01 to each side."""
    lr = 0.1
    w = torch.tensor([2.0], dtype=torch.float64, requires_grad=True)
    a = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    found = unrolled_gradient(
        lambda: (a * w.sin()).sum(), lambda: (w**2 / 2).sum() + a.sum(), [w], [a], torch.optim.SGD([w], lr)
    )
    after = 2.0 - lr * 0.5 * math.cos(2.0)
    product = after * (math.sin(2.01) - math.sin(1.99)) / 0.02
    assert found[0].item() == pytest.approx(1 - lr * product, rel=1e-9)


def test_adam_has_the_settings_of_the_architecture() -> None:
    changes = {"arch_lr": 0.02, "arch_beta1": 0.4, "arch_beta2": 0.99, "arch_eps": 1e-4, "arch_weight_decay": 0.03}
    optimizer = make("darts", **changes).arch_optimizer
    assert isinstance(optimizer, torch.optim.Adam)
    [group] = optimizer.param_groups
    assert [group[key] for key in ("lr", "betas", "eps", "weight_decay")] == [0.02, (0.4, 0.99), 1e-4, 0.03]


def test_logits_start_as_near_to_zero_as_in_the_released_code() -> None:
    logits = Logits(tuple(range(5)), Streams(5).torch("test"), edge_normalisation=True)
    for values in (logits.logits, logits.edge_logits):
        assert 0.3e-3 < float(values.detach().std()) < 3e-3
