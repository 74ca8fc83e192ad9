"""The gradients that the settings ask for in the two steps; the rules themselves are in their papers' files."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from nasbench_eval.methods.weight_sharing.base import ArchParameters, EdgeWeights
from nasbench_eval.methods.weight_sharing.darts import Loss, unrolled_gradient
from nasbench_eval.methods.weight_sharing.idarts import implicit_gradient
from nasbench_eval.methods.weight_sharing.lambda_darts import alignment_gradient
from nasbench_eval.methods.weight_sharing.parts import PENALTIES
from nasbench_eval.methods.weight_sharing.robust_darts import largest_eigenvalue
from nasbench_eval.networks.supernet import Supernet

if TYPE_CHECKING:
    from nasbench_eval.methods.weight_sharing.settings import WeightSharingSettings


def backward(
    architecture: ArchParameters,
    supernet: Supernet,
    optimizer: torch.optim.Optimizer,
    settings: WeightSharingSettings,
    *,
    train_loss: Loss,
    valid_loss: Loss,
) -> None:
    """Leave the gradient of the valid loss in the parameters of the architecture.

    Args:
        architecture: The architecture, with gradients of zero.
        supernet: The network.
        optimizer: The optimiser of the weights.
        settings: The settings of the search.
        train_loss: Computes the loss on the batch of the weights step.
        valid_loss: Computes the loss on the batch of the architecture step.
    """
    parameters, weights = list(architecture.parameters()), list(supernet.parameters())
    if settings.unrolled:
        gradients = unrolled_gradient(train_loss, valid_loss, weights, parameters, optimizer)
    elif settings.neumann_terms is not None:
        rate = optimizer.param_groups[0]["lr"]
        gradients = implicit_gradient(train_loss, valid_loss, weights, parameters, rate, settings.neumann_terms)
    else:
        supernet.requires_grad_(False)
        valid_loss().backward()  # type: ignore[no-untyped-call]
        supernet.requires_grad_(True)
        gradients = []
    for parameter, gradient in zip(parameters, gradients, strict=False):
        parameter.grad = gradient


def add_penalties(architecture: ArchParameters, settings: WeightSharingSettings, progress: float) -> None:
    """Add the gradients of what the architecture's loss has beside the loss of a batch.

    Args:
        architecture: The architecture, with the gradient of the loss.
        settings: The settings of the search.
        progress: The part of the search that is over, from 0 to 1.
    """
    if settings.arch_entropy_weight:
        p = architecture.probabilities()
        assert p is not None
        # The KL divergence of the edges' distributions from the uniform one, up to a constant.
        (-settings.arch_entropy_weight * torch.special.entr(p).sum()).backward()
    penalty = PENALTIES[settings.arch_penalty]
    if penalty is not None:
        penalty(architecture, settings.arch_penalty_weight, progress).backward()  # type: ignore[no-untyped-call]


def of_each_cell(weights: EdgeWeights, cells: int) -> EdgeWeights:
    """Give each cell edge weights of its own, equal in value, whose gradients are kept apart."""
    values = weights.values.expand(cells, -1, -1).clone()
    if not values.requires_grad:
        values.requires_grad_()
    values.retain_grad()
    return weights._replace(values=values)


def add_alignment(supernet: Supernet, weights: EdgeWeights, batch: tuple[Tensor, Tensor], strength: float) -> None:
    """Add ``strength`` times the derivative of -Lambda (Lambda-DARTS) to the gradients of the supernet's weights.

    Args:
        supernet: The network, after the backward pass of the loss.
        weights: The edge weights of each cell, with their gradients.
        batch: The batch of that loss.
        strength: The weight of Lambda.
    """
    images, labels = batch
    assert weights.values.grad is not None

    def loss(values: Tensor) -> Tensor:
        return F.cross_entropy(supernet(images, *weights._replace(values=values)), labels)

    parameters = list(supernet.parameters())
    found = alignment_gradient(weights.values.grad, weights.values.detach(), loss, parameters)
    for parameter, gradient in zip(parameters, found, strict=True):
        assert parameter.grad is not None
        parameter.grad.add_(gradient, alpha=strength)


def eigenvalue(
    architecture: ArchParameters, supernet: Supernet, settings: WeightSharingSettings, batch: tuple[Tensor, Tensor]
) -> float:
    """Return the largest eigenvalue of the loss's Hessian in the architecture (RobustDARTS), weight decay included.

    It is taken with BatchNorm's statistics of the batch, on copies of double precision: narrow differences need it, and
    the running statistics of the network itself stay as they are.
    """
    images, labels = batch[0].double(), batch[1]
    network = copy.deepcopy(supernet).double().train().requires_grad_(False)
    twin = copy.deepcopy(architecture).double()
    parameters = list(twin.parameters())
    decay = settings.arch_weight_decay if settings.arch_optimizer == "adam" else 0.0

    def gradient() -> list[Tensor]:
        loss = F.cross_entropy(network(images, *twin.architecture_sample()), labels)
        found = torch.autograd.grad(loss, parameters)
        return [g + decay * p.detach() for g, p in zip(found, parameters, strict=True)]

    return largest_eigenvalue(gradient, parameters)
