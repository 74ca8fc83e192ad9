"""beta-DARTS (Ye et al., CVPR 2022): DARTS whose logits decay towards equal weights.

One term is added to the loss of the architecture step: the log-sum-exp of the logits of each edge, mean over the edges.
Its gradient is the softmax, so the largest weight is pulled down most: :func:`beta_decay`. Its weight
rises linearly from zero; on NAS-Bench-201 the released ``optimizers/darts/architect.py`` has ``50 * epoch / 100`` for a
search of 100 epochs.

On the simplex the term is constant, as probabilities sum to one: GAEA does not apply to it.
"""

from __future__ import annotations

from torch import Tensor

from nasbench_eval.methods.weight_sharing.base import ArchParameters
from nasbench_eval.methods.weight_sharing.darts import Logits


def beta_decay(architecture: ArchParameters, weight: float, progress: float) -> Tensor:
    """Return the term of the architecture's loss.

    Args:
        architecture: Its distribution is the softmax of logits.
        weight: The weight at the end of the search.
        progress: The part of the search that is over, from 0 to 1.
    """
    assert isinstance(architecture.distribution, Logits)
    return weight * progress * architecture.distribution.logits.logsumexp(-1).mean()
