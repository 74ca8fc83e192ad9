"""Batches of the two steps: shuffled, augmented, and the same for every run with the same generator."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from nasbench_eval.images import Augment, Images
from nasbench_eval.utils.rng import Streams

Batch = tuple[Tensor, Tensor]
"""Augmented images (B, 3, H, W) and their labels (B,)."""


def augmented_batches(
    part: Images, augment: Augment, generator: torch.Generator, size: int, number: int | None = None
) -> Iterator[Batch]:
    """Yield augmented batches from shuffled passes over a part.

    Args:
        part: The images, on any device.
        augment: Augments and normalises them.
        generator: Draws order and augmentation, on the CPU.
        size: Images per batch; the last may have fewer.
        number: Images in all; by default one pass.
    """
    n = len(part) if number is None else number
    device = part.pixels.device
    passes = [torch.randperm(len(part), generator=generator) for _ in range(math.ceil(n / len(part)))]
    order = torch.cat(passes).narrow(0, 0, n).to(device)
    choices = augment.draw(n, generator).to(device)
    for at in range(0, n, size):
        count = min(size, n - at)
        which = order.narrow(0, at, count)
        pixels, labels = part.pixels.index_select(0, which), part.labels.index_select(0, which)
        yield augment(pixels, choices.narrow(0, at, count)), labels


def subset(part: Images, limit: int | None) -> Images:
    """Return a random subset of a part, the same for every seed."""
    if limit is None or limit >= len(part):
        return part
    return part.subset(torch.randperm(len(part), generator=Streams(0).torch("image subset"))[:limit])
