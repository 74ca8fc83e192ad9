"""Training one cell from scratch: on which images."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from nasbench_eval.cell import Cell
from nasbench_eval.errors import NbevalError
from nasbench_eval.images import ImageData, Images
from nasbench_eval.training.from_scratch import train_from_scratch
from nasbench_eval.training.recipes import TrainingSettings
from nasbench_eval.utils.rng import Streams
from runners.lookup import train_note

SETTINGS = TrainingSettings(channels=2, cells=1, epochs=6, batch_size=16, lr=0.1, weight_decay=5e-4)


def plain(brightness: list[int]) -> Images:
    """Images of one brightness each; the dark ones are of class 0, the bright ones of class 1."""
    pixels = torch.tensor(brightness, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 8, 8).contiguous()
    return Images(pixels, torch.tensor([int(value > 100) for value in brightness]))


def data(name: str) -> ImageData:
    """All dark images are in the train part, all bright ones in the valid part."""
    dark, bright = [10 + i for i in range(32)], [200 + i for i in range(32)]
    half = (0.5, 0.5, 0.5)
    parts = plain(dark), plain(bright), plain(dark[::2] + bright[::2])
    return ImageData(name, 2, *parts, mean=half, std=half, pad=0, flip=False, split="")


@pytest.mark.parametrize(("name", "accuracy"), [("cifar10", 100.0), ("cifar100", 50.0)])
def test_the_valid_part_is_trained_on_where_it_is_training_data(name: str, accuracy: float) -> None:
    """The test accuracy of the benchmark on CIFAR-10 is that of a network trained on both parts."""
    cell = Cell((3, 3, 3, 3, 3, 3))
    assert train_from_scratch(cell, data(name), SETTINGS, Streams(0)) == accuracy


def test_a_training_that_diverges_has_no_accuracy() -> None:
    wild = dataclasses.replace(SETTINGS, lr=1e30)
    with pytest.raises(NbevalError, match=r"diverged in epoch 1: the search is kept"):
        train_from_scratch(Cell((3, 3, 3, 3, 3, 3)), data("cifar10"), wild, Streams(0))


def test_a_training_that_diverges_in_its_last_step_has_no_accuracy() -> None:
    wild = dataclasses.replace(SETTINGS, lr=1e20, epochs=1, batch_size=64)  # one step, whose loss is that before it
    with pytest.raises(NbevalError, match=r"diverged in its last step: the search is kept"):
        train_from_scratch(Cell((3, 3, 3, 3, 3, 3)), data("cifar10"), wild, Streams(0))


def test_the_note_names_the_images() -> None:
    published = dataclasses.replace(SETTINGS)
    assert "on 64 train and valid images, tested on 32" in train_note(SETTINGS, published, data("cifar10"))
    assert "on 32 train images, tested on 32" in train_note(SETTINGS, published, data("cifar100"))
