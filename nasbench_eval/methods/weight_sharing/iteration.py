"""The two steps of an iteration, which all weight-sharing searches have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from nasbench_eval.methods.weight_sharing.base import ArchParameters, EdgeWeights
from nasbench_eval.methods.weight_sharing.batches import Batch
from nasbench_eval.methods.weight_sharing.gradients import add_alignment, add_penalties, backward, of_each_cell
from nasbench_eval.methods.weight_sharing.passes import Passes
from nasbench_eval.networks.supernet import Supernet

if TYPE_CHECKING:
    from nasbench_eval.methods.weight_sharing.settings import WeightSharingSettings


@dataclass(frozen=True)
class Iteration:
    """What the two steps of an iteration move, and how.

    Attributes:
        settings: The settings of the search.
        supernet: The network.
        architecture: The architecture parameters.
        optimizer: The optimiser of the weights.
        arch_optimizer: The optimiser of the architecture parameters; None if no gradient moves them.
        progress: The part of the search that is over, from 0 to 1.
        passes: The forward and backward passes of the network.
    """

    settings: WeightSharingSettings
    supernet: Supernet
    architecture: ArchParameters
    optimizer: torch.optim.Optimizer
    arch_optimizer: torch.optim.Optimizer | None
    progress: float
    passes: Passes

    def weights_step(self, batch: Batch, *, joint: bool = False) -> Tensor:
        """Do one step of SGD on the weights; return the sums of the loss and of the correct predictions (2,).

        With ``joint`` the same backward pass also serves the architecture step, which follows.
        """
        settings = self.settings
        self.optimizer.zero_grad(set_to_none=False)
        self.architecture.zero_grad()
        # The architecture's gradient is needed only if it counts in the clipping norm, or moves the architecture.
        with torch.set_grad_enabled(settings.clip_architecture or joint):
            samples = self.architecture.weights_samples(lambda weights: self._loss_in_evaluation(batch, weights))
        totals = torch.zeros(2, device=batch[0].device)
        for weights in samples:
            if settings.alignment:
                weights = of_each_cell(weights, self.supernet.cells)
            totals += self.passes(batch, weights, train=True)
            if settings.alignment:
                add_alignment(self.supernet, weights, batch, settings.alignment * self.progress)
        if settings.clip is not None:
            clipped = list(self.supernet.parameters())
            if settings.clip_architecture:
                clipped += self.architecture.parameters()
            torch.nn.utils.clip_grad_norm_(clipped, settings.clip)
        self.optimizer.step()
        if joint:
            self._move_architecture()
        return totals / len(samples)

    def architecture_step(self, batch: Batch, train_batch: Batch) -> None:
        """Do one step of the architecture optimiser on ``batch``; second orders also need the weights' batch."""
        self.architecture.zero_grad()
        backward(self.architecture, self.supernet, self.optimizer, self.settings, self.passes, batch, train_batch)
        self._move_architecture()

    def _move_architecture(self) -> None:
        """Do one step of the architecture optimiser with the gradient of the loss, which is there, and of penalties."""
        assert self.arch_optimizer is not None
        add_penalties(self.architecture, self.settings, self.progress)
        self.arch_optimizer.step()

    def _loss_in_evaluation(self, batch: Batch, weights: EdgeWeights) -> Tensor:
        """Return a loss as a function of the operation weights alone, with BatchNorm in evaluation mode."""
        self.supernet.eval().requires_grad_(False)
        try:
            return F.cross_entropy(self.supernet(batch[0], *weights), batch[1])
        finally:
            self.supernet.train().requires_grad_(True)
