"""iDARTS: the implicit gradient, against exact second derivatives of the plain supernet."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from network_inputs import GEN, batch, difference
from plain_copy import both, pairs
from weight_sharing import make

from nasbench_eval.errors import UsageError
from nasbench_eval.methods.weight_sharing.idarts import implicit_gradient


@pytest.mark.parametrize("terms", [0, 2])
def test_implicit_gradient_in_closed_form(terms: int) -> None:
    """Train loss h w^2 / 2 - a w, valid loss w^2 / 2 + a: the series is w * sum (1 - lr h)^k."""
    lr, h = 0.1, 3.0
    w = torch.tensor([2.0], dtype=torch.float64, requires_grad=True)
    a = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    found = implicit_gradient(
        lambda: (h * w**2 / 2 - a * w).sum(), lambda: (w**2 / 2).sum() + a.sum(), [w], [a], lr, terms
    )
    series = 2.0 * sum((1 - lr * h) ** k for k in range(terms + 1))
    assert found[0].item() == pytest.approx(1 + lr * series, rel=1e-9)
    assert w.item() == 2.0


def test_the_gradient_equals_exact_products_with_the_plain_supernet() -> None:
    fused, plain = both(channels=2, cells=1)
    (images, labels), (valid_images, valid_labels) = batch(8), batch(5)
    logits = torch.randn(6, 5, generator=GEN.torch("logits")).double()
    lr, terms = 1e-3, 2
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    [found] = implicit_gradient(
        lambda: F.cross_entropy(fused(images, ours.softmax(-1)), labels),
        lambda: F.cross_entropy(fused(valid_images, ours.softmax(-1)), valid_labels),
        list(fused.parameters()), [ours], lr, terms,
    )  # fmt: skip
    weights = list(plain.parameters())
    valid = F.cross_entropy(plain(valid_images, theirs.softmax(-1)), valid_labels)
    direct, *v = torch.autograd.grad(valid, [theirs, *weights])
    train = F.cross_entropy(plain(images, theirs.softmax(-1)), labels)
    gradients = torch.autograd.grad(train, weights, create_graph=True)
    total = [part.clone() for part in v]
    for _ in range(terms):
        products = torch.autograd.grad(gradients, weights, v, retain_graph=True)
        v = [part - lr * product for part, product in zip(v, products, strict=True)]
        total = [a + b for a, b in zip(total, v, strict=True)]
    [mixed] = torch.autograd.grad(gradients, theirs, total)
    assert difference(lr * mixed, direct) > 1e-3, "the second term must matter for the test to mean anything"
    assert difference(found - direct, -lr * mixed) < 1e-6
    for where, a, b, rows in pairs(fused, plain):
        if where.endswith(("weight", "bias")):
            assert torch.equal(a if rows is None else a[rows], b), where


def test_the_architecture_takes_one_step_for_several_of_the_weights() -> None:
    method = make("idarts", train_images=96, arch_interval=2)
    pairs_of_batches = list(method._batch_pairs())
    assert [arch is not None for _, arch in pairs_of_batches] == [False, True] * 3
    for changes in (
        {"unrolled": True},
        {"neumann_terms": 1, "arch_optimizer": "none", "parametrisation": "uniform"},
        {"parametrisation": "gumbel"},
    ):
        with pytest.raises(UsageError, match=r"set only one|needs an architecture step|not drawn at random"):
            make("idarts", **changes)
