"""Custom images: a folder with one folder per class, or an .npz file of arrays."""

from __future__ import annotations

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
