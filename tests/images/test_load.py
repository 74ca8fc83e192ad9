"""Official image files become tensors in NAS-Bench-201's parts; anything else is one clear line of error."""

import dataclasses
import hashlib
import io
import os
import pickle
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from nasbench_eval.errors import NbevalError, UsageError
from nasbench_eval.images import DATASETS, load_images
from nasbench_eval.images.catalogue import LAYOUTS, find_images
from nasbench_eval.images.digits import placed_digits
from nasbench_eval.images.splits import SEEDED, SPLIT_FILES, SplitFile


class Python2Pickler(pickle._Pickler):
    """Writes pickles like Python 2 and numpy 1, which wrote the official files: byte strings, ``numpy.core``."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_text(self, text):
        raw = text.encode() if isinstance(text, str) else text
        self.write(pickle.BINSTRING + struct.pack("<i", len(raw)) + raw)
        self.memoize(text)

    def save_function(self, function):
        self.write(f"cnumpy.core.multiarray\n{function.__name__}\n".encode())
        self.memoize(function)

    dispatch[str] = dispatch[bytes] = save_text
    dispatch[type(np.empty(0).__reduce__()[0])] = save_function


def dump(batch, protocol=None):
    """Pickle a batch as Python 2 did, or with a protocol of Python 3."""
    if protocol is not None:
        return pickle.dumps(batch, protocol)
    file = io.BytesIO()
    Python2Pickler(file, 2).dump(batch)
    return file.getvalue()


def pixels(n, side, seed):
    return np.random.default_rng(seed).integers(0, 256, (n, 3 * side * side), dtype=np.uint8)


def write(folder: Path, name, labels, *, side=32, key="labels", seed=0, protocol=None, **more):
    """Write one batch in the official layout and return its images."""
    folder.mkdir(parents=True, exist_ok=True)
    data = pixels(len(labels), side, seed)
    data.setflags(write=False)  # protocol 5 keeps that: the array read back is read-only too
    (folder / name).write_bytes(dump({"data": data, key: list(labels), **more}, protocol))
    return data.reshape(-1, 3, side, side)


def write_cifar10(root: Path, protocol=None):
    """Write five batches of four images and a test batch of six; return all training and test images."""
    folder = root / "cifar-10-batches-py"
    train = [
        write(folder, f"data_batch_{i}", [i, 0, 9, 3], seed=i, protocol=protocol, batch_label="training batch")
        for i in range(1, 6)
    ]
    return np.concatenate(train), write(folder, "test_batch", range(4, 10), seed=9, protocol=protocol)


@pytest.fixture(autouse=True)
def no_data_elsewhere(monkeypatch, tmp_path):
    """Hide the image files of the user who runs the tests."""
    for name in ("NBEVAL_DATA", "TORCH_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache" / name)


def rows(images):
    """Return the images as a set of bytes."""
    return {image.numpy().tobytes() for image in images.pixels}


@pytest.mark.parametrize("protocol", [None, 2, 4, 5])
def test_cifar10_halves_the_training_set(tmp_path, protocol):
    train, test = write_cifar10(tmp_path, protocol)
    data = load_images("cifar10", root=tmp_path)
    assert (len(data.train), len(data.valid), len(data.test)) == (10, 10, 6)
    assert rows(data.train) | rows(data.valid) == {image.tobytes() for image in train}
    # The halves keep the official order, to which the indices of an official split file refer.
    joined = np.concatenate([data.train.pixels, data.valid.pixels])
    position = [int(np.flatnonzero((train == image).all((1, 2, 3)))[0]) for image in joined]
    assert sorted(position[:10]) == position[:10]
    assert sorted(position[10:]) == position[10:]
    labels = [label for i in range(1, 6) for label in (i, 0, 9, 3)]
    assert [*data.train.labels.tolist(), *data.valid.labels.tolist()] == [labels[i] for i in position]
    assert np.array_equal(data.test.pixels, test)
    assert data.test.labels.tolist() == [4, 5, 6, 7, 8, 9]
    assert (data.train.pixels.dtype, data.train.labels.dtype) == (torch.uint8, torch.int64)
    assert (data.classes, data.pad, data.flip) == (10, 4, True)
    assert data.mean == pytest.approx((0.491373, 0.482353, 0.446667), abs=1e-6)
    assert data.split == (
        "training set halved: seeded random halves 10/10, seed 0; of 20+6 images, not the official 50,000+10,000"
    )


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1)], ids=["channels first", "channels last"])
def test_batches_of_whole_images_are_read_with_the_right_colours(tmp_path, order):
    write_cifar10(tmp_path)
    right = load_images("cifar10", root=tmp_path)
    for path in (tmp_path / "cifar-10-batches-py").iterdir():
        batch = pickle.loads(path.read_bytes(), encoding="bytes")
        batch = {key.decode(): value for key, value in batch.items()}
        batch["data"] = batch["data"].reshape(-1, 3, 32, 32).transpose(order)
        path.write_bytes(pickle.dumps(batch))
    assert torch.equal(load_images("cifar10", root=tmp_path).train.pixels, right.train.pixels)


def test_cifar100_takes_fine_labels_and_halves_the_test_set(tmp_path):
    folder = tmp_path / "cifar-100-python"
    train = write(folder, "train", [0, 99, 50], key="fine_labels", seed=1, protocol=5, coarse_labels=[1, 2, 3])
    test = write(folder, "test", range(8), key="fine_labels", seed=2, coarse_labels=[0] * 8)
    data = load_images("cifar100", root=tmp_path)
    assert np.array_equal(data.train.pixels, train)
    assert data.train.labels.tolist() == [0, 99, 50]
    assert len(data.valid) == len(data.test) == 4
    assert rows(data.valid) | rows(data.test) == {image.tobytes() for image in test}
    assert sorted([*data.valid.labels.tolist(), *data.test.labels.tolist()]) == list(range(8))
    assert data.classes == 100
    assert data.split.startswith(
        "test set halved: seeded random halves 4/4, seed 0, about half of the valid images are "
    )
    assert "; of 3+8 images" in data.split


def test_a_whole_test_set_is_halved_by_the_official_file(tmp_path, monkeypatch):
    folder = tmp_path / "cifar-100-python"
    write(folder, "train", [0, 99, 50], key="fine_labels", seed=1, coarse_labels=[1, 2, 3])
    write(folder, "test", range(4), key="fine_labels", seed=2, coarse_labels=[0] * 4)
    monkeypatch.setitem(LAYOUTS, "cifar100", dataclasses.replace(LAYOUTS["cifar100"], images=(3, 4)))
    with pytest.raises(NbevalError, match=r"no cifar100-test-split.txt .* or give its path, or `seeded`, with --split"):
        load_images("cifar100", root=tmp_path)
    halves = '{"xvalid": ["int", ["1", "3"]], "xtest": ["int", ["0", "2"]]}'
    (tmp_path / "cifar100-test-split.txt").write_text(halves)
    digest = hashlib.sha256(halves.encode()).hexdigest()
    monkeypatch.setitem(SPLIT_FILES, "cifar100", SplitFile("cifar100-test-split.txt", digest))
    data = load_images("cifar100", root=tmp_path)
    assert (data.valid.labels.tolist(), data.test.labels.tolist()) == ([1, 3], [0, 2])
    assert data.split.startswith("test set halved: cifar100-test-split.txt (sha256 ")
    seeded = load_images("cifar100", root=tmp_path, split_file=SEEDED)
    assert "among those of the table's test accuracies" in seeded.split


def test_imagenet16_keeps_the_first_120_classes_from_zero(tmp_path):
    folder = tmp_path / "ImageNet16"
    written = [
        write(folder, f"train_data_batch_{i}", [i, 121, 1000], side=16, seed=i, mean=np.zeros(768))
        for i in range(1, 11)
    ]
    write(folder, "val_data", [1, 120, 121, 60, 999, 2], side=16, seed=20)
    data = load_images("imagenet16-120", root=tmp_path)
    assert data.train.labels.tolist() == list(range(10))
    assert np.array_equal(data.train.pixels, np.stack([batch[0] for batch in written]))
    assert sorted([*data.valid.labels.tolist(), *data.test.labels.tolist()]) == [0, 1, 59, 119]
    assert (data.classes, data.pad, tuple(data.train.pixels.shape[1:])) == (120, 2, (3, 16, 16))


def test_digits_are_always_there():
    data = load_images("digits")
    placed = placed_digits()  # see test_digits.py
    for part in ("train", "valid", "test"):
        assert torch.equal(getattr(data, part).pixels, getattr(placed, part).pixels)
        assert torch.equal(getattr(data, part).labels, getattr(placed, part).labels)


def test_parts_go_to_a_device_and_to_subsets():
    part = load_images("digits").valid
    few = part.subset(torch.tensor([5, 2]))
    assert len(few) == 2
    assert torch.equal(few.pixels[1], part.pixels[2])
    assert few.labels.tolist() == [part.labels[5], part.labels[2]]
    assert few.to("meta").pixels.device.type == "meta"


def test_unknown_names_and_needless_split_files_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"unknown data set 'cifar1': did you mean 'cifar10'\?"):
        load_images("cifar1")
    with pytest.raises(UsageError, match="digits has no official split"):
        load_images("digits", split_file=tmp_path)


def test_the_folders_are_searched_in_order(tmp_path, monkeypatch):
    def found(root=None):
        return find_images("cifar10", root).path

    write_cifar10(tmp_path / "cache/nbeval/data")
    assert found() == tmp_path / "cache/nbeval/data/cifar-10-batches-py"
    # Where users of NAS-Bench-201 have it.
    write_cifar10(tmp_path / "torch/cifar.python")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert found() == tmp_path / "torch/cifar.python/cifar-10-batches-py"
    monkeypatch.setenv("NBEVAL_DATA", str(tmp_path / "mine"))
    assert found() == tmp_path / "torch/cifar.python/cifar-10-batches-py"
    write_cifar10(tmp_path / "mine")
    assert found() == tmp_path / "mine/cifar-10-batches-py"
    # If a folder is given, no other one is searched.
    with pytest.raises(NbevalError, match="no images of cifar10"):
        found(tmp_path / "nowhere")


def test_missing_files_are_named_and_how_to_get_them(tmp_path):
    write_cifar10(tmp_path)
    (tmp_path / "cifar-10-batches-py/data_batch_3").unlink()
    with pytest.raises(NbevalError) as caught:
        load_images("cifar10", root=tmp_path)
    first, second = str(caught.value).splitlines()
    assert f"in {tmp_path} ({tmp_path / 'cifar-10-batches-py'} lacks data_batch_3)" in first
    assert f"`nbeval data fetch cifar10 --data {tmp_path}`" in second
    with pytest.raises(NbevalError) as caught:
        load_images("imagenet16-120")
    first, second = str(caught.value).splitlines()
    assert "no ImageNet16/ with train_data_batch_1 .. val_data" in first
    assert "Imagenet16_train.zip and Imagenet16_val.zip" in second


def pack(root: Path):
    """Pack the CIFAR-10 folder into the official archive and remove it."""
    layout = LAYOUTS["cifar10"]
    with tarfile.open(root / layout.archive, "w:gz") as tar:
        for name in reversed(layout.names):  # the official archive is not sorted either
            tar.add(root / layout.folder / name, f"{layout.folder}/{name}")
            (root / layout.folder / name).unlink()
    (root / layout.folder).rmdir()
    return root / layout.archive


def test_the_archive_is_read_without_unpacking(tmp_path):
    write_cifar10(tmp_path)
    unpacked = load_images("cifar10", root=tmp_path)
    archive = pack(tmp_path)
    packed = load_images("cifar10", root=tmp_path)
    for part in ("train", "valid", "test"):
        assert torch.equal(getattr(packed, part).pixels, getattr(unpacked, part).pixels)
        assert torch.equal(getattr(packed, part).labels, getattr(unpacked, part).labels)
    archive.write_bytes(archive.read_bytes()[:40_000])
    with pytest.raises(NbevalError, match=r"cannot read .*cifar-10-python\.tar\.gz: .*get the file again"):
        load_images("cifar10", root=tmp_path)
    with tarfile.open(archive, "w:gz"):
        pass
    with pytest.raises(NbevalError, match=r"gz lacks data_batch_1, .*, test_batch: get"):
        load_images("cifar10", root=tmp_path)


class RunsCode:
    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.system, (f"touch {self.trace}",)


GOOD = {"data": pixels(2, 32, 0), "labels": [1, 2]}

BAD = {
    "empty": (b"", "truncated or not a pickle"),
    "truncated": (dump(GOOD)[:3000], "truncated or not a pickle"),
    "text": (b"<!DOCTYPE html><html></html>", "truncated or not a pickle"),
    "list": (dump([1, 2]), "holds a list, not a dictionary"),
    "no data": (dump({"labels": [1, 2]}), "has no data"),
    "nothing": (dump({}), "has no data and no labels"),
    "cifar100's keys": (dump({"data": GOOD["data"], "fine_labels": [1, 2]}), "has no labels"),
    "floats": (dump({**GOOD, "data": np.zeros((2, 3072))}), r"images are float64 \(2, 3072\), but must be uint8"),
    "16x16": (dump({**GOOD, "data": pixels(2, 16, 0)}), r"images are uint8 \(2, 768\), but must be"),
    "32x96": (dump({**GOOD, "data": pixels(2, 32, 0).reshape(2, 32, 96)}), r"images are uint8 \(2, 32, 96\), but must"),
    "flat": (dump({**GOOD, "data": pixels(2, 32, 0)[0]}), r"images are uint8 \(3072,\)"),
    "list of images": (dump({**GOOD, "data": [1, 2]}), "images are list"),
    "few labels": (dump({**GOOD, "labels": [1]}), "one integer label for each of its 2 images"),
    "no list": (dump({**GOOD, "labels": 3}), "one integer label"),
    "ragged labels": (dump({**GOOD, "labels": [[1], [2, 3]]}), "one integer label"),
    "words": (dump({**GOOD, "labels": ["cat", "dog"]}), "one integer label"),
    "fractions": (dump({**GOOD, "labels": [0.5, 1.0]}), "one integer label"),
    "label 10": (dump({**GOOD, "labels": [3, 10]}), r"label 10 of image 1 is not in 0\.\.9"),
    "label -1": (dump({**GOOD, "labels": [-1, 3]}), r"label -1 of image 0 is not in 0\.\.9"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_batch_gives_one_clear_line(tmp_path, case):
    content, message = BAD[case]
    write_cifar10(tmp_path)
    path = tmp_path / "cifar-10-batches-py/data_batch_2"
    path.write_bytes(content)
    with pytest.raises(NbevalError, match=message) as caught:
        load_images("cifar10", root=tmp_path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_batch_cannot_run_code(tmp_path):
    write_cifar10(tmp_path)
    trace = tmp_path / "ran"
    (tmp_path / "cifar-10-batches-py/data_batch_1").write_bytes(pickle.dumps({**GOOD, "x": RunsCode(trace)}))
    with pytest.raises(NbevalError, match=r"data_batch_1 asks for \w+\.system"):
        load_images("cifar10", root=tmp_path)
    assert not trace.exists()


def test_the_names_are_known_without_torch():
    code = "import sys, nasbench_eval.images as i; assert 'torch' not in sys.modules; print(*i.DATASETS)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert tuple(out.split()) == DATASETS
