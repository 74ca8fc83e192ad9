"""FairDARTS: independent weights, drawn to zero or one."""

from __future__ import annotations

import pytest
import torch
from weight_sharing import make

from nasbench_eval.errors import UsageError
from nasbench_eval.methods.weight_sharing.fair_darts import zero_one


def test_a_batch_evaluates_the_sigmoids_and_the_largest_makes_the_cell() -> None:
    architecture = make("fair_darts").architecture
    logits = architecture.distribution.logits
    assert torch.equal(logits, torch.zeros(6, 4)), "none would have no gradient, and be a threshold for the others"
    with torch.no_grad():
        logits.copy_(torch.linspace(-2, 2, 24).view(6, 4).flip(1))
    assert torch.allclose(architecture.sample().values[:, 1:], 1 / (1 + torch.exp(-logits)))
    assert architecture.cell().ops == (1,) * 6
    assert torch.allclose(architecture.probabilities().sum(-1), torch.ones(6))


def test_the_zero_one_loss_pushes_each_weight_away_from_a_half() -> None:
    architecture = make("fair_darts").architecture
    logits = architecture.distribution.logits
    with torch.no_grad():
        logits.copy_(torch.linspace(-1, 1, 24).view(6, 4))
    zero_one(architecture, 10.0, 0.3).backward()
    s = logits.detach().sigmoid()
    # d/da of -10 mean((s - 0.5)^2): -10 * 2 (s - 0.5) s (1 - s) / 24
    assert torch.allclose(logits.grad, -20 * (s - 0.5) * s * (1 - s) / 24, atol=1e-7)


def test_the_zero_one_loss_is_for_sigmoids_alone() -> None:
    with pytest.raises(UsageError, match="needs parametrisation=sigmoid"):
        make("darts", arch_penalty="zero_one")
    with pytest.raises(UsageError, match="do not sum to one"):
        make("fair_darts", arch_optimizer="eg")
