"""SmoothDARTS (Chen & Hsieh, ICML 2020): the weights train on perturbed operation weights.

The loss of the supernet should not depend on the exact operation weights, as discretisation will change them. So the
weights step trains at operation weights moved by at most epsilon, and the architecture step at the true ones:

- SDARTS-RS, ``perturbation = random``: by uniform noise.
- SDARTS-ADV, ``perturbation = adversarial``: to where the train loss is largest, found by projected gradient ascent
  from a random start; if it finds no larger loss, they are not moved.

Both amount to a penalty of the Hessian of the loss in the operation weights.

Source of what the paper leaves open: ``nasbench201/train_search.py`` (epsilon rises linearly from 0.03) and
``attacker/perturb.py`` (steps of ``2 * epsilon / steps`` along the sign of the gradient, taken with BatchNorm's running
statistics) of the released code. It projects by clamping to 0..1 and dividing by the sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import final

import torch
from torch import Tensor

from nasbench_eval.cell import N_EDGES
from nasbench_eval.methods.weight_sharing.base import Distribution, EdgeLoss, EdgeWeights
from nasbench_eval.methods.weight_sharing.darts import Mixture

FIRST_RADIUS = 0.03
"""Epsilon in the first epoch (released code)."""


@final
class Perturbed(Mixture):
    """The mixture of DARTS; the weights step evaluates one that is moved.

    Args:
        distribution: The learned distribution.
        radius: Epsilon at the end of the search and after it, the largest change of an operation weight.
        steps: Steps of gradient ascent; 0 for random noise.
        epochs: The epoch at which epsilon would be ``radius``.
    """

    def __init__(self, distribution: Distribution, *, radius: float, steps: int, epochs: int) -> None:
        super().__init__(distribution)
        self._last_radius, self._steps, self._epochs = radius, steps, epochs
        self.radius = FIRST_RADIUS
        self._noise: Iterator[Tensor] = iter(())

    def begin_epoch(self, epoch: int, samples: int, generator: torch.Generator, device: torch.device) -> None:
        """Set epsilon and draw the noise of the epoch."""
        done = min(epoch / self._epochs, 1.0)  # selection=perturbation trains on after the last epoch
        self.radius = FIRST_RADIUS + (self._last_radius - FIRST_RADIUS) * done
        noise = torch.rand(samples, N_EDGES, len(self.ops), generator=generator) * 2 - 1
        self._noise = iter(noise.to(device).unbind())

    def weights_samples(self, loss: EdgeLoss) -> list[EdgeWeights]:
        """Return the moved operation weights; no gradient leads from them to the architecture."""
        p = self._learned.probabilities().detach()
        moved = projected(p + self.radius * next(self._noise))
        if self._steps:
            moved = ascended(p, moved, lambda values: loss(self._mixture(values)), self.radius, self._steps)
        return [self._mixture(moved)]


def projected(values: Tensor) -> Tensor:
    """Clamp to 0..1 and divide each row by its sum; a row of zeros keeps its largest value as a one."""
    clamped = values.clamp(0, 1)
    largest = torch.zeros_like(values).scatter(-1, values.argmax(-1, keepdim=True), 1.0)
    clamped = torch.where(clamped.sum(-1, keepdim=True) > 0, clamped, largest)
    return clamped / clamped.sum(-1, keepdim=True)


def ascended(p: Tensor, start: Tensor, loss: Callable[[Tensor], Tensor], radius: float, steps: int) -> Tensor:
    """Return values within ``radius`` of ``p`` at which the loss is larger, by projected gradient ascent.

    Args:
        p: The true operation weights.
        start: Where the ascent begins.
        loss: The loss at given operation weights.
        radius: The largest change of an operation weight before the projection.
        steps: Number of steps.
    """
    values = start
    for _ in range(steps):
        values.requires_grad_()
        with torch.enable_grad():
            [gradient] = torch.autograd.grad(loss(values), values)
        stepped = values.detach() + 2 * radius / steps * gradient.sign()
        values = projected(p + (stepped - p).clamp(-radius, radius))
    with torch.no_grad():
        return torch.where(loss(values) < loss(p), p, values)
