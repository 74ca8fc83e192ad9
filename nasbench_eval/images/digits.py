"""scikit-learn's digits at random positions on a larger canvas, with noise.

The 8x8 digits alone do not separate good cells from bad: nearly every network reads them. Here a network has to find
the digit in the noise, and the reductions between its stages are linear, so that everything between stem and
classifier depends on the cell. The seed is fixed: the images are the same, byte for byte, on every machine and with
every version of numpy. ``docs/digits.md`` says how canvas, noise, placements and network were chosen.
"""

from __future__ import annotations

import importlib.util
import zlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nasbench_eval.errors import NbevalError
from nasbench_eval.images.datasets import ImageData, Images
from nasbench_eval.images.splits import SPLIT_SEED, stratified_parts
from nasbench_eval.utils.rng import Streams

CANVAS = 12
"""Height and width of an image in pixels; the network halves them twice."""

NOISE = 0.2
"""Standard deviation of the noise, where black is 0 and white is 1."""

SHARES = (0.55, 0.2, 0.25)
"""Shares of the source digits of every class in train, valid and test; no digit is in two parts."""

PLACEMENTS = (4, 4, 12)
"""How many times each source digit is placed in train, valid and test."""

_SIDE = 8
_UNIFORM_STD = 65536 / 3**0.5  # of the sum of four uniform 16-bit numbers
_UNIFORM_MEAN = 2 * 65535


class _Part(NamedTuple):
    grey: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]


def source_digits() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Read scikit-learn's digits from its data file, without importing scikit-learn, which takes over a second.

    Returns:
        Images, float64 (1797, 8, 8) with values 0 to 16, and labels, int64 (1797,): the arrays of ``load_digits``.

    Raises:
        NbevalError: If scikit-learn or its file of digits is missing, or the file is damaged.
    """
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise NbevalError("the digits come with scikit-learn, which is not installed: pip install scikit-learn")
    path = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    try:
        values = np.loadtxt(path, delimiter=",")
        if values.shape != (1797, _SIDE**2 + 1):
            raise ValueError(f"it holds {values.shape} numbers, expected (1797, 65)")
        return values[:, :-1].reshape(-1, _SIDE, _SIDE), values[:, -1].astype(np.int64)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise NbevalError(
            f"cannot read scikit-learn's digits at {path} ({error}): pip install --force-reinstall scikit-learn"
        ) from error


@cache
def placed_digits() -> ImageData:
    """Make the data set; made once per process.

    Returns:
        Grey images as uint8 (n, 3, 12, 12) with three equal channels: 3,956 in train, 1,432 in valid, 5,400 in test.

    Raises:
        NbevalError: As :func:`source_digits`.
    """
    import torch

    images, labels = source_digits()
    grey = np.rint(images * (255 / 16)).astype(np.uint8)
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
    """Place every digit ``times`` times, one placement of all after the other, so that a prefix holds every digit."""
    n = len(source.labels) * times
    # Raw draws and integer arithmetic are the same everywhere; numpy does not promise that for its distributions.
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
    """Return, for each 64-bit number, the standardised sum of its four 16-bit parts."""
    parts = raw[..., None].view(np.uint16)  # the byte order does not matter to the sum
    total: npt.NDArray[np.int64] = parts.sum(-1, dtype=np.int64)
    return (total - _UNIFORM_MEAN) / _UNIFORM_STD
