"""GDAS: straight-through Gumbel-softmax samples and their temperature."""

from __future__ import annotations

import pytest
import torch

from nasbench_eval.cell import N_OPS
from nasbench_eval.methods.weight_sharing.darts import Logits
from nasbench_eval.methods.weight_sharing.gdas import Gumbel
from nasbench_eval.utils.rng import Streams

ALL = tuple(range(N_OPS))
NO_NONE = (1, 2, 3, 4)
CPU = torch.device("cpu")


def generator(purpose: str = "test") -> torch.Generator:
    return Streams(5).torch(purpose)


def test_gumbel_samples_with_the_softmax_probabilities_and_passes_gradients_straight_through() -> None:
    logits = Logits(NO_NONE, generator())
    gumbel = Gumbel(logits, epochs=3, tau=(10.0, 0.1), other_weights=True)
    with torch.no_grad():
        logits.logits[:] = torch.tensor([0.0, 1.0, 2.0, -1.0])
    n = 4000
    gumbel.begin_epoch(0, n, generator(), CPU)
    counts = torch.zeros(5)
    for _ in range(n):
        values, active, offsets, _ = gumbel.sample()
        counts += values.detach().sum(0)
        assert all(len(ops) == 1 for ops in active)
    frequencies = counts[1:] / (6 * n)
    # 24,000 draws: the largest standard error is 0.0032.
    assert torch.allclose(frequencies, logits.logits[0].detach().softmax(-1), atol=0.013)
    assert torch.allclose(offsets, torch.zeros(6), atol=1e-6)
    # Straight through: the gradient of the hard weights is that of the soft ones, for operations not sampled too.
    values.sum(-1).backward(torch.arange(6.0))
    assert torch.allclose(logits.logits.grad, torch.zeros(6, 4), atol=1e-6)
    gumbel.begin_epoch(1, 1, generator(), CPU)
    values, active, _, _ = gumbel.sample()
    logits.logits.grad = None
    values[:, 1].sum().backward()
    assert (logits.logits.grad.abs().sum(-1) > 0).all()


def test_gumbel_temperature_falls_linearly_to_its_end() -> None:
    gumbel = Gumbel(Logits(ALL, generator()), epochs=5, tau=(10.0, 0.1), other_weights=False)
    seen = []
    for epoch in range(5):
        gumbel.begin_epoch(epoch, 1, generator(), CPU)
        seen.append(gumbel.tau)
    assert seen == pytest.approx([10.0, 7.525, 5.05, 2.575, 0.1])


def test_gumbel_temperature_waits_for_the_warm_up() -> None:
    gumbel = Gumbel(Logits(ALL, generator()), epochs=5, tau=(10.0, 0.1), warmup_epochs=2)
    seen = []
    for epoch in range(7):
        gumbel.begin_epoch(epoch, 1, generator(), CPU)
        seen.append(gumbel.tau)
    assert seen == pytest.approx([10.0, 10.0, 10.0, 7.525, 5.05, 2.575, 0.1])


def test_the_weights_of_operations_not_sampled_have_the_gradients_of_their_soft_ones() -> None:
    logits = Logits(ALL, generator())
    gumbel = Gumbel(logits, epochs=1, tau=(1.0, 1.0), other_weights=True)
    gumbel.begin_epoch(0, 1, generator(), CPU)
    values, _, offsets, _ = gumbel.sample()
    chosen = values.gather(-1, values.argmax(-1, keepdim=True)).squeeze(-1)
    edge = torch.arange(1.0, 7.0)
    [of_chosen] = torch.autograd.grad((edge * chosen).sum(), [logits.logits], retain_graph=True)
    [of_others] = torch.autograd.grad((edge * offsets).sum(), [logits.logits])
    # The soft weights of an edge add up to one: what the sampled one gains, all others lose.
    assert of_chosen.abs().sum(-1).min() > 1e-3
    assert torch.allclose(of_others, -of_chosen, atol=1e-6)
