"""GDAS (Dong & Yang, CVPR 2019): one operation on every edge, sampled by straight-through Gumbel-softmax.

Each batch evaluates one sampled cell. The sample is one-hot in the forward pass and has the gradient of the soft
probabilities in the backward pass (section 3.2): :class:`Gumbel`. The temperature falls linearly over the epochs. What
the paper leaves open follows NAS-Bench-201's ``search_model_gdas.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

from nasbench_eval.cell import N_EDGES, Cell
from nasbench_eval.methods.weight_sharing.base import ArchParameters, Distribution, EdgeWeights
from nasbench_eval.networks.supernet import active_of


@final
class Gumbel(ArchParameters):
    """A batch evaluates one operation an edge, drawn by straight-through Gumbel-softmax (GDAS).

    Args:
        distribution: What is learned.
        epochs: Epochs over which tau falls, after the warm-up.
        warmup_epochs: Epochs at the first temperature.
        tau: Temperature at the first and at the last epoch; linear between.
        other_weights: Whether the weights of the operations not sampled are added to the edge's output: zero in value,
            not in gradient, as the released code does.
    """

    def __init__(
        self,
        distribution: Distribution,
        *,
        epochs: int,
        tau: tuple[float, float],
        other_weights: bool,
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

    def sample(self) -> EdgeWeights:
        """Return one-hot weights of one sampled operation an edge."""
        soft = ((self._learned.probabilities().clamp_min(1e-30).log() + next(self._noise)) / self.tau).softmax(-1)
        choice = soft.argmax(-1)
        hard = F.one_hot(choice, len(self.ops)).to(soft.dtype) - soft.detach() + soft
        offsets = None
        if self._other_weights:
            offsets = hard.sum(-1) - hard.gather(-1, choice.unsqueeze(1)).squeeze(1)
        return EdgeWeights(self._full(hard), active_of(self._on_host(choice)), offsets)

    def _on_host(self, choice: Tensor) -> Cell:
        """The sampled cell. To evaluate six operations, not thirty, the host must know which: one wait a batch."""
        return self._cell_of(choice)
