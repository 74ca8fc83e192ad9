"""Read official batch files: pickled dictionaries of ``data`` (n, 3*H*W), channel by channel, and labels.

Copies with ``data`` as (n, 3, H, W) or (n, H, W, 3) are read too.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nasbench_eval.errors import NbevalError
from nasbench_eval.images.catalogue import Found
from nasbench_eval.utils.safe_pickle import NUMPY_ARRAYS, restricted_load


class Batch(NamedTuple):
    """Images with their labels: uint8 (n, 3, H, W) and int64 (n,)."""

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]


class Format(NamedTuple):
    """The expected content of a data set's batch files."""

    side: int  # height and width in pixels
    labels: str  # key of the labels
    first: int  # smallest label in the file
    last: int  # largest label in the file


FORMATS = {
    "cifar-10-batches-py": Format(32, "labels", 0, 9),
    "cifar-100-python": Format(32, "fine_labels", 0, 99),
    "ImageNet16": Format(16, "labels", 1, 1000),
}


def read_images(found: Found, classes: int) -> tuple[Batch, Batch]:
    """Read the training and the test set of a data set, each in official order.

    Args:
        found: The files.
        classes: Keep only the images of the first ``classes`` classes (ImageNet16 has 1,000). Labels start at 0.

    Raises:
        NbevalError: If a file is damaged, or is not a batch file of this data set.
    """
    form = FORMATS[found.layout.folder]
    batches = {}
    for name, path, content in found.batches():
        whole = _checked(_load(content, path), form, path)
        kept = whole.labels < classes
        batches[name] = whole if kept.all() else Batch(whole.pixels[kept], whole.labels[kept])

    def joined(names: tuple[str, ...]) -> Batch:
        parts = [batches.pop(name) for name in names]
        if len(parts) == 1:
            return parts[0]
        return Batch(np.concatenate([part.pixels for part in parts]), np.concatenate([part.labels for part in parts]))

    return joined(found.layout.train), joined(found.layout.test)


def _load(content: bytes, path: Path) -> dict[str, Any]:
    """Unpickle one batch file; the keys become text, whether Python 2 (bytes) or Python 3 (text) wrote them."""
    # "bytes" keeps the strings of Python 2 as bytes: decoding the pixels to text and back only costs time.
    batch = restricted_load(io.BytesIO(content), NUMPY_ARRAYS, name=str(path), encoding="bytes")
    if not isinstance(batch, dict):
        raise NbevalError(f"{path} holds a {type(batch).__name__}, not a dictionary of images and labels")
    return {key.decode("latin1") if isinstance(key, bytes) else str(key): value for key, value in batch.items()}


def _checked(batch: dict[str, Any], form: Format, path: Path) -> Batch:
    """Return the images of a batch with labels from 0, or raise an error that says what is wrong with it."""
    missing = [key for key in ("data", form.labels) if key not in batch]
    if missing:
        raise NbevalError(f"{path} is not a batch file of this data set: it has no {' and no '.join(missing)}")
    data, written = batch["data"], batch[form.labels]
    size = 3 * form.side**2
    side = form.side
    layouts = ((size,), (3, side, side), (side, side, 3), (3, side * side))
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] not in layouts:
        shape = f"{data.dtype} {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        raise NbevalError(f"{path}: its images are {shape}, but must be uint8 (n, {size})")
    try:
        labels = np.asarray(written)
    except ValueError:  # lists of different lengths
        labels = np.empty(0)
    if labels.ndim != 1 or (labels.size and labels.dtype.kind not in "iu") or len(labels) != len(data):
        raise NbevalError(f"{path}: expected one integer label for each of its {len(data)} images")
    wrong = np.flatnonzero((labels < form.first) | (labels > form.last))
    if wrong.size:
        raise NbevalError(
            f"{path}: label {labels[wrong[0]]} of image {wrong[0]} is not in {form.first}..{form.last}: "
            "the file is damaged or not the official one"
        )
    if data.shape[1:] == (side, side, 3):  # channels last, as image libraries have them
        data = data.transpose(0, 3, 1, 2)
    # A pickled array may be a read-only view of the file's bytes; torch needs a writable one.
    pixels = np.require(data.reshape(-1, 3, side, side), requirements=["C", "W"])
    return Batch(pixels, labels.astype(np.int64) - form.first)
