"""Lambda-DARTS: Lambda and its derivative in the weights, against exact ones of the plain supernet."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from network_inputs import GEN, batch
from plain_copy import both, pairs
from weight_sharing import make, shown

from nasbench_eval.methods.weight_sharing.base import EdgeWeights
from nasbench_eval.methods.weight_sharing.gradients import add_alignment, of_each_cell
from nasbench_eval.networks.supernet import ALL_OPS


def test_the_weights_gradients_equal_those_of_the_loss_minus_lambda_in_the_plain_supernet() -> None:
    fused, plain = both(channels=2, cells=1)
    images, labels = batch()
    strength = 0.25
    shared = EdgeWeights(torch.randn(6, 5, generator=GEN.torch("logits")).double().softmax(-1), ALL_OPS)
    for parameter in fused.parameters():
        parameter.grad = torch.zeros_like(parameter)
    weights = of_each_cell(shared, fused.cells)
    F.cross_entropy(fused(images, *weights), labels).backward()
    plainly = {name: p.grad.clone() for name, p in fused.named_parameters()}
    add_alignment(fused, weights, (images, labels), strength)

    values = shared.values.expand(3, 6, 5).clone().requires_grad_()
    loss = F.cross_entropy(plain(images, values), labels)
    [of_cells] = torch.autograd.grad(loss, values, create_graph=True)
    cosines = [F.cosine_similarity(a.flatten(), b.flatten(), dim=0) for a, b in itertools.combinations(of_cells, 2)]
    (-strength * torch.stack(cosines).mean()).backward()
    expected = largest = 0.0
    named = {id(parameter): name for name, parameter in fused.named_parameters()}
    for where, ours, theirs, rows in pairs(fused, plain):
        if id(ours) in named and theirs.grad is not None:
            added = ours.grad - plainly[named[id(ours)]]
            added = added if rows is None else added[rows]
            assert torch.allclose(added, theirs.grad, rtol=1e-3, atol=1e-7), where
            expected, largest = max(expected, float(theirs.grad.abs().max())), max(largest, float(added.abs().max()))
    assert expected > 1e-3 < largest


def test_one_set_of_edge_weights_and_equal_ones_of_each_cell_are_the_same_network() -> None:
    fused, _ = both(channels=2)
    images, _ = batch()
    values = torch.randn(6, 5, generator=GEN.torch("logits")).double().softmax(-1)
    each = of_each_cell(EdgeWeights(values, ALL_OPS), fused.cells)
    assert fused.cells == 6
    assert torch.equal(fused(images, values), fused(images, *each))


def test_the_weight_of_lambda_rises_from_zero() -> None:
    plain, aligned = shown("lambda_darts", 2, alignment=0.0), shown("lambda_darts", 2, alignment=50.0)
    assert plain[0][1]["train_loss"] == aligned[0][1]["train_loss"]
    assert plain[1][1]["train_loss"] != aligned[1][1]["train_loss"]
    assert make("lambda_darts").settings.alignment == 0.25
