"""iDARTS (Zhang et al., ICML 2021): the architecture's gradient by the implicit function theorem.

The algorithm, and the code of each line:

1. The weights descend the train loss for T steps: ``Iteration.weights_step``; setting ``arch_interval``.
2. Then the architecture takes one step along its gradient through the weights that this training leads to. The inverse
   Hessian in it is a Neumann series of K terms more than the first, with the learning rate gamma::

       grad_a valid - gamma * (d2 train / da dw) * sum_{k=0}^{K} (I - gamma * d2 train / dw2)^k * grad_w valid

   on one batch each of the train and of the valid images: :func:`implicit_gradient`.

The products with second derivatives are central differences of gradients, as in second-order DARTS, but in double
precision and so narrow that they are exact: a wide one also sees the kinks of ReLU, and with several terms these would
outweigh the rest.

The released notebook ``NAS_Bench201_codes/exps/algos/iDARTS_V2.ipynb`` has T = 4 and K = 2. It differs from
the algorithm: the optimiser of its T steps holds copies of the weights that get no gradient, so these steps move
nothing, and the supernet itself only moves by a remainder of the difference, "noise" in its words. Here the supernet
trains.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nasbench_eval.methods.weight_sharing.darts import Loss, central_difference

WIDTH = 1e-6
"""How far a difference moves all weights together, for double precision."""


def implicit_gradient(
    train_loss: Loss,
    valid_loss: Loss,
    weights: Sequence[Tensor],
    architecture: Sequence[Tensor],
    lr: float,
    terms: int,
) -> list[Tensor]:
    """Return the architecture's gradient of the valid loss through the trained weights.

    Args:
        train_loss: Computes the loss on a train batch, at the current weights and architecture.
        valid_loss: Computes the loss on a valid batch.
        weights: The parameters of the network; unchanged at the end.
        architecture: The architecture parameters.
        lr: Gamma, the learning rate of the weights.
        terms: K.

    Returns:
        One gradient per architecture parameter, of the same shape.
    """
    both = torch.autograd.grad(valid_loss(), [*architecture, *weights], allow_unused=True)
    direct = [torch.zeros_like(a) if d is None else d for a, d in zip(architecture, both, strict=False)]
    term = [torch.zeros_like(w) if d is None else d for w, d in zip(weights, both[len(architecture) :], strict=True)]
    total = list(term)
    for _ in range(terms):
        product = _derivative(train_loss, weights, weights, term)
        term = [t - lr * p for t, p in zip(term, product, strict=True)]
        total = [s + t for s, t in zip(total, term, strict=True)]
    implicit = _derivative(train_loss, architecture, weights, total)
    return [d - lr * i for d, i in zip(direct, implicit, strict=True)]


def _derivative(loss: Loss, of: Sequence[Tensor], weights: Sequence[Tensor], along: Sequence[Tensor]) -> list[Tensor]:
    """Return the derivative of the loss's gradient in ``of``, along a direction of the weights."""

    def gradient() -> list[Tensor]:
        found = torch.autograd.grad(loss(), of, allow_unused=True)
        return [torch.zeros_like(p) if g is None else g for p, g in zip(of, found, strict=True)]

    norm = torch.sqrt(torch.stack([d.square().sum() for d in along]).sum())
    return central_difference(gradient, weights, along, WIDTH / norm.clamp_min(1e-12))
