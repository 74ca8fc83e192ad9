"""Lambda-DARTS (Movahedi et al., ICLR 2023): the cells shall agree on which operations help.

All cells share their operation weights, but the gradient of each cell points elsewhere, and the last cells decide.
Lambda is the mean cosine between the gradients of two cells. The weights step also ascends Lambda, with a weight that
rises linearly from zero: :func:`alignment_gradient`.

The derivative of Lambda in the weights is a central difference: with the operation weights of each cell moved along the
derivative of Lambda in its gradient, forth and back. What the paper leaves open follows
``get_perturbations`` in ``search_model_darts_v1.py`` of the released code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nasbench_eval.methods.weight_sharing.darts import float32_convolutions

WIDTH = 1e-4
"""How far all operation weights together are moved: ``epsilon_0`` of the released code."""

TINY = 1e-12
"""Added to nothing but a norm of zero, which would divide zero by zero."""


def alignment_gradient(
    gradients: Tensor, values: Tensor, loss: Callable[[Tensor], Tensor], weights: Sequence[Tensor]
) -> list[Tensor]:
    """Return the derivative of -Lambda in the weights, one tensor per weight.

    Args:
        gradients: The gradients of the loss in the operation weights of each cell, (cells, 6, 5).
        values: The operation weights of each cell, of the same shape.
        loss: The loss of the batch at operation weights of each cell.
        weights: The parameters of the network.
    """
    direction = _ascent(gradients)
    width = WIDTH / direction.norm().clamp_min(TINY)
    sides = []
    for sign in (1.0, -1.0):
        with float32_convolutions():
            found = torch.autograd.grad(loss(values - sign * width * direction), weights, allow_unused=True)
        sides.append([torch.zeros_like(w) if g is None else g for w, g in zip(weights, found, strict=True)])
    return [(up - down) / (2 * width) for up, down in zip(*sides, strict=True)]


def _ascent(gradients: Tensor) -> Tensor:
    """Return the derivative of Lambda in the gradient of each cell, (cells, 6, 5)."""
    u = _directions(gradients)
    cells, total = len(u), u.sum(0, keepdim=True)
    across = total - u * (u * total).sum(-1, keepdim=True)
    norms = gradients.flatten(1).norm(dim=1, keepdim=True).clamp_min(TINY)
    ascent: Tensor = 2 / (cells * (cells - 1)) * across / norms
    return ascent.view_as(gradients)


def _directions(gradients: Tensor) -> Tensor:
    flat = gradients.flatten(1)
    u: Tensor = flat / flat.norm(dim=1, keepdim=True).clamp_min(TINY)
    return u
