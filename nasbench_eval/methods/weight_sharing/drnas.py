"""DrNAS (Chen et al., ICLR 2021): edge weights drawn from a learned Dirichlet distribution.

The algorithm is that of DARTS with another mixture (section 3), and the code below:

1. Every batch draws the weights of each edge from a Dirichlet distribution with learned concentrations:
   :meth:`Dirichlet.sample`.
2. The gradient reaches the concentrations through the draw (pathwise derivative): :class:`_DirichletDraw`.
3. After the last epoch keep the operation with the largest concentration on every edge: ``ArchParameters.cell``.

The concentration, ``elu(logits) + 1``, is that of the released code.
"""

from __future__ import annotations

from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor

from nasbench_eval.methods.weight_sharing.base import ArchParameters, EdgeWeights
from nasbench_eval.methods.weight_sharing.darts import Logits


@final
class Dirichlet(ArchParameters):
    """Every batch evaluates all operations, weighted by a Dirichlet draw with concentration ``elu(logits) + 1``."""

    def __init__(self, logits: Logits) -> None:
        super().__init__(logits.ops, logits)
        self._logits = logits
        self._generator = torch.Generator()

    def begin_epoch(self, epoch: int, samples: int, generator: torch.Generator, device: torch.device) -> None:
        """Keep the generator: a draw depends on the logits at its batch, so it cannot be made in advance."""
        self._generator = generator

    def sample(self) -> EdgeWeights:
        """Return a draw, with its pathwise gradient, as edge weights."""
        concentration = F.elu(self._logits.logits) + 1
        return self._mixture(_DirichletDraw.apply(concentration, self._draw(concentration.detach())))  # type: ignore[no-untyped-call]

    def _draw(self, concentration: Tensor) -> Tensor:
        """Draw on the host, where the generator lives: one wait per batch."""
        drawn = torch._sample_dirichlet(concentration.cpu(), generator=self._generator)
        return drawn.to(concentration.device)


class _DirichletDraw(torch.autograd.Function):
    """A Dirichlet draw whose backward pass is the pathwise derivative, as in ``torch.distributions``."""

    @staticmethod
    def forward(ctx: Any, concentration: Tensor, drawn: Tensor) -> Tensor:
        """Return the draw."""
        ctx.save_for_backward(concentration, drawn)
        return drawn.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        """Return the gradient with respect to the concentration."""
        concentration, drawn = ctx.saved_tensors
        total = concentration.sum(-1, keepdim=True).expand_as(concentration)
        path = torch._dirichlet_grad(drawn, concentration, total)
        return path * (grad - (drawn * grad).sum(-1, keepdim=True)), None
