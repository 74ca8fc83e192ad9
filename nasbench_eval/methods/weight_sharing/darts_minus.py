"""DARTS- (Chu et al., ICLR 2021): DARTS with an extra skip connection on every edge, which fades out.

A skip connection helps a supernet to train whether or not it belongs in the cell, and DARTS takes this for its merit.
An extra one of weight beta takes that part over: the output of an edge is ``beta * x`` more. beta falls
linearly to zero, so at the end the supernet is that of DARTS: :class:`AuxiliarySkip`.

Source of the schedule: ``DecayScheduler`` and ``skip_beta`` in the released code, where the factor of epoch t of T is
``beta * (1 - t / T)``.
"""

from __future__ import annotations

from typing import final

import torch

from nasbench_eval.cell import SKIP_CONNECT
from nasbench_eval.methods.weight_sharing.base import Distribution, EdgeWeights
from nasbench_eval.methods.weight_sharing.darts import Mixture


@final
class AuxiliarySkip(Mixture):
    """The mixture of DARTS, with a skip connection more on every edge.

    Args:
        distribution: The learned distribution.
        beta: Weight of the extra skip connection in the first epoch.
        epochs: The epoch at which it would be zero.
    """

    def __init__(self, distribution: Distribution, *, beta: float, epochs: int) -> None:
        super().__init__(distribution)
        self._beta, self._epochs = beta, epochs
        self.factor = beta

    def begin_epoch(self, epoch: int, samples: int, generator: torch.Generator, device: torch.device) -> None:
        """Set the weight of the extra skip connection."""
        self.factor = self._beta * max(1 - epoch / self._epochs, 0.0)

    def sample(self) -> EdgeWeights:
        """Return the probabilities as operation weights, that of the skip connection larger by the factor."""
        mixture = super().sample()
        extra = torch.zeros_like(mixture.values)
        extra[:, SKIP_CONNECT] = self.factor
        return mixture._replace(values=mixture.values + extra)
