"""The gradients that the settings ask for in the two steps; the rules themselves are in their papers' files."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from nasbench_eval.methods.weight_sharing.base import ArchParameters, EdgeWeights
from nasbench_eval.methods.weight_sharing.batches import Batch
from nasbench_eval.methods.weight_sharing.darts import unrolled_gradient
from nasbench_eval.methods.weight_sharing.idarts import implicit_gradient
from nasbench_eval.methods.weight_sharing.lambda_darts import alignment_gradient
from nasbench_eval.methods.weight_sharing.parts import PENALTIES
from nasbench_eval.methods.weight_sharing.passes import Passes
from nasbench_eval.methods.weight_sharing.robust_darts import largest_eigenvalue
from nasbench_eval.networks.supernet import Supernet

if TYPE_CHECKING:
    from nasbench_eval.methods.weight_sharing.settings import WeightSharingSettings


def backward(
    architecture: ArchParameters,
    supernet: Supernet,
    optimizer: torch.optim.Optimizer,
    settings: WeightSharingSettings,
    passes: Passes,
    batch: Batch,
    train_batch: Batch,
) -> None:
    """Leave the gradient of the loss on ``batch`` in the parameters of the architecture.

    Args:
        architecture: The architecture, with gradients of zero.
        supernet: The network.
        optimizer: The optimiser of the weights.
        settings: The settings of the search.
        passes: The forward and backward passes of the network.
        batch: The batch of the architecture step.
        train_batch: The batch of the weights step, which second orders also need.
    """
    if settings.neumann_terms is not None:
        # Narrow differences need double precision.
        network, twin = copy.deepcopy(supernet).double(), copy.deepcopy(architecture).double()
        train, valid = ((images.double(), labels) for images, labels in (train_batch, batch))
        gradients = implicit_gradient(
            lambda: _loss(network, train, twin.sample()),
            lambda: _loss(network, valid, twin.architecture_sample()),
            list(network.parameters()),
            list(twin.parameters()),
            optimizer.param_groups[0]["lr"],
            settings.neumann_terms,
        )
    elif settings.unrolled:
        gradients = unrolled_gradient(
            lambda: _loss(supernet, train_batch, architecture.sample()),
            lambda: _loss(supernet, batch, architecture.architecture_sample()),
            list(supernet.parameters()),
            list(architecture.parameters()),
            optimizer,
        )
    else:
        passes(batch, architecture.architecture_sample(), train=False)
        return
    for parameter, gradient in zip(architecture.parameters(), gradients, strict=True):
        parameter.grad = gradient.to(parameter.dtype)


def _loss(supernet: Supernet, batch: Batch, weights: EdgeWeights) -> Tensor:
    return F.cross_entropy(supernet(batch[0], *weights), batch[1])


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
    """Give each cell operation weights of its own, equal in value, whose gradients are kept apart."""
    values = weights.values.expand(cells, -1, -1).clone()
    if not values.requires_grad:
        values.requires_grad_()
    values.retain_grad()
    return weights._replace(values=values)


def add_alignment(supernet: Supernet, weights: EdgeWeights, batch: Batch, strength: float) -> None:
    """Add ``strength`` times the derivative of -Lambda (Lambda-DARTS) to the gradients of the supernet's weights.

    Args:
        supernet: The network, after the backward pass of the loss.
        weights: The operation weights of each cell, with their gradients.
        batch: The batch of that loss.
        strength: The weight of Lambda.
    """
    assert weights.values.grad is not None
    parameters = list(supernet.parameters())
    found = alignment_gradient(
        weights.values.grad,
        weights.values.detach(),
        lambda values: _loss(supernet, batch, weights._replace(values=values)),
        parameters,
    )
    for parameter, gradient in zip(parameters, found, strict=True):
        assert parameter.grad is not None
        parameter.grad.add_(gradient, alpha=strength)


def eigenvalue(
    architecture: ArchParameters, supernet: Supernet, settings: WeightSharingSettings, batch: Batch
) -> float:
    """Return the largest eigenvalue of the loss's Hessian in the architecture (RobustDARTS), weight decay included.

    It is taken with BatchNorm's statistics of the batch, on copies of double precision: narrow differences need it, and
    the running statistics of the network itself stay as they are.
    """
    doubled = batch[0].double(), batch[1]
    network = copy.deepcopy(supernet).double().train().requires_grad_(False)
    twin = copy.deepcopy(architecture).double()
    parameters = list(twin.parameters())
    decay = settings.arch_weight_decay if settings.arch_optimizer == "adam" else 0.0

    def gradient() -> list[Tensor]:
        found = torch.autograd.grad(_loss(network, doubled, twin.architecture_sample()), parameters)
        return [g + decay * p.detach() for g, p in zip(found, parameters, strict=True)]

    return largest_eigenvalue(gradient, parameters)
