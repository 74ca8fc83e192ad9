"""Train the cells of a custom table: several networks at a time, with a short, fixed schedule."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nasbench_eval.cell import Cell
from nasbench_eval.equivalence import convolutions, normal_form, representatives
from nasbench_eval.images import Augment, ImageData, Images
from nasbench_eval.networks.stacked import StackedNet
from nasbench_eval.training.recipes import Schedule
from nasbench_eval.utils.rng import Streams

MOMENTUM = 0.9
GROUP = 4
"""Maximum number of networks trained side by side."""

_EVAL_BATCH = 128


@dataclass(frozen=True)
class TrainedCell:
    """The result of training one cell once; accuracies in percent, losses in nats.

    Attributes:
        train: Accuracy and loss on the batches of the last epoch, measured during training.
        valid: Accuracy and loss after each epoch.
        test: Accuracy and loss at the end.
    """

    train: tuple[float, float]
    valid: tuple[tuple[float, float], ...]
    test: tuple[float, float]


def groups_of(indices: Sequence[int], most: int = GROUP) -> list[tuple[int, ...]]:
    """Divide cells into groups that can be trained side by side.

    Args:
        indices: Official indices of the cells, one for each function: ``representatives``.
        most: Maximum number of cells in a group.

    Returns:
        Groups of cells that share their live convolutions, of nearly equal size, cheap and expensive ones mixed.
    """
    alike: dict[tuple[tuple[int, int], ...], list[int]] = defaultdict(list)
    for index in sorted(indices):
        alike[tuple(convolutions(Cell.from_index(index)).items())].append(index)
    groups = []
    for members in alike.values():
        count = -(-len(members) // most)
        groups += [tuple(members[i::count]) for i in range(count)]
    # Sorting by official index is a random order: the estimate of the time left is good from the start.
    return sorted(groups)


def distinct_cells() -> tuple[int, ...]:
    """Return the official indices of the cells to train: one for each function."""
    return tuple(sorted(set(representatives())))


def train_group(
    cells: Sequence[Cell], data: ImageData, schedule: Schedule, trial: int
) -> tuple[list[TrainedCell], float]:
    """Train the networks of cells with the same live convolutions, on the CPU.

    The initial weights of a cell depend on (trial, cell), the order of the images only on the trial. The result of a
    cell therefore does not depend on its group, to the last bit.

    Returns:
        One outcome per cell, and the processor seconds of the whole group.
    """
    start = time.process_time()
    streams = Streams(trial)
    if len(cells) == 1:
        # torch computes a convolution with one group differently and rounds differently; with two it does not.
        outcomes, _ = train_group([*cells, *cells], data, schedule, trial)
        return outcomes[:1], time.process_time() - start
    size = len(cells)
    net = StackedNet(
        [normal_form(cell) for cell in cells],
        schedule.channels,
        schedule.cells,
        data.classes,
        reduction=data.reduction,
        generators=[streams.torch("table weights", cell.index) for cell in cells],
    )
    augment, train = Augment.for_data(data), data.train
    velocity = torch.zeros_like(net.flat)
    # Batches of equal size: the remaining images are left out of this epoch.
    batches = max(len(train) // schedule.batch_size, 1)
    steps, step = batches * schedule.epochs, 0
    valid = []
    for epoch in range(schedule.epochs):
        generator = streams.torch("table batches", epoch)
        order = torch.randperm(len(train), generator=generator)
        choices = augment.draw(len(train), generator)
        hits, losses = torch.zeros(size), torch.zeros(size)
        for which in torch.split(order, schedule.batch_size)[:batches]:
            images = _prepared(augment, train.pixels[which], choices[which])
            loss, right = _measure(net(images, training=True), train.labels[which])
            net.flat_grad.zero_()
            loss.mean(1).sum().backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                _descend(net, velocity, schedule, _rate(schedule, (step + 0.5) / steps))
                hits += right.sum(1)
                losses += loss.sum(1)
            step += 1
        seen = batches * min(schedule.batch_size, len(train))
        valid.append(_evaluate(net, augment, data.valid))
    test = _evaluate(net, augment, data.test)
    outcomes = [
        TrainedCell(
            train=(100 * float(hits[k]) / seen, float(losses[k]) / seen),
            valid=tuple(epoch[k] for epoch in valid),
            test=test[k],
        )
        for k in range(size)
    ]
    return outcomes, time.process_time() - start


def _rate(schedule: Schedule, done: float) -> float:
    """Return the learning rate after a fraction of all steps."""
    if done < schedule.warmup:
        return schedule.lr * done / schedule.warmup
    return schedule.lr * (1 - done) / (1 - schedule.warmup)


def _descend(net: StackedNet, velocity: Tensor, schedule: Schedule, rate: float) -> None:
    """Take one step of SGD with Nesterov momentum and weight decay on all parameters of all networks."""
    grad = net.flat_grad.add_(net.flat, alpha=schedule.weight_decay)
    velocity.mul_(MOMENTUM).add_(grad)
    net.flat.sub_(grad.add_(velocity, alpha=MOMENTUM), alpha=rate)


def _prepared(augment: Augment, pixels: Tensor, choices: Tensor) -> Tensor:
    moved = augment.pad > 0 or augment.flip
    images = augment(pixels, choices) if moved else augment.plain(pixels)
    return images.contiguous(memory_format=torch.channels_last)


def _measure(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return losses and hits, each (K, B), for logits (K, B, classes)."""
    size, batch, classes = logits.shape
    losses = F.cross_entropy(logits.view(-1, classes), labels.repeat(size), reduction="none").view(size, batch)
    return losses, logits.argmax(2) == labels


@torch.no_grad()
def _evaluate(net: StackedNet, augment: Augment, images: Images) -> list[tuple[float, float]]:
    """Return the accuracy in percent and the loss of each network."""
    hits, losses = torch.zeros(net.size), torch.zeros(net.size)
    for pixels, labels in zip(
        *(torch.split(part, _EVAL_BATCH) for part in (images.pixels, images.labels)), strict=True
    ):
        plain = augment.plain(pixels).contiguous(memory_format=torch.channels_last)
        loss, right = _measure(net(plain, training=False), labels)
        hits += right.sum(1)
        losses += loss.sum(1)
    n = len(images)
    return [(100 * float(hit) / n, float(loss) / n) for hit, loss in zip(hits, losses, strict=True)]
