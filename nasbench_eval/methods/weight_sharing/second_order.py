"""The architecture gradient through one step of the weights (DARTS, section 2.3, equations 6 to 8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Loss = Callable[[], Tensor]


def unrolled_gradient(
    train_loss: Loss,
    valid_loss: Loss,
    weights: Sequence[Tensor],
    architecture: Sequence[Tensor],
    optimizer: torch.optim.Optimizer,
) -> list[Tensor]:
    """Return the gradients of the validation loss at the weights after one more training step.

    As NAS-Bench-201's ``DARTS-V2.py``: the step takes momentum and weight decay into account; the product with the
    Hessian is a central difference of width 0.01 / norm. The weights are the same before and after.

    Args:
        train_loss: The loss on the batch of the weights step, at the present weights and architecture.
        valid_loss: The loss on the batch of the architecture step.
        weights: The network's parameters.
        architecture: The architecture's parameters.
        optimizer: The weights' SGD; its first group gives learning rate, momentum and weight decay.
    """
    group = optimizer.param_groups[0]
    lr = group["lr"]
    here = [w.detach().clone() for w in weights]
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
    both = torch.autograd.grad(valid_loss(), [*architecture, *weights], allow_unused=True)
    direct, direction = both[: len(architecture)], both[len(architecture) :]
    norm = torch.sqrt(sum((d**2).sum() for d in direction if d is not None))  # type: ignore[arg-type]
    width = 0.01 / norm.clamp_min(1e-12)
    sides = []
    for sign in (1.0, -1.0):
        with torch.no_grad():
            for w, start, d in zip(weights, here, direction, strict=True):
                w.copy_(start if d is None else start + sign * width * d)
        sides.append(torch.autograd.grad(train_loss(), architecture))
    with torch.no_grad():
        for w, start in zip(weights, here, strict=True):
            w.copy_(start)
        implicit = [(up - down) / (2 * width) for up, down in zip(*sides, strict=True)]
        return [d - lr * i for d, i in zip(direct, implicit, strict=True)]
