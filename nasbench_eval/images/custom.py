"""Custom image data sets: a folder with one folder per class, or an .npz file of arrays."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nasbench_eval.errors import NbevalError
from nasbench_eval.images.datasets import ImageData, Images
from nasbench_eval.images.splits import stratified_parts

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


def load_custom_images(path: Path) -> ImageData:
    """Read a custom data set: square images of one size, whose side can be halved twice.

    Args:
        path: A folder with one folder per class, in the order of their names: three fifths of every class become
            train, one fifth valid and one fifth test. Or an .npz file with ``x_train``, ``y_train``, ``x_test``,
            ``y_test``, images as uint8 (n, H, W) or (n, H, W, 1 or 3), labels from 0: one fifth of the training
            images of every class becomes valid. The split is seeded, and so always the same.

    Raises:
        NbevalError: If the path is neither, or the images or labels are not as described.
    """
    train, valid, test, classes, split = _from_folder(path) if path.is_dir() else _from_npz(path)
    pixels = train[0].astype(np.float32) / 255
    # Images of a single colour have no spread: at least one grey level.
    mean, std = pixels.mean((0, 2, 3)).tolist(), pixels.std((0, 2, 3)).clip(1 / 255).tolist()
    return ImageData(
        path.stem,
        classes,
        _images(*train),
        _images(*valid),
        _images(*test),
        mean=(mean[0], mean[1], mean[2]),
        std=(std[0], std[1], std[2]),
        pad=0,
        flip=False,
        split=split,
    )


def _images(pixels: Pixels, labels: Labels) -> Images:
    import torch

    return Images(torch.from_numpy(np.ascontiguousarray(pixels)), torch.from_numpy(labels))


_Part = tuple[Pixels, Labels]


def _from_folder(folder: Path) -> tuple[_Part, _Part, _Part, int, str]:
    from PIL import Image, UnidentifiedImageError

    classes = sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
    files = [(file, label) for label, child in enumerate(classes) for file in sorted(child.iterdir())]
    files = [(file, label) for file, label in files if file.suffix.lower() in SUFFIXES]
    if len({label for _, label in files}) < 2:
        raise NbevalError(
            f"{folder} must have a folder of images ({', '.join(SUFFIXES)}) for each of two or more classes"
        )
    arrays: list[Pixels] = []
    for file, _ in files:
        try:
            with Image.open(file) as image:
                arrays.append(np.asarray(image.convert("RGB")))
        except (OSError, UnidentifiedImageError) as error:
            raise NbevalError(f"cannot read the image {file}: {error}") from None
        if arrays[-1].shape != arrays[0].shape:
            raise NbevalError(
                f"{file} is {_size(arrays[-1])} pixels, {files[0][0]} is {_size(arrays[0])}: "
                "make all images the same size"
            )
    labels = np.array([label for _, label in files], dtype=np.int64)
    pixels = _checked(np.stack(arrays), labels, folder)
    parts, split = stratified_parts(folder.name, labels, (0.6, 0.2, 0.2))
    train, valid, test = ((pixels[which], labels[which]) for which in parts)
    return train, valid, test, len(classes), split


def _size(array: Pixels) -> str:
    return f"{array.shape[1]}x{array.shape[0]}"


def _from_npz(path: Path) -> tuple[_Part, _Part, _Part, int, str]:
    names = ("x_train", "y_train", "x_test", "y_test")
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            x, y, x_test, y_test = (file[name] for name in names)
    except FileNotFoundError:
        raise NbevalError(f"no images at {path}") from None
    except (
        KeyError,
        OSError,
        EOFError,
        RuntimeError,
        TypeError,
        ValueError,
        MemoryError,
        zlib.error,
        zipfile.BadZipFile,
    ) as error:
        raise NbevalError(f"{path} must be an .npz file with {', '.join(names)}: {error}") from None
    whole, test = ((_checked(p, q, path), q.reshape(-1).astype(np.int64)) for p, q in ((x, y), (x_test, y_test)))
    if whole[0].shape[1:] != test[0].shape[1:]:
        raise NbevalError(f"{path}: the images of x_train and x_test have different sizes")
    classes = int(max(whole[1].max(), test[1].max())) + 1
    (train, valid), split = stratified_parts(path.stem, whole[1], (0.8, 0.2))
    return (
        _subset(whole, train),
        _subset(whole, valid),
        test,
        classes,
        f"test as given; of the training images a {split}",
    )


def _subset(part: _Part, which: npt.NDArray[np.int64]) -> _Part:
    return part[0][which], part[1][which]


def _checked(pixels: npt.NDArray[np.generic], labels: npt.NDArray[np.generic], path: Path) -> Pixels:
    """Return the images as uint8 (n, 3, H, W), or raise an error that says what is wrong with them."""
    if pixels.ndim == 3:
        pixels = pixels[..., None]
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] not in (1, 3):
        raise NbevalError(
            f"{path}: images are {pixels.dtype} {pixels.shape}, but must be uint8 (n, H, W) or (n, H, W, 1 or 3)"
        )
    side = pixels.shape[1]
    if side != pixels.shape[2] or side < 8 or side % 4:
        raise NbevalError(
            f"{path}: images are {_size(pixels[0])} pixels, but must be square, with a side of 8, 12, 16, ... pixels"
        )
    if labels.size != len(pixels) or labels.dtype.kind not in "iu" or not labels.size or int(labels.min()) < 0:
        raise NbevalError(f"{path}: expected one label, 0 or higher, for each of the {len(pixels)} images")
    return np.broadcast_to(pixels.transpose(0, 3, 1, 2), (len(pixels), 3, side, side)).astype(np.uint8)
