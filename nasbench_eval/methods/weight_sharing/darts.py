"""DARTS (Liu et al., ICLR 2019): a softmax mixture of all operations, trained on two levels.

Algorithm 1 of the paper, and the code of each line:

- Create the mixture: every edge outputs the sum of all candidate operations, weighted by the softmax of its logits
  (equation 2). :class:`Logits` holds the logits; :class:`Mixture` hands their softmax to the supernet.
- Until the last epoch, for every batch:

  1. Update the logits by descending the valid loss: ``Iteration.architecture_step``, with Adam (:func:`adam`). The
     first order takes the gradient at the current weights. The second order takes it after one step of the weights
     (equations 6 to 8): :func:`unrolled_gradient`.
  2. Update the weights by descending the train loss: ``Iteration.weights_step``.

- Keep the most probable operation of every edge: ``ArchParameters.cell``.

The two levels (equations 3 and 4) are the train part for the weights and the valid part for the logits:
:func:`bilevel`. The initial logits, Adam's settings and the order of the two steps follow NAS-Bench-201's
``DARTS-V1.py`` (first order, weights first) and ``DARTS-V2.py`` (second order). There the argmax includes ``none``.

PC-DARTS (Xu et al., ICLR 2020) adds two parts: weights of the edges that enter a node (section 3.3), which
:class:`Logits` and ``gaea.Simplex`` hold, and partial channel connections, which are in ``networks/partial_cell.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn

from nasbench_eval.cell import INCOMING, N_EDGES, NODES
from nasbench_eval.images import ImageData, Images
from nasbench_eval.methods.weight_sharing.base import ArchParameters, Distribution, EdgeWeights, Roles
from nasbench_eval.utils.rng import Streams

if TYPE_CHECKING:
    from nasbench_eval.methods.weight_sharing.settings import WeightSharingSettings


Loss = Callable[[], Tensor]
"""Computes a loss at the current parameters."""


@final
class Logits(Distribution):
    """The softmax of logits, which are drawn from 1e-3 * N(0, 1) at the start, as in NAS-Bench-201's code."""

    def __init__(self, ops: tuple[int, ...], generator: torch.Generator, *, edge_normalisation: bool = False) -> None:
        super().__init__(ops, edge_normalisation=edge_normalisation)
        self.logits = nn.Parameter(1e-3 * torch.randn(N_EDGES, len(ops), generator=generator))
        if edge_normalisation:
            self.edge_logits = nn.Parameter(1e-3 * torch.randn(N_EDGES, generator=generator))

    def probabilities(self) -> Tensor:
        """Return the softmax of each row, (6, len(ops))."""
        return self.logits.softmax(-1)

    def edge_weights(self) -> Tensor | None:
        """Return the softmax over the edges that enter each node, (6,); None without edge normalisation."""
        if not self.edge_normalisation:
            return None
        parts = torch.split(self.edge_logits, [len(INCOMING[node]) for node in range(1, NODES)])
        return torch.cat([part.softmax(0) for part in parts])


class Mixture(ArchParameters):
    """Every batch evaluates all operations, weighted by their probabilities (equation 2)."""

    def __init__(self, distribution: Distribution) -> None:
        super().__init__(distribution.ops, distribution)
        self._learned = distribution

    def sample(self) -> EdgeWeights:
        """Return the probabilities as operation weights; nothing is drawn."""
        return self._mixture(self._learned.probabilities())


def bilevel(train: Images, valid: Images, data: ImageData, settings: WeightSharingSettings) -> Roles:
    """Return the images of the two levels: the train part for the weights, the valid part for the architecture.

    With ``bilevel_images = training_set_halves`` these are the two halves of the official training set. On CIFAR-10 the
    train and valid parts are just that; elsewhere the train part is halved, and the valid part only observes.
    """
    if settings.bilevel_images == "training_set_halves" and not data.valid_is_training_data:
        order = torch.randperm(len(train), generator=Streams(0).torch("training set halves"))
        first, second = (train.subset(half.sort().values) for half in order.tensor_split(2))
        words = f"weights on {len(first):,} and architecture on the other {len(second):,} train images"
        return Roles(first, second, True, words)
    words = f"weights on {len(train):,} train images, architecture on {len(valid):,} valid images"
    return Roles(train, valid, True, words)


def adam(parameters: Sequence[Tensor], settings: WeightSharingSettings, steps: int) -> torch.optim.Optimizer:
    """Return Adam over the architecture parameters, with weight decay (NAS-Bench-201's ``DARTS-V1.py``)."""
    assert settings.arch_lr is not None
    return torch.optim.Adam(
        parameters,
        lr=settings.arch_lr,
        betas=(settings.arch_beta1, settings.arch_beta2),
        eps=settings.arch_eps,
        weight_decay=settings.arch_weight_decay,
    )


def unrolled_gradient(
    train_loss: Loss,
    valid_loss: Loss,
    weights: Sequence[Tensor],
    architecture: Sequence[Tensor],
    optimizer: torch.optim.Optimizer,
) -> list[Tensor]:
    """Return the architecture gradients of the valid loss after one more step of the weights (equations 6 to 8).

    As in NAS-Bench-201's ``DARTS-V2.py``, the step includes momentum and weight decay, and the Hessian-vector product
    is a central difference of width 0.01 / norm. The weights are restored.

    Args:
        train_loss: Computes the loss on the batch of the weights step, at the current weights and architecture.
        valid_loss: Computes the loss on the batch of the architecture step.
        weights: The parameters of the network.
        architecture: The architecture parameters.
        optimizer: The SGD of the weights; its first group gives learning rate, momentum and weight decay.

    Returns:
        One gradient per architecture parameter, of the same shape.
    """
    group = optimizer.param_groups[0]
    lr = group["lr"]
    here = [w.detach().clone() for w in weights]
    # The step of the weights: w' = w - lr * grad_w train_loss(w, a).
    gradients = torch.autograd.grad(train_loss(), weights, allow_unused=True)
    with torch.no_grad():
        for w, gradient in zip(weights, gradients, strict=True):
            step = group["weight_decay"] * w
            if gradient is not None:
                step = step + gradient
            momentum = optimizer.state[w].get("momentum_buffer") if w in optimizer.state else None
            if momentum is not None:
                step = step + group["momentum"] * momentum
            w.sub_(lr * step)
    # Equation 7: the gradient at w' in a, and in w', the direction of the Hessian-vector product.
    both = torch.autograd.grad(valid_loss(), [*architecture, *weights], allow_unused=True)
    direct, direction = both[: len(architecture)], both[len(architecture) :]
    norm = torch.sqrt(sum((d**2).sum() for d in direction if d is not None))  # type: ignore[arg-type]
    with torch.no_grad():
        for w, start in zip(weights, here, strict=True):
            w.copy_(start)
    # Equation 8: the product as a difference of the train gradients at w + width * direction and w - width * direction.
    width = 0.01 / norm.clamp_min(1e-12)
    implicit = central_difference(lambda: torch.autograd.grad(train_loss(), architecture), weights, direction, width)
    return [d - lr * i for d, i in zip(direct, implicit, strict=True)]


def float32_convolutions() -> AbstractContextManager[None]:
    """Keep convolutions from rounding to TF32, torch's default on GPUs: narrow differences would be rounding alone."""
    cudnn = torch.backends.cudnn
    same = {"enabled": cudnn.enabled, "benchmark": cudnn.benchmark, "deterministic": cudnn.deterministic}
    context: AbstractContextManager[None] = cudnn.flags(**same, allow_tf32=False)
    return context


def central_difference(
    gradient: Callable[[], Sequence[Tensor]],
    parameters: Sequence[Tensor],
    direction: Sequence[Tensor | None],
    width: Tensor | float,
) -> list[Tensor]:
    """Return how a gradient changes along a direction: a product of the Hessian and that direction.

    Args:
        gradient: Computes the gradient at the current parameters.
        parameters: What is moved by ``width`` times the direction, forth and back; restored at the end.
        direction: One tensor per parameter; None for no change.
        width: The half width of the difference.
    """
    here = [parameter.detach().clone() for parameter in parameters]
    sides = []
    for sign in (1.0, -1.0):
        with torch.no_grad():
            for parameter, start, d in zip(parameters, here, direction, strict=True):
                parameter.copy_(start if d is None else start + sign * width * d)
        with float32_convolutions():
            sides.append(gradient())
    with torch.no_grad():
        for parameter, start in zip(parameters, here, strict=True):
            parameter.copy_(start)
        return [(up - down) / (2 * width) for up, down in zip(*sides, strict=True)]
