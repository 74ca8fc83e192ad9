"""SmoothDARTS: the moved operation weights, against the attack written out with the plain supernet."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from network_inputs import batch
from plain_copy import both
from weight_sharing import make

from nasbench_eval.methods.weight_sharing.sdarts import ascended, projected

CPU = torch.device("cpu")


def test_the_projection_clamps_and_normalises_and_keeps_the_largest_of_a_row_of_zeros() -> None:
    values = torch.tensor([[0.5, -0.2, 1.5], [-0.3, -0.1, -0.2], [0.2, 0.3, 0.5]])
    assert torch.allclose(projected(values), torch.tensor([[1 / 3, 0, 2 / 3], [0, 1.0, 0], [0.2, 0.3, 0.5]]))


def test_random_smoothing_moves_by_at_most_epsilon_which_rises_linearly_from_the_released_start() -> None:
    architecture = make("sdarts_rs", epochs=4).architecture
    seen = []
    for epoch in range(4):
        architecture.begin_epoch(epoch, 1, torch.Generator().manual_seed(epoch), CPU)
        seen.append(architecture.radius)
        noise = torch.rand(1, 6, 5, generator=torch.Generator().manual_seed(epoch))[0] * 2 - 1
        moved = (architecture.probabilities().detach() + seen[-1] * noise).clamp(0, 1)
        [weights] = architecture.weights_samples(None)
        assert torch.allclose(weights.values, moved / moved.sum(-1, keepdim=True))
        assert not weights.values.requires_grad, "the weights step leaves the architecture alone"
    assert seen == pytest.approx([0.03, 0.0975, 0.165, 0.2325])
    architecture.begin_epoch(5, 1, torch.Generator(), CPU)  # as when a perturbation selects after the search
    assert architecture.radius == pytest.approx(0.3)
    assert torch.equal(architecture.sample().values, architecture.probabilities())


def test_the_adversarial_edge_weights_equal_an_attack_on_the_plain_supernet() -> None:
    fused, plain = both(channels=2, cells=1)
    images, labels = batch()
    fused.eval()
    plain.eval()
    p = torch.full((6, 5), 0.2).double()
    start = projected(p + 0.1 * torch.rand(6, 5, generator=torch.Generator().manual_seed(0)).double())
    found = ascended(p, start, lambda values: F.cross_entropy(fused(images, values), labels), 0.1, 3)
    moved = start.clone()
    for _ in range(3):
        moved.requires_grad_()
        [gradient] = torch.autograd.grad(F.cross_entropy(plain(images, moved), labels), moved)
        moved = p + (moved.detach() + 2 * 0.1 / 3 * gradient.sign() - p).clamp(-0.1, 0.1)
        moved = moved.clamp(0, 1) / moved.clamp(0, 1).sum(-1, keepdim=True)
    assert torch.allclose(found, moved, atol=1e-9)
    assert F.cross_entropy(plain(images, found), labels) > F.cross_entropy(plain(images, p), labels)
    # Where every move lowers the loss, none is made.
    assert torch.equal(ascended(p, start, lambda values: -(values - p).abs().sum(), 0.1, 1), p)


def test_the_attack_leaves_no_trace_in_the_supernet() -> None:
    method = make("sdarts_adv")
    images = next(method._batches(method.train, "weights batches"))
    before = {name: value.clone() for name, value in method.supernet.state_dict().items()}
    iteration = method.iteration()
    method.architecture.begin_epoch(1, 1, torch.Generator().manual_seed(0), CPU)
    [moved] = method.architecture.weights_samples(lambda weights: iteration._loss_in_evaluation(images, weights))
    assert not torch.equal(moved.values, method.architecture.probabilities())
    assert all(torch.equal(value, before[name]) for name, value in method.supernet.state_dict().items())
    assert method.supernet.training
    assert all(parameter.requires_grad and not parameter.grad.any() for parameter in method.supernet.parameters())
    assert not any(
        parameter.grad is not None and parameter.grad.any() for parameter in method.architecture.parameters()
    )
