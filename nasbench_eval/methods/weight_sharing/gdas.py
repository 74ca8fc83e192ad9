"""GDAS (Dong & Yang, CVPR 2019): one sampled operation per edge, with a straight-through Gumbel-softmax gradient.

The algorithm (section 3.2), and the code below:

1. Each batch evaluates one cell. Add Gumbel noise to the log-probabilities of every edge, divide by the temperature
   tau, and take the softmax; the cell is its argmax: :meth:`Gumbel.sample`.
2. Forward, the weights of an edge are the one-hot argmax; backward, their gradient is that of the softmax.
3. The weights descend the train loss and the logits the valid loss, each with its own sample: the loop of DARTS.
4. tau falls linearly over the epochs: :meth:`Gumbel.begin_epoch`.
5. After the last epoch keep the most probable operation of every edge: ``ArchParameters.cell``.

The probabilities are the softmax of logits (``darts.Logits``), or theta itself in GAEA GDAS (``gaea.Simplex``). What
the paper leaves open follows NAS-Bench-201's ``GDAS.py`` and ``search_model_gdas.py``.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from nasbench_eval.cell import N_EDGES, Cell
from nasbench_eval.methods.weight_sharing.base import ArchParameters, Distribution, EdgeWeights
from nasbench_eval.networks.supernet import active_of


class Gumbel(ArchParameters):
    """Every batch evaluates one operation per edge, sampled by straight-through Gumbel-softmax.

    Args:
        distribution: The learned distribution.
        epochs: Epochs of the search, over which tau falls.
        tau: Temperature in the first and in the last epoch; linear in between. After a warm-up the fall begins
            later and ends above the last value, as in GAEA's ``architect_egdas.py``.
        other_weights: Whether to add the weights of the operations that were not sampled to the output of the edge.
            They are zero in value but not in gradient, as in the released code.
        warmup_epochs: Epochs at the first temperature.
    """

    def __init__(
        self,
        distribution: Distribution,
        *,
        epochs: int,
        tau: tuple[float, float],
        other_weights: bool = False,
        warmup_epochs: int = 0,
    ) -> None:
        super().__init__(distribution.ops, distribution)
        self._learned = distribution
        self._epochs, self._warmup, self._range, self._other_weights = epochs, warmup_epochs, tau, other_weights
        self.tau = tau[0]
        self._noise: Iterator[Tensor] = iter(())

    def begin_epoch(self, epoch: int, samples: int, generator: torch.Generator, device: torch.device) -> None:
        """Set the temperature and draw the Gumbel noise of the epoch."""
        first, last = self._range
        self.tau = first + (last - first) * max(epoch - self._warmup, 0) / max(self._epochs - 1, 1)
        uniform = torch.rand(samples, N_EDGES, len(self.ops), generator=generator, dtype=torch.float64)
        noise = uniform.clamp_min(1e-300).log().neg().log().neg()
        self._noise = iter(noise.float().to(device).unbind())

    def relaxed(self) -> Tensor:
        """Return the next draw from the concrete distribution, (6, len(ops))."""
        return ((self._learned.probabilities().clamp_min(1e-30).log() + next(self._noise)) / self.tau).softmax(-1)

    def sample(self) -> EdgeWeights:
        """Return the one-hot weights of one sampled operation per edge."""
        soft = self.relaxed()
        choice = soft.argmax(-1)
        hard = F.one_hot(choice, len(self.ops)).to(soft.dtype) - soft.detach() + soft
        offsets = None
        if self._other_weights:
            offsets = hard.sum(-1) - hard.gather(-1, choice.unsqueeze(1)).squeeze(1)
        return EdgeWeights(self._full(hard), active_of(self._on_host(choice)), offsets)

    def _on_host(self, choice: Tensor) -> Cell:
        """Return the sampled cell. To evaluate only its six operations the host must know it: one wait per batch."""
        return self._cell_of(choice)
