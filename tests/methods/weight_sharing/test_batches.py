"""Batches of a weight-sharing search: shuffled passes over augmented images."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from nasbench_eval.images import Augment, Images
from nasbench_eval.methods.weight_sharing.batches import augmented_batches
from nasbench_eval.utils.rng import Streams


def generator(purpose: str = "test") -> torch.Generator:
    return Streams(5).torch(purpose)


PART = Images(torch.randint(1, 256, (20, 3, 4, 4), generator=generator("pixels")).to(torch.uint8), torch.arange(20))


AUGMENT = Augment((0.5, 0.4, 0.3), (0.2, 0.3, 0.1), pad=1, flip=True)


def treatments(image: torch.Tensor) -> torch.Tensor:
    """All that the augmentation can make of an image: 9 crops, mirrored or not."""
    padded = F.pad(image, (1,) * 4)
    crops = [padded[:, row : row + 4, column : column + 4] for row in range(3) for column in range(3)]
    return AUGMENT.plain(torch.stack([*crops, *(crop.flip(-1) for crop in crops)]))


def test_batches_are_shuffled_passes_over_augmented_images() -> None:
    batches = list(augmented_batches(PART, AUGMENT, generator(), 8, 50))
    assert [len(labels) for _, labels in batches] == [8] * 6 + [2]
    pixels, labels = (torch.cat(each) for each in zip(*batches, strict=True))
    first, second = labels[:20].tolist(), labels[20:40].tolist()
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second
    assert list(range(20)) not in (first, second)
    used = set()
    for image, label in zip(pixels, labels, strict=True):
        same = (treatments(PART.pixels[label]) == image).flatten(1).all(1).nonzero()
        assert len(same) == 1
        used.add(same.item())
    assert len(used) > 9, "50 images are not all cropped alike"
    assert {choice // 9 for choice in used} == {0, 1}, "mirrored and not"


def test_batches_are_those_of_their_generator() -> None:
    def all_of(purpose: str) -> torch.Tensor:
        return torch.cat([pixels for pixels, _ in augmented_batches(PART, AUGMENT, generator(purpose), 8)])

    assert torch.equal(all_of("a"), all_of("a"))
    assert not torch.equal(all_of("a"), all_of("b"))
