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

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, final

import torch

from nasbench_eval.cell import N_EDGES
from nasbench_eval.methods.weight_sharing.base import ArchParameters, Continuation, EdgeWeights
from nasbench_eval.methods.weight_sharing.scoring import SharedWeights
from nasbench_eval.utils.rng import Streams

if TYPE_CHECKING:
    from nasbench_eval.methods.weight_sharing.settings import WeightSharingSettings

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
        accuracy: The accuracy of the supernet at given operation weights.
    """
    mixture = architecture.sample()

    def without(op: int) -> float:
        values = mixture.values.detach().clone()
        values[edge, op] = 0.0
        return accuracy(mixture._replace(values=values))

    return min(architecture.ops, key=without)


@final
class Projection(Continuation):
    """The epochs after the search, in which the edges are decided.

    Args:
        settings: The settings of the search.
        architecture: Its architecture, whose decided edges this adds to.
        scoring: The supernet, and the images on which the edges are decided.
        streams: The random generators of the run.
    """

    def __init__(
        self, settings: WeightSharingSettings, architecture: ArchParameters, scoring: SharedWeights, streams: Streams
    ) -> None:
        self._settings, self._architecture = settings, architecture
        self._scoring = dataclasses.replace(scoring, batch_size=settings.batch_size, batch_statistics=True)
        self._streams = streams

    def begin(self, epoch: int) -> bool:
        """Decide the edges that are due; momentum is new after the search."""
        settings, device = self._settings, self._scoring.images.pixels.device
        # What DARTS- adds to the mixture depends on the epoch, and no sample is drawn at random here.
        self._architecture.begin_epoch(settings.epochs + epoch, 0, torch.Generator(), device)
        order = torch.randperm(N_EDGES, generator=self._streams.torch("projection")).tolist()
        self._architecture.decided_by_accuracy = True
        decided = self._architecture.decided
        for edge in order[len(decided) : due(epoch, settings.projection_interval)]:
            decided[edge] = most_needed(
                self._architecture, edge, lambda weights: self._scoring.evaluate(lambda: weights)[1]
            )
        return epoch == 0

    def rate(self, epoch: int) -> float:
        """Return a tenth of the first learning rate."""
        return RATE * self._settings.lr

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the search keeps the decided edges of its architecture."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Do nothing: the decided edges are those of the architecture."""
