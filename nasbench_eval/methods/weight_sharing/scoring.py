"""What shared weights say of cells: loss and accuracy of the supernet on the valid part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nasbench_eval.cell import Cell
from nasbench_eval.images import Augment, Images
from nasbench_eval.methods.weight_sharing.parametrisations import EdgeWeights, Score
from nasbench_eval.supernet import Supernet, active_of, one_hot


@dataclass(frozen=True)
class SharedWeights:
    """A supernet and the images it is evaluated on, in evaluation mode and without augmentation.

    Attributes:
        supernet: The network.
        augment: For the normalisation.
        images: The images, on the network's device.
        batch_size: Images of a batch; with BatchNorm on batch statistics it matters.
    """

    supernet: Supernet
    augment: Augment
    images: Images
    batch_size: int

    @torch.no_grad()
    def evaluate(self, weights: Callable[[], EdgeWeights]) -> tuple[float, float]:
        """Return the mean loss and the accuracy in percent over all images; each batch asks for its edge weights."""
        totals = self.totals(weights) / len(self.images)
        loss, correct = totals.tolist()
        return loss, 100 * correct

    @torch.no_grad()
    def totals(self, weights: Callable[[], EdgeWeights]) -> Tensor:
        """Return the sums of loss and hits (2,) over all images, without waiting for the device."""
        self.supernet.eval()
        n = len(self.images)
        sums = self.images.pixels.new_zeros(2, dtype=torch.float32)
        for at in range(0, n, self.batch_size):
            size = min(self.batch_size, n - at)
            pixels, labels = self.images.pixels.narrow(0, at, size), self.images.labels.narrow(0, at, size)
            sums += self._loss_and_hits(pixels, labels, weights())
        return sums

    def evaluate_cell(self, cell: Cell) -> tuple[float, float]:
        """Return loss and accuracy of one cell with the shared weights over all images."""
        weights = EdgeWeights(one_hot(cell, device=self.images.pixels.device), active_of(cell))
        return self.evaluate(lambda: weights)

    def on_one_batch_each(self, generator: torch.Generator) -> Score:
        """Return a function that scores cells, each on another batch of shuffled images, over and over.

        The function waits for the device once a call, not once a cell.
        """
        size = min(self.batch_size, len(self.images))
        order = torch.randperm(len(self.images), generator=generator)
        # A last, smaller batch would score its cells more noisily than the others: it is left out.
        batches = order[: len(order) // size * size].view(-1, size).to(self.images.pixels.device)
        used = 0

        @torch.no_grad()
        def score(cells: list[Cell]) -> list[float]:
            nonlocal used
            self.supernet.eval()
            hits = []
            for cell in cells:
                rows = batches.select(0, used % len(batches))
                used += 1
                pixels, labels = self.images.pixels.index_select(0, rows), self.images.labels.index_select(0, rows)
                weights = EdgeWeights(one_hot(cell, device=pixels.device), active_of(cell))
                hits.append(self._loss_and_hits(pixels, labels, weights).select(0, 1))
            found: list[float] = (torch.stack(hits) / size).tolist()
            return found

        return score

    def _loss_and_hits(self, pixels: Tensor, labels: Tensor, weights: EdgeWeights) -> Tensor:
        logits = self.supernet(self.augment.plain(pixels), *weights)
        return torch.stack([F.cross_entropy(logits, labels, reduction="sum"), (logits.argmax(1) == labels).sum()])
