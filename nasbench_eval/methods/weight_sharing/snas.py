"""SNAS (Xie et al., ICLR 2019): operation weights drawn from a concrete distribution, whose temperature falls.

The algorithm is that of DARTS with another mixture, and the code below:

1. Every batch draws the weights of each edge: add Gumbel noise to the log-probabilities, divide by the temperature and
   take the softmax. All operations are evaluated: :meth:`Concrete.sample`.
2. The gradient reaches the logits through the draw.
3. The temperature falls linearly over the epochs, so that the draws become one-hot: ``gdas.Gumbel.begin_epoch``.

The paper trains weights and logits on the same images, without a second level, and takes the cell of the most probable
operations. ``runners/presets/snas.toml`` follows ``201-space/train_search.py`` of DrNAS, whose authors published SNAS's
results on NAS-Bench-201: two levels, temperatures from 10 to 1.
"""

from __future__ import annotations

from typing import final

from nasbench_eval.methods.weight_sharing.base import EdgeWeights
from nasbench_eval.methods.weight_sharing.gdas import Gumbel


@final
class Concrete(Gumbel):
    """Every batch evaluates all operations, weighted by a draw from the concrete distribution."""

    def sample(self) -> EdgeWeights:
        """Return the draw as operation weights."""
        return self._mixture(self.relaxed())
