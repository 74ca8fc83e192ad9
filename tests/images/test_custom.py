"""Custom images: a folder with one folder per class, or an .npz file of arrays."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_cells import write_images

from nasbench_eval.errors import NbevalError
from nasbench_eval.images.custom import load_custom_images


def test_a_folder_of_images(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("cat", "ant"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(10):
            pixels = rng.integers(0, 255, (12, 12, 3), dtype=np.uint8)
            pixels[:, :, 0] = 255 if name == "cat" else 0
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.png")
    data = load_custom_images(tmp_path / "photos")
    assert (data.name, data.classes) == ("photos", 2)
    assert [len(part) for part in (data.train, data.valid, data.test)] == [12, 4, 4]
    # Classes are in the order of their names: cat, the red one, is 1.
    assert torch.equal(data.test.pixels[:, 0].float().mean((1, 2)) == 255, data.test.labels == 1)
    Image.new("RGB", (16, 16)).save(tmp_path / "photos" / "ant" / "big.png")
    with pytest.raises(NbevalError, match="make all images the same size"):
        load_custom_images(tmp_path / "photos")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_train": np.zeros((90, 10, 10), np.uint8)}, "must be square, with a side of 8, 12"),
        ({"x_train": np.zeros((90, 8, 8))}, "must be uint8"),
        ({"y_train": np.zeros(89, int)}, "one label"),
        ({"y_test": -np.ones(30, int)}, "one label"),
        ({"x_test": None}, "must be an .npz file with"),
    ],
)
def test_bad_arrays(change: dict[str, object], message: str, tmp_path: Path) -> None:
    arrays = {**np.load(write_images(tmp_path)), **change}
    np.savez(tmp_path / "bad.npz", **{name: value for name, value in arrays.items() if value is not None})
    with pytest.raises(NbevalError, match=message):
        load_custom_images(tmp_path / "bad.npz")


def saved(folder: Path, **change: object) -> Path:
    """Write the arrays of ``write_images`` with some changed."""
    arrays = {**np.load(write_images(folder)), **change}
    np.savez(folder / "changed.npz", **arrays)  # type: ignore[arg-type]
    return folder / "changed.npz"


LABELS = np.arange(90) % 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_train": LABELS + 1, "y_test": LABELS[:30] + 1}, "are 1 to 3, but must start at 0: subtract 1"),
        ({"y_train": LABELS * 2}, "3 different labels up to 4, but none is 1: number the classes 0, 1, 2"),
        ({"y_test": LABELS[:30] + 1}, "y_test has the label 3, which no training image has"),
        (
            {"y_train": np.where(np.arange(90) < 4, 1, 0), "y_test": np.zeros(30, int)},
            "class 1 of y_train has 4 images",
        ),
        ({"y_train": np.zeros(90, int), "y_test": np.zeros(30, int)}, "two or more classes are needed"),
        ({"x_train": np.zeros((0, 9, 9), np.uint8), "y_train": np.zeros(0, int)}, "must be square"),
        ({"x_train": np.zeros((90, 8, 8, 4), np.uint8)}, r"uint8 \(90, 8, 8, 4\), but must be uint8 \(n, H, W\)"),
        ({"y_train": np.eye(3)[LABELS]}, "expected one label"),
    ],
)
def test_labels_and_images_that_mean_something_else_are_refused(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(NbevalError, match=message) as caught:
        load_custom_images(saved(tmp_path, **change))
    assert len(str(caught.value).splitlines()) == 1


def test_channels_may_come_first_or_last(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 255, (120, 8, 8, 3), dtype=np.uint8)
    last = load_custom_images(saved(tmp_path, x_train=colours[:90], x_test=colours[90:]))
    first = np.ascontiguousarray(colours.transpose(0, 3, 1, 2))
    same = load_custom_images(saved(tmp_path, x_train=first[:90], x_test=first[90:]))
    assert torch.equal(last.test.pixels, torch.from_numpy(first[90:]))
    assert torch.equal(same.test.pixels, last.test.pixels)
    assert torch.equal(same.train.pixels, last.train.pixels)


def photos(folder: Path, **counts: int) -> Path:
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (8, 8), (i, i, i)).save(folder / name / f"{i}.png")
    return folder


@pytest.mark.parametrize("count", range(5, 26))
def test_five_images_of_a_class_are_enough_for_every_part(count: int, tmp_path: Path) -> None:
    data = load_custom_images(photos(tmp_path / "photos", ant=count, bee=5))
    for part in (data.train, data.valid, data.test):
        assert part.labels.unique().tolist() == [0, 1]


def test_a_class_with_too_few_images_is_named(tmp_path: Path) -> None:
    with pytest.raises(NbevalError, match=r"bee has 4 images to split, but every class needs 5 or more"):
        load_custom_images(photos(tmp_path / "a", ant=9, bee=4))
    with pytest.raises(NbevalError, match=r"empty has 0 images"):
        load_custom_images(photos(tmp_path / "b", ant=9, bee=9, empty=0))


def test_damaged_images_and_other_files_are_one_line(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", ant=5, bee=5)
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(folder / "bee" / "deep.png")
    with pytest.raises(NbevalError, match=r"deep\.png has more than 8 bits per channel"):
        load_custom_images(folder)
    whole = (folder / "ant" / "0.png").read_bytes()
    (folder / "bee" / "deep.png").write_bytes(whole[:40])
    with pytest.raises(NbevalError, match=r"cannot read the image .*deep\.png"):
        load_custom_images(folder)
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "cut.npz").write_bytes(write_images(tmp_path).read_bytes()[:3000])
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (90, 8, 8, }".ljust(117) + b"\n"  # never closed
    with zipfile.ZipFile(tmp_path / "header.npz", "w") as archive:
        archive.writestr("x_train.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    for name in ("one.npy", "empty.npz", "cut.npz", "header.npz"):
        with pytest.raises(NbevalError, match=r"must be an \.npz file with x_train") as caught:
            load_custom_images(tmp_path / name)
        assert len(str(caught.value).splitlines()) == 1
