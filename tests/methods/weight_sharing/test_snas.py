"""SNAS: draws from the concrete distribution."""

from __future__ import annotations

import pytest
import torch
from weight_sharing import make

from nasbench_eval.methods.weight_sharing.snas import Concrete


def test_a_draw_is_the_softmax_of_noisy_log_probabilities_and_passes_its_gradient_on() -> None:
    architecture = make("snas").architecture
    assert isinstance(architecture, Concrete)
    logits = architecture.distribution.logits
    with torch.no_grad():
        logits.copy_(torch.linspace(-1, 1, 30).view(6, 5))
    architecture.begin_epoch(1, 1, torch.Generator().manual_seed(3), torch.device("cpu"))
    # The temperature falls from 10 to 1 over three epochs.
    assert architecture.tau == pytest.approx(5.5)
    uniform = torch.rand(1, 6, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)[0]
    noisy = (logits.double() - torch.log(-torch.log(uniform))) / 5.5
    expected = noisy.exp() / noisy.exp().sum(-1, keepdim=True)
    drawn = architecture.sample()
    assert torch.allclose(drawn.values.double(), expected, atol=1e-6)
    assert all(ops == (1, 2, 3, 4) for ops in drawn.active)
    ours, theirs = (torch.autograd.grad((v * v).sum(), logits)[0] for v in (drawn.values, expected))
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_at_a_low_temperature_draws_are_one_hot_with_the_softmax_probabilities() -> None:
    architecture = make("snas", tau_max=0.01, tau_min=0.01).architecture
    with torch.no_grad():
        architecture.distribution.logits.copy_(torch.tensor([0.0, 1.0, 2.0, -1.0, 0.5]).expand(6, 5))
    n = 2000
    architecture.begin_epoch(0, n, torch.Generator().manual_seed(0), torch.device("cpu"))
    drawn = torch.stack([architecture.sample().values.detach() for _ in range(n)])
    assert drawn.max(-1).values.mean() > 0.99
    # 12,000 draws: the largest standard error is 0.0046.
    assert torch.allclose(drawn.mean((0, 1)), architecture.probabilities()[0].detach(), atol=0.018)
