"""Custom image data sets: a folder with one folder per class, or an .npz file of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nasbench_eval.errors import NbevalError
from nasbench_eval.images.datasets import ImageData, Images
from nasbench_eval.images.splits import stratified_parts
from nasbench_eval.utils.files import DAMAGED, in_one_line
from nasbench_eval.utils.paths import children, is_dir, named, unreadable

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")

FEWEST = 5
"""The fewest images of a class that are split: one fifth is the smallest part."""

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


def data_set_name(path: Path) -> str:
    """Return the name of the custom data set at a path: that of the folder or file, without its suffix.

    Raises:
        NbevalError: If the path is the root folder, which has none.
    """
    if not (name := named(path).stem):
        raise NbevalError(f"{path} has no name: give a folder of images that has one, or an .npz file")
    return name


def load_custom_images(path: Path) -> ImageData:
    """Read a custom data set: square images of one size, whose side can be halved twice.

    Args:
        path: A folder with one folder per class, in the order of their names: three fifths of every class become
            train, one fifth valid and one fifth test. Or an .npz file with ``x_train``, ``y_train``, ``x_test``,
            ``y_test``, images as uint8 (n, H, W), (n, H, W, 1 or 3) or (n, 1 or 3, H, W), labels 0 to classes - 1:
            one fifth of the training images of every class becomes valid. The split is seeded, and so always the
            same. Every class needs ``FEWEST`` images to split.

    Raises:
        NbevalError: If the path is neither, or the images or labels are not as described.
    """
    name = data_set_name(path)
    train, valid, test, classes, split = _from_folder(path) if is_dir(path) else _from_npz(path)
    pixels = train[0].astype(np.float32) / 255
    # Images of a single colour have no spread: at least one grey level.
    mean, std = pixels.mean((0, 2, 3)).tolist(), pixels.std((0, 2, 3)).clip(1 / 255).tolist()
    return ImageData(
        name,
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
    classes = [child for child in children(folder) if is_dir(child) and not child.name.startswith(".")]
    files = [(file, label) for label, child in enumerate(classes) for file in children(child)]
    files = [(file, label) for file, label in files if file.suffix.lower() in SUFFIXES]
    if len({label for _, label in files}) < 2:
        raise NbevalError(
            f"{folder} must have a folder of images ({', '.join(SUFFIXES)}) for each of two or more classes"
        )
    _check_counts(np.array([label for _, label in files]), [str(child) for child in classes])
    arrays: list[Pixels] = []
    for file, _ in files:
        arrays.append(_read(file))
        if arrays[-1].shape != arrays[0].shape:
            raise NbevalError(
                f"{file} is {_size(arrays[-1])} pixels, {files[0][0]} is {_size(arrays[0])}: "
                "make all images the same size"
            )
    labels = np.array([label for _, label in files], dtype=np.int64)
    pixels = _checked(np.stack(arrays), labels, folder)
    parts, split = stratified_parts(named(folder).name, labels, (0.6, 0.2, 0.2))
    train, valid, test = ((pixels[which], labels[which]) for which in parts)
    return train, valid, test, len(classes), split


def _read(file: Path) -> Pixels:
    from PIL import Image

    try:
        with Image.open(file) as image:
            if image.mode == "F" or image.mode.startswith("I"):
                raise NbevalError(f"{file} has more than 8 bits per channel: convert the images to 8 bits")
            return np.asarray(image.convert("RGB"))
    except (OSError, EOFError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise NbevalError(f"cannot read the image {file}: {error}") from None


def _check_counts(labels: npt.NDArray[np.generic], names: Sequence[str]) -> None:
    """Check that every class, named for the message, has enough images to split."""
    counts = np.bincount(labels.astype(np.int64), minlength=len(names))
    if counts.min() < FEWEST:
        fewest = int(counts.argmin())
        raise NbevalError(
            f"{names[fewest]} has {counts[fewest]} images to split, but every class needs {FEWEST} or more"
        )


def _size(array: Pixels) -> str:
    return f"{array.shape[1]}x{array.shape[0]}"


def _from_npz(path: Path) -> tuple[_Part, _Part, _Part, int, str]:
    names = ("x_train", "y_train", "x_test", "y_test")
    try:
        # numpy leaves a file open that it opened itself and cannot read.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            x, y, x_test, y_test = (file[name] for name in names)
    except FileNotFoundError:
        raise NbevalError(f"no images at {path}") from None
    except PermissionError as error:
        raise unreadable(path, error) from None
    except DAMAGED as error:
        raise NbevalError(f"{path} must be an .npz file with {', '.join(names)}: {in_one_line(error)}") from None
    whole, test = ((_checked(p, q, path), q.reshape(-1).astype(np.int64)) for p, q in ((x, y), (x_test, y_test)))
    if whole[0].shape[1:] != test[0].shape[1:]:
        raise NbevalError(f"{path}: the images of x_train and x_test have different sizes")
    classes = _classes(whole[1], test[1], path)
    (train, valid), split = stratified_parts(path.stem, whole[1], (0.8, 0.2))
    return (
        _subset(whole, train),
        _subset(whole, valid),
        test,
        classes,
        f"test as given; of the training images a {split}",
    )


def _classes(train: Labels, test: Labels, path: Path) -> int:
    """Return the number of classes, after checking that the labels are those of classes that can be learned."""
    known = np.unique(train)
    if known[0] > 0:
        raise NbevalError(
            f"{path}: the labels in y_train are {known[0]} to {known[-1]}, but must start at 0: "
            f"subtract {known[0]} from y_train and y_test"
        )
    gaps = np.setdiff1d(np.arange(len(known)), known)
    if gaps.size:
        raise NbevalError(
            f"{path}: y_train has {len(known)} different labels up to {known[-1]}, but none is {gaps[0]}: "
            "number the classes 0, 1, 2, ..."
        )
    strange = np.setdiff1d(test, known)
    if strange.size:
        raise NbevalError(f"{path}: y_test has the label {strange[0]}, which no training image has")
    if len(known) < 2:
        raise NbevalError(f"{path}: all training images have the same label, but two or more classes are needed")
    _check_counts(train, [f"{path}: class {label} of y_train" for label in known])
    return len(known)


def _subset(part: _Part, which: npt.NDArray[np.int64]) -> _Part:
    return part[0][which], part[1][which]


def _checked(pixels: npt.NDArray[np.generic], labels: npt.NDArray[np.generic], path: Path) -> Pixels:
    """Return the images as uint8 (n, 3, H, W), or raise an error that says what is wrong with them."""
    given = pixels.shape
    if pixels.ndim == 3:
        pixels = pixels[..., None]
    # No image is 1 or 3 pixels wide: whichever axis has that length holds the channels.
    elif pixels.ndim == 4 and pixels.shape[1] in (1, 3) and pixels.shape[3] not in (1, 3):
        pixels = pixels.transpose(0, 2, 3, 1)
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] not in (1, 3):
        raise NbevalError(
            f"{path}: images are {pixels.dtype} {given}, but must be uint8 (n, H, W), (n, H, W, 1 or 3) or "
            "(n, 1 or 3, H, W)"
        )
    height, side = pixels.shape[1:3]
    if side != height or side < 8 or side % 4:
        raise NbevalError(
            f"{path}: images are {side}x{height} pixels, but must be square, with a side of 8, 12, 16, ... pixels"
        )
    if labels.size != len(pixels) or labels.dtype.kind not in "iu" or not labels.size or int(labels.min()) < 0:
        raise NbevalError(f"{path}: expected one label, 0 or higher, for each of the {len(pixels)} images")
    return np.broadcast_to(pixels.transpose(0, 3, 1, 2), (len(pixels), 3, side, side)).astype(np.uint8)
