"""Image data sets in NAS-Bench-201's three parts, held in memory as uint8 tensors."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch
    from torch import Tensor


Reduction = Literal["residual", "pooling"]
"""The reduction between stages: NAS-Bench-201's residual block, or average pooling and a 1x1 convolution."""


@dataclass(frozen=True)
class Images:
    """One part of a data set.

    Attributes:
        pixels: uint8 (n, 3, H, W).
        labels: int64 (n,).
    """

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> Images:
        """Return the images on a device."""
        return Images(self.pixels.to(device), self.labels.to(device))

    def subset(self, indices: Tensor) -> Images:
        """Return the images at ``indices`` (int64, on the same device), in that order."""
        return Images(self.pixels.index_select(0, indices), self.labels.index_select(0, indices))


@dataclass(frozen=True)
class ImageData:
    """A data set in the three parts of NAS-Bench-201 (section 2.3 of the paper), and how its images are prepared.

    Attributes:
        name: One of ``DATASETS``.
        classes: Number of classes; labels are 0 to classes - 1.
        train: cifar10: half of the official training set; cifar100, imagenet16-120: all of it.
        valid: cifar10: the other half; cifar100, imagenet16-120: half of the official test (validation) set.
        test: cifar10: the official test set; cifar100, imagenet16-120: the other half.
        mean: Mean per channel, of pixels in 0..1.
        std: Standard deviation per channel, of pixels in 0..1.
        pad: Padding of the random crop in pixels.
        flip: Whether images may be mirrored without leaving their class.
        split: How the parts were made, in words for the record of a run.
        reduction: The reduction between the stages of every network on these images.
    """

    name: str
    classes: int
    train: Images
    valid: Images
    test: Images
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    pad: int
    flip: bool
    split: str
    reduction: Reduction = "residual"

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of all pixels and labels, in hexadecimal."""
        found = hashlib.sha256()
        for part in (self.train, self.valid, self.test):
            found.update(part.pixels.contiguous().numpy().data)
            found.update(part.labels.contiguous().numpy().data)
        return found.hexdigest()

    @property
    def valid_is_training_data(self) -> bool:
        """Whether train and valid make up the official training set; otherwise networks train on train alone."""
        return self.name == "cifar10"

    @property
    def training_set(self) -> Images:
        """What a network whose test accuracy is reported trains on: train and valid where both are training data.

        The benchmark's test accuracy on CIFAR-10 is that of a network trained on all 50,000 training images.
        """
        if not self.valid_is_training_data:
            return self.train
        import torch

        parts = self.train, self.valid
        return Images(torch.cat([part.pixels for part in parts]), torch.cat([part.labels for part in parts]))
