"""scikit-learn's digits at random places of a larger canvas, with noise.

The 8x8 digits alone do not tell cells apart, nearly every network reads them. Here a network has to find the digit in
the noise, and what halves the maps between its stages is linear: all but stem and classifier is up to the cell. The
seed is fixed: everybody has the same images, byte for byte, whatever the machine or the version of numpy. How canvas,
noise, placements and network were chosen is in ``docs/digits.md``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nasbench_eval.images.datasets import ImageData, Images
from nasbench_eval.images.splits import SPLIT_SEED, stratified_parts
from nasbench_eval.utils.rng import Streams

CANVAS = 12
"""Side of an image in pixels; the network halves it twice."""

NOISE = 0.2
"""Standard deviation of the noise, where black is 0 and white is 1."""

SHARES = (0.55, 0.2, 0.25)
"""Of the source digits of every class, for train, valid and test: no digit is in two parts."""

PLACEMENTS = (4, 4, 12)
"""How often each source digit is placed, in train, valid and test."""

_SIDE = 8
_UNIFORM_STD = 65536 / 3**0.5  # of the sum of four uniform 16-bit numbers
_UNIFORM_MEAN = 2 * 65535


class _Part(NamedTuple):
    grey: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]


def placed_digits() -> ImageData:
    """Make the data set.

    Returns:
        Grey images as uint8 (n, 3, 12, 12) with three equal channels: 3,956 to train on, 1,432 valid, 5,400 test.
    """
    import torch
    from sklearn.datasets import load_digits

    digits = load_digits()
    grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    labels = np.asarray(digits.target, dtype=np.int64)
    sources, words = stratified_parts("placed digits", labels, SHARES)
    parts = [
        _place(name, _Part(grey[which], labels[which]), times)
        for name, which, times in zip(("train", "valid", "test"), sources, PLACEMENTS, strict=True)
    ]
    train, valid, test = (
        Images(torch.from_numpy(np.repeat(part.grey[:, None], 3, axis=1)), torch.from_numpy(part.labels))
        for part in parts
    )
    mean, std = (float(value) / 255 for value in (parts[0].grey.mean(), parts[0].grey.std()))
    split = f"source digits in a {words}; each placed {'/'.join(map(str, PLACEMENTS))} times"
    return ImageData(
        "digits",
        10,
        train,
        valid,
        test,
        (mean,) * 3,
        (std,) * 3,
        pad=0,
        flip=False,
        split=f"{split}; networks with pooling reductions",
        reduction="pooling",
    )


def _place(name: str, source: _Part, times: int) -> _Part:
    """Place every digit ``times`` times; placement by placement, so that a prefix holds every digit."""
    n = len(source.labels) * times
    # Raw draws and integer arithmetic only: they are the same everywhere, distributions are not promised to be.
    bits = Streams(SPLIT_SEED).numpy(f"placed digits {name}").bit_generator
    choices, noise = bits.random_raw(n), bits.random_raw(n * CANVAS * CANVAS).reshape(n, CANVAS, CANVAS)
    free = np.uint64(CANVAS - _SIDE + 1)
    rows, columns = (choices >> np.uint64(8)) % free, (choices >> np.uint64(24)) % free
    canvas = np.zeros((n, CANVAS, CANVAS))
    for i, (row, column) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        canvas[i, row : row + _SIDE, column : column + _SIDE] = source.grey[i % len(source.labels)]
    canvas += 255 * NOISE * _nearly_normal(noise)
    return _Part(np.rint(canvas.clip(0, 255)).astype(np.uint8), np.tile(source.labels, times))


def _nearly_normal(raw: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    """Make of each 64-bit number the standardised sum of its four 16-bit parts."""
    parts = raw[..., None].view(np.uint16)  # in whatever order: it is a sum
    total: npt.NDArray[np.int64] = parts.sum(-1, dtype=np.int64)
    return (total - _UNIFORM_MEAN) / _UNIFORM_STD
