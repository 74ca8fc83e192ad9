"""DrNAS (Chen et al., ICLR 2021): edge weights are drawn from a learned Dirichlet distribution.

Every batch draws new edge weights; the gradient goes through the draw (section 3): :class:`Dirichlet`. The
concentration elu(logits) + 1 is that of the released code.
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
    """Every batch evaluates all operations, weighted by a draw from a Dirichlet with concentration elu(logits) + 1."""

    def __init__(self, logits: Logits) -> None:
        super().__init__(logits.ops, logits)
        self._logits = logits
        self._generator = torch.Generator()

    def begin_epoch(self, epoch: int, samples: int, generator: torch.Generator, device: torch.device) -> None:
        """Take the generator: the draws depend on the logits of their batch and cannot be made ahead."""
        self._generator = generator

    def sample(self) -> EdgeWeights:
        """Return a draw, with its pathwise gradient."""
        concentration = F.elu(self._logits.logits) + 1
        return self._mixture(_DirichletDraw.apply(concentration, self._draw(concentration.detach())))  # type: ignore[no-untyped-call]

    def _draw(self, concentration: Tensor) -> Tensor:
        """Draw on the host, where the generator is: one wait a batch."""
        drawn = torch._sample_dirichlet(concentration.cpu(), generator=self._generator)
        return drawn.to(concentration.device)


class _DirichletDraw(torch.autograd.Function):
    """A draw from a Dirichlet whose backward pass is the pathwise derivative, as in ``torch.distributions``."""

    @staticmethod
    def forward(ctx: Any, concentration: Tensor, drawn: Tensor) -> Tensor:
        """Return the draw."""
        ctx.save_for_backward(concentration, drawn)
        return drawn.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        """Return the gradient of the concentration."""
        concentration, drawn = ctx.saved_tensors
        total = concentration.sum(-1, keepdim=True).expand_as(concentration)
        path = torch._dirichlet_grad(drawn, concentration, total)
        return path * (grad - (drawn * grad).sum(-1, keepdim=True)), None
