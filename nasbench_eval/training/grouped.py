"""How the cells of a trained table are trained: a short, fixed schedule, several networks at a time."""

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
from nasbench_eval.networks.stacked import GroupNet
from nasbench_eval.training.recipes import Schedule
from nasbench_eval.utils.rng import Streams

MOMENTUM = 0.9
GROUP = 4
"""The most networks trained side by side."""

_EVAL_BATCH = 128


@dataclass(frozen=True)
class Outcome:
    """What one training of one cell gave; accuracies in percent, losses in nats.

    Attributes:
        train: Accuracy and loss on the batches of the last epoch, while it was trained on them.
        valid: Accuracy and loss after each epoch.
        test: Accuracy and loss at the end.
    """

    train: tuple[float, float]
    valid: tuple[tuple[float, float], ...]
    test: tuple[float, float]


def groups_of(indices: Sequence[int], most: int = GROUP) -> list[tuple[int, ...]]:
    """Part cells into groups that can be trained side by side.

    Args:
        indices: Official indices of cells, one for each function: ``representatives``.
        most: The most cells of a group.

    Returns:
        Groups of nearly equal size where cells share their live convolutions; cheap and expensive ones mixed.
    """
    alike: dict[tuple[tuple[int, int], ...], list[int]] = defaultdict(list)
    for index in sorted(indices):
        alike[tuple(convolutions(Cell.from_index(index)).items())].append(index)
    groups = []
    for members in alike.values():
        count = -(-len(members) // most)
        groups += [tuple(members[i::count]) for i in range(count)]
    # By lowest official index, which is a shuffled order: an estimate of the time left is good from the start.
    return sorted(groups)


def distinct_cells() -> tuple[int, ...]:
    """Return the official indices of the cells that are trained: one for each function."""
    return tuple(sorted(set(representatives())))


def train_group(cells: Sequence[Cell], data: ImageData, schedule: Schedule, trial: int) -> tuple[list[Outcome], float]:
    """Train the networks of some cells with the same live convolutions, on the CPU.

    The initial weights of a cell come from (trial, cell), the order of the images from the trial alone: what a cell
    trains on does not depend on the group it is in, and neither does the result, to the last bit.

    Returns:
        One outcome a cell, and the processor seconds of it all.
    """
    start = time.process_time()
    streams = Streams(trial)
    if len(cells) == 1:
        # A convolution of one group takes another way through the library and rounds otherwise: two keep to one way.
        outcomes, _ = train_group([*cells, *cells], data, schedule, trial)
        return outcomes[:1], time.process_time() - start
    size = len(cells)
    net = GroupNet(
        [normal_form(cell) for cell in cells],
        schedule.channels,
        schedule.cells,
        data.classes,
        reduction=data.reduction,
        generators=[streams.torch("table weights", cell.index) for cell in cells],
    )
    augment, train = Augment.for_data(data), data.train
    velocity = torch.zeros_like(net.flat)
    # Batches of one size: the images left over sit out this epoch.
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
        Outcome(
            train=(100 * float(hits[k]) / seen, float(losses[k]) / seen),
            valid=tuple(epoch[k] for epoch in valid),
            test=test[k],
        )
        for k in range(size)
    ]
    return outcomes, time.process_time() - start


def _rate(schedule: Schedule, done: float) -> float:
    """The learning rate at a share of all steps."""
    if done < schedule.warmup:
        return schedule.lr * done / schedule.warmup
    return schedule.lr * (1 - done) / (1 - schedule.warmup)


def _descend(net: GroupNet, velocity: Tensor, schedule: Schedule, rate: float) -> None:
    """One step of SGD with Nesterov momentum and weight decay, over all parameters of all networks."""
    grad = net.flat_grad.add_(net.flat, alpha=schedule.weight_decay)
    velocity.mul_(MOMENTUM).add_(grad)
    net.flat.sub_(grad.add_(velocity, alpha=MOMENTUM), alpha=rate)


def _prepared(augment: Augment, pixels: Tensor, choices: Tensor) -> Tensor:
    moved = augment.pad > 0 or augment.flip
    images = augment(pixels, choices) if moved else augment.plain(pixels)
    return images.contiguous(memory_format=torch.channels_last)


def _measure(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return loss and hit (K, B) of logits (K, B, classes)."""
    size, batch, classes = logits.shape
    losses = F.cross_entropy(logits.view(-1, classes), labels.repeat(size), reduction="none").view(size, batch)
    return losses, logits.argmax(2) == labels


@torch.no_grad()
def _evaluate(net: GroupNet, augment: Augment, images: Images) -> list[tuple[float, float]]:
    """Return accuracy in percent and loss of each network."""
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
