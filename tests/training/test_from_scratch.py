"""Training one cell from scratch: on which images."""

from __future__ import annotations

import dataclasses
from copy import deepcopy
from typing import Any

import pytest
import torch
from weight_sharing import stored

from nasbench_eval.cell import Cell
from nasbench_eval.errors import NbevalError
from nasbench_eval.images import ImageData, Images
from nasbench_eval.networks.standalone import StandaloneNet
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


def test_a_training_goes_on_as_if_never_stopped() -> None:
    cell, three = Cell((3, 3, 3, 3, 3, 3)), dataclasses.replace(SETTINGS, epochs=3)
    whole: list[dict[str, Any]] = []
    train_from_scratch(cell, data("cifar10"), three, Streams(0), on_epoch=lambda state: whole.append(deepcopy(state)))
    assert [state["epoch"] for state in whole] == [1, 2, 3]
    rest: list[dict[str, Any]] = []
    train_from_scratch(cell, data("cifar10"), three, Streams(0), begun=stored(whole[0]), on_epoch=rest.append)
    assert [state["epoch"] for state in rest] == [2, 3]
    torch.testing.assert_close(rest[-1]["net"], whole[-1]["net"], rtol=0, atol=0)
    assert not torch.equal(whole[0]["net"]["stem.0.weight"], whole[-1]["net"]["stem.0.weight"])


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


def test_the_learning_rate_falls_to_zero_by_a_cosine(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = []
    step = torch.optim.SGD.step

    def noting(self: torch.optim.SGD, *arguments: object) -> object:
        rates.append(self.param_groups[0]["lr"])
        return step(self, *arguments)

    monkeypatch.setattr(torch.optim.SGD, "step", noting)
    four = dataclasses.replace(SETTINGS, epochs=4, batch_size=64)
    train_from_scratch(Cell((3, 3, 3, 3, 3, 3)), data("cifar10"), four, Streams(0))
    assert rates == pytest.approx([0.1, 0.05 * (1 + 0.5**0.5), 0.05, 0.05 * (1 - 0.5**0.5)])


def test_training_images_are_augmented_and_test_images_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = StandaloneNet.forward
    cropped: dict[bool, list[bool]] = {True: [], False: []}

    def noting(self: StandaloneNet, images: torch.Tensor) -> torch.Tensor:
        # Images of one brightness: a crop beside the middle brings in a black border.
        cropped[self.training] += (images.flatten(1).max(1).values != images.flatten(1).min(1).values).tolist()
        return forward(self, images)

    monkeypatch.setattr(StandaloneNet, "forward", noting)
    padded = dataclasses.replace(data("cifar10"), pad=2)
    train_from_scratch(Cell((3, 3, 3, 3, 3, 3)), padded, dataclasses.replace(SETTINGS, epochs=1), Streams(0))
    assert len(cropped[True]) == 64
    assert sum(cropped[True]) > 48, "24 of 25 crops are beside the middle"
    assert cropped[False] == [False] * 32
