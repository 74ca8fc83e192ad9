"""Load a data set of the benchmark by name, from its official files or from scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nasbench_eval.errors import UsageError, unknown
from nasbench_eval.images.catalogue import DATASETS, find_images
from nasbench_eval.images.datasets import ImageData, Images
from nasbench_eval.images.digits import placed_digits
from nasbench_eval.images.readers import Batch, read_images
from nasbench_eval.images.splits import OFFICIAL, find_split, seeded_split, split_from_file


class _Traits(NamedTuple):
    classes: int
    mean: tuple[float, float, float]  # in 0..255, as the source writes them
    std: tuple[float, float, float]
    pad: int
    flip: bool


# AutoDL-Projects, xautodl/datasets/get_dataset_with_transform.py.
_TRAITS = {
    "cifar10": _Traits(10, (125.3, 123.0, 113.9), (63.0, 62.1, 66.7), 4, True),
    "cifar100": _Traits(100, (129.3, 124.1, 112.4), (68.2, 65.4, 70.4), 4, True),
    "imagenet16-120": _Traits(120, (122.68, 116.66, 104.01), (63.22, 61.26, 65.09), 2, True),
}


def load_images(name: str, *, root: Path | None = None, split_file: Path | None = None) -> ImageData:
    """Load a data set.

    Args:
        name: One of ``DATASETS``.
        root: The folder that holds the files (``--data``); by default as in ``find_images``.
        split_file: An official split file (``cifar-split.txt``, ``cifar100-test-split.txt``,
            ``imagenet-16-120-test-split.txt``), or ``official`` for that of the data set, as ``find_split`` finds it;
            by default nbeval's own seeded halves.

    Raises:
        UsageError: If the name is unknown, or a split file is given for digits.
        NbevalError: If files are missing, damaged, or not the official ones.
    """
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    if split_file == OFFICIAL:
        split_file = find_split(name, root)
    if name == "digits":
        if split_file is not None:
            raise UsageError("digits has no official split: leave out the split file")
        return placed_digits()
    found = find_images(name, root)
    train, test = read_images(found, _TRAITS[name].classes)
    whole = train if name == "cifar10" else test
    split = (
        seeded_split(name, len(whole.labels)) if split_file is None else split_from_file(split_file, len(whole.labels))
    )
    first, second = _take(whole, split.first), _take(whole, split.second)
    words = f"{'training' if name == 'cifar10' else 'test'} set halved: {split.words}"
    sizes, official = (len(train.labels), len(test.labels)), found.layout.images
    if sizes != official:
        words += f"; of {sizes[0]:,}+{sizes[1]:,} images, not the official {official[0]:,}+{official[1]:,}"
    if name == "cifar10":
        return _image_data(name, first, second, _images(test), words)
    return _image_data(name, _images(train), first, second, words)


def _image_data(name: str, train: Images, valid: Images, test: Images, split: str) -> ImageData:
    traits = _TRAITS[name]
    mean, std = (_unit(values) for values in (traits.mean, traits.std))
    return ImageData(name, traits.classes, train, valid, test, mean, std, traits.pad, traits.flip, split)


def _unit(values: tuple[float, float, float]) -> tuple[float, float, float]:
    red, green, blue = values
    return red / 255, green / 255, blue / 255


def _images(batch: Batch) -> Images:
    import torch

    return Images(torch.from_numpy(batch.pixels), torch.from_numpy(batch.labels))


def _take(batch: Batch, indices: npt.NDArray[np.int64]) -> Images:
    return _images(Batch(batch.pixels[indices], batch.labels[indices]))
