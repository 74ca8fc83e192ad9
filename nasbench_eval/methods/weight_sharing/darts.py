"""DARTS (Liu et al., ICLR 2019): a softmax mixture of all operations, trained on two levels.

The algorithm, and the code below it:

- Every edge outputs the mixture of all candidate operations, weighted by the softmax of its logits (equation 2):
  :class:`Logits` holds the logits, :class:`Mixture` hands the probabilities to the supernet.
- The weights descend the loss on the train part, the logits the loss on the valid part (equations 3 and 4):
  :func:`bilevel`. The logits' optimiser is Adam (section 3.1.1): :func:`adam`.
- First order: the gradient of the valid loss at the present weights. Second order: the gradient through one step of
  the weights (equations 6 to 8): :func:`unrolled_gradient`.
- The final cell takes the most probable operation of every edge: ``ArchParameters.cell``.

The size of the initial logits and Adam's settings follow NAS-Bench-201's ``DARTS-V1.py`` and ``DARTS-V2.py``. PC-DARTS
(Xu et al., ICLR 2020) adds weights of edges (section 3.3), which :class:`Logits` can hold too; its partial channels are
in ``networks/partial_cell.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn

from nasbench_eval.cell import INCOMING, N_EDGES, NODES
from nasbench_eval.images import ImageData, Images
from nasbench_eval.methods.weight_sharing.base import ArchParameters, Distribution, EdgeWeights, Roles

if TYPE_CHECKING:
    from nasbench_eval.methods.weight_sharing.settings import WeightSharingSettings


Loss = Callable[[], Tensor]


@final
class Logits(Distribution):
    """The softmax of logits, which start at 1e-3 * N(0, 1) as in NAS-Bench-201's code."""

    def __init__(self, ops: tuple[int, ...], generator: torch.Generator, *, edge_normalisation: bool = False) -> None:
        super().__init__(ops, edge_normalisation=edge_normalisation)
        self.logits = nn.Parameter(1e-3 * torch.randn(N_EDGES, len(ops), generator=generator))
        if edge_normalisation:
            self.edge_logits = nn.Parameter(1e-3 * torch.randn(N_EDGES, generator=generator))

    def probabilities(self) -> Tensor:
        """Return the softmax of each row."""
        return self.logits.softmax(-1)

    def edge_weights(self) -> Tensor | None:
        """Return the softmax over the edges that enter a node."""
        if not self.edge_normalisation:
            return None
        parts = torch.split(self.edge_logits, [len(INCOMING[node]) for node in range(1, NODES)])
        return torch.cat([part.softmax(0) for part in parts])


@final
class Mixture(ArchParameters):
    """Every batch evaluates all operations, weighted by their probabilities (DARTS equation 2; GAEA)."""

    def __init__(self, distribution: Distribution) -> None:
        super().__init__(distribution.ops, distribution)
        self._learned = distribution

    def sample(self) -> EdgeWeights:
        """Return the probabilities; the same for every batch."""
        return self._mixture(self._learned.probabilities())


def bilevel(train: Images, valid: Images, data: ImageData, settings: WeightSharingSettings) -> Roles:
    """Return the images of the two levels: the weights train on the train part, the architecture on the valid part."""
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
