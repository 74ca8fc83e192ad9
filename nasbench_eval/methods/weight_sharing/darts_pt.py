"""DARTS-PT (Wang et al., ICLR 2021): keep the operation without which the trained supernet gets worst.

The largest architecture parameter need not be the most useful operation. After the search, edge by edge in random
order:

1. Leave out each operation of the edge in turn; keep the one without which the valid accuracy is lowest:
   :func:`most_needed`.
2. Replace the edge by it, and train the supernet for some epochs before the next edge: :func:`due`.

On NAS-Bench-201 the released ``nasbench201/projection.py`` trains on with both steps at a tenth of the first learning
rate and a new momentum, five epochs between two edges and five after; the last edge is chosen before the last epoch.
The weights of the operations that are left in are not changed, and BatchNorm uses the statistics of the batch.
"""

from __future__ import annotations

from collections.abc import Callable

from nasbench_eval.cell import N_EDGES
from nasbench_eval.methods.weight_sharing.base import ArchParameters, EdgeWeights

RATE = 0.1
"""The learning rate of the weights after the search, as a part of the first one."""


def tuning_epochs(interval: int) -> int:
    """Return the epochs after the search, ``interval`` between two edges."""
    return interval * (N_EDGES - 1)


def due(epoch: int, interval: int) -> int:
    """Return how many edges are decided before an epoch, counted from the end of the search, is trained."""
    if epoch == tuning_epochs(interval) - 1:
        return N_EDGES
    return epoch // interval + 1


def most_needed(architecture: ArchParameters, edge: int, accuracy: Callable[[EdgeWeights], float]) -> int:
    """Return the operation of an edge without which the supernet's accuracy is lowest.

    Args:
        architecture: The trained architecture.
        edge: The edge.
        accuracy: The accuracy of the supernet at given edge weights.
    """
    mixture = architecture.sample()

    def without(op: int) -> float:
        values = mixture.values.detach().clone()
        values[edge, op] = 0.0
        return accuracy(mixture._replace(values=values))

    return min(architecture.ops, key=without)
