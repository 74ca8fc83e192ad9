"""Scores of cells with shared weights: loss and accuracy of the supernet on the valid part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor

from nasbench_eval.cell import Cell
from nasbench_eval.images import Augment, Images
from nasbench_eval.methods.weight_sharing.base import EdgeWeights, Score
from nasbench_eval.networks.supernet import Supernet, active_of, one_hot

_TOGETHER = 128
"""Number of cells that are scored on a batch before the next batch is prepared."""


@dataclass(frozen=True)
class SharedWeights:
    """A supernet and the images it is evaluated on, in evaluation mode and without augmentation.

    Attributes:
        supernet: The network.
        augment: Normalises the images.
        images: The images, on the network's device.
        batch_size: Images per batch; it matters if BatchNorm evaluates with batch statistics.
        edges: Returns the learned edge weights (6,), or None if the network was trained without any. A discretised cell
            keeps them (PC-DARTS).
        batch_statistics: Whether BatchNorm normalises by the batch, as in training; it then updates its running
            statistics.
        supernet_of: Returns the network that scores a cell; None if ``supernet`` scores all (few-shot NAS has several).
    """

    supernet: Supernet
    augment: Augment
    images: Images
    batch_size: int
    edges: Callable[[], Tensor | None] = lambda: None
    batch_statistics: bool = False
    supernet_of: Callable[[Cell], Supernet] | None = None

    @torch.no_grad()
    def evaluate(self, weights: Callable[[], EdgeWeights]) -> tuple[float, float]:
        """Return mean loss and accuracy in percent over all images; ``weights`` is called for each batch."""
        totals = self.totals(weights) / len(self.images)
        loss, correct = totals.tolist()
        return loss, 100 * correct

    @torch.no_grad()
    def totals(self, weights: Callable[[], EdgeWeights]) -> Tensor:
        """Return the sums of the loss and of the correct predictions (2,), without waiting for the device."""
        self.supernet.train(self.batch_statistics)
        sums = self.images.pixels.new_zeros(2, dtype=torch.float32)
        for images, labels in self._batches():
            sums += _loss_and_hits(self.supernet(images, *weights()), labels)
        return sums

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all images, normalised, and their labels."""
        pixels, labels = (torch.split(part, self.batch_size) for part in (self.images.pixels, self.images.labels))
        return ((self.augment.plain(some), its_labels) for some, its_labels in zip(pixels, labels, strict=True))

    def evaluate_cell(self, cell: Cell) -> tuple[float, float]:
        """Return loss and accuracy in percent of one cell over all images."""
        weights = self._weights_of(cell)
        return replace(self, supernet=self.network_of(cell)).evaluate(lambda: weights)

    @torch.no_grad()
    def evaluate_cells(self, cells: Iterable[Cell]) -> Iterator[tuple[float, float]]:
        """Yield what ``evaluate_cell`` returns, up to rounding, for each cell.

        Cells are scored in groups, which share what they have in common (``Supernet.classify_with``); the group waits
        for the device once.
        """
        remaining = iter(cells)
        while chunk := list(islice(remaining, _TOGETHER)):
            by_network: dict[Supernet, list[int]] = {}
            for i in sorted(range(len(chunk)), key=lambda i: chunk[i].ops):
                by_network.setdefault(self.network_of(chunk[i]).eval(), []).append(i)
            order = [i for those in by_network.values() for i in those]
            sums = torch.zeros(len(chunk), 2, device=self.images.pixels.device)
            for images, labels in self._batches():
                logits = (
                    each
                    for network, those in by_network.items()
                    for each in network.classify_with((chunk[i] for i in those), images, self.edges())
                )
                sums += torch.stack([_loss_and_hits(each, labels) for each in logits])
            scores = dict(zip(order, (sums / len(self.images)).tolist(), strict=True))
            yield from ((scores[i][0], 100 * scores[i][1]) for i in range(len(chunk)))

    def on_one_batch_each(self, generator: torch.Generator, *, augmented: bool = False) -> Score:
        """Return a function that scores cells, each on the next batch of the shuffled images, cyclically.

        The function waits for the device once per call, not once per cell.

        Args:
            generator: Draws the order of the images, and their augmentation.
            augmented: Whether the images are augmented as for training.
        """
        size = min(self.batch_size, len(self.images))
        order = torch.randperm(len(self.images), generator=generator)
        # A smaller last batch would give noisier scores than the others, so it is dropped.
        batches = order[: len(order) // size * size].view(-1, size).to(self.images.pixels.device)
        used = 0

        @torch.no_grad()
        def score(cells: list[Cell]) -> list[float]:
            nonlocal used
            hits = []
            for cell in cells:
                rows = batches.select(0, used % len(batches))
                used += 1
                pixels, labels = self.images.pixels.index_select(0, rows), self.images.labels.index_select(0, rows)
                if augmented:
                    pixels = self.augment(pixels, self.augment.draw(size, generator).to(pixels.device))
                else:
                    pixels = self.augment.plain(pixels)
                logits = self.network_of(cell).eval()(pixels, *self._weights_of(cell))
                hits.append(_loss_and_hits(logits, labels).select(0, 1))
            found: list[float] = (torch.stack(hits) / size).tolist()
            return found

        return score

    def _weights_of(self, cell: Cell) -> EdgeWeights:
        return EdgeWeights(one_hot(cell, device=self.images.pixels.device), active_of(cell), edges=self.edges())

    def network_of(self, cell: Cell) -> Supernet:
        """Return the network that scores a cell."""
        return self.supernet if self.supernet_of is None else self.supernet_of(cell)


def _loss_and_hits(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the sums of the loss and of the correct predictions (2,)."""
    return torch.stack([F.cross_entropy(logits, labels, reduction="sum"), (logits.argmax(1) == labels).sum()])
