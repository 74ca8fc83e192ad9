"""FairDARTS (Chu et al., ECCV 2020): every operation has a weight of its own, the sigmoid of its logit.

The operations of an edge do not compete, and a term of the architecture's loss draws the weights to zero or one, so
that discretisation changes little. The algorithm is that of DARTS, and the code below:

1. Every batch evaluates all operations, weighted by the sigmoids of their logits: :meth:`Sigmoids.sample`.
2. The logits descend the valid loss and the zero-one loss, ``-weight * mean((sigmoid - 0.5)^2)``: :func:`zero_one`.
3. At the end keep the operation with the largest weight on every edge: ``ArchParameters.cell``. The paper keeps all
   operations above a threshold, at most two per node; a cell of NAS-Bench-201 has exactly one per edge.

The logits start at zero, as in the released ``fairdarts/model_search.py``. Weights that do not sum to one are no
distribution: GAEA does not apply.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from nasbench_eval.methods.weight_sharing.base import ArchParameters, EdgeWeights
from nasbench_eval.methods.weight_sharing.darts import Logits


@final
class Sigmoids(ArchParameters):
    """Every batch evaluates all operations, each weighted by the sigmoid of its logit."""

    def __init__(self, logits: Logits) -> None:
        super().__init__(logits.ops, logits)
        self._logits = logits
        with torch.no_grad():
            logits.logits.zero_()

    def values(self) -> Tensor:
        """Return the sigmoids, (6, len(ops))."""
        return self._logits.logits.sigmoid()

    def probabilities(self) -> Tensor:
        """Return the sigmoids, normalised on each edge: only these compare with other searches."""
        values = self.values()
        return values / values.sum(-1, keepdim=True)

    def sample(self) -> EdgeWeights:
        """Return the sigmoids as operation weights; nothing is drawn."""
        return self._mixture(self.values())


def zero_one(architecture: ArchParameters, weight: float, progress: float) -> Tensor:
    """Return the zero-one loss of the sigmoids; its weight is the same in all epochs."""
    assert isinstance(architecture, Sigmoids)
    return -weight * (architecture.values() - 0.5).square().mean()
