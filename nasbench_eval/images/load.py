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
from nasbench_eval.images.splits import HALVED_TEST, OFFICIAL, chosen_split, find_split, seeded_split, split_from_file


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
            ``imagenet-16-120-test-split.txt``), ``official`` for that of the data set, as ``find_split`` finds it, or
            ``seeded`` for nbeval's own seeded halves; by default ``official`` for data sets of which the test set is
            halved (if the files hold the official number of images), ``seeded`` for the others.

    Raises:
        UsageError: If the name is unknown, or a split file is given for digits.
        NbevalError: If files are missing, damaged, or not the official ones.
    """
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    chosen = chosen_split(name, split_file)
    if name == "digits":
        if chosen is not None:
            raise UsageError("digits has no official split: leave out the split file")
        return placed_digits()
    if split_file == OFFICIAL:
        chosen = find_split(name, root)
    found = find_images(name, root)
    train, test = read_images(found, _TRAITS[name].classes)
    whole = test if name in HALVED_TEST else train
    sizes, official = (len(train.labels), len(test.labels)), found.layout.images
    if chosen == OFFICIAL:
        # The official file halves no other number of images.
        chosen = find_split(name, root) if sizes == official else None
    n = len(whole.labels)
    split = seeded_split(name, n) if chosen is None else split_from_file(chosen, n)
    first, second = _take(whole, split.first), _take(whole, split.second)
    words = f"{'test' if name in HALVED_TEST else 'training'} set halved: {split.words}"
    if chosen is None and name in HALVED_TEST:
        words += ", about half of the valid images are among those of the table's test accuracies"
    if sizes != official:
        words += f"; of {sizes[0]:,}+{sizes[1]:,} images, not the official {official[0]:,}+{official[1]:,}"
    if name in HALVED_TEST:
        return _image_data(name, _images(train), first, second, words)
    return _image_data(name, first, second, _images(test), words)


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
