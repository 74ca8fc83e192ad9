"""The placed digits: the same bytes everywhere, no source digit in two parts, every digit visible."""

import gzip
import hashlib
import importlib.machinery
import importlib.util
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from nasbench_eval.errors import NbevalError
from nasbench_eval.images import ImageData
from nasbench_eval.images.digits import CANVAS, NOISE, PLACEMENTS, SHARES, _nearly_normal, placed_digits, source_digits
from nasbench_eval.images.splits import stratified_parts

SHA256 = "dcf83b0a9ca9b7ffc5f02b912aae3c2b83d75e6ffd38c1a37dc7998acfb59fb8"


@pytest.fixture(scope="module")
def data() -> ImageData:
    return placed_digits()


def test_the_images_are_these_bytes(data: ImageData) -> None:
    digest = hashlib.sha256()
    for part in (data.train, data.valid, data.test):
        digest.update(part.pixels.numpy().tobytes())
        digest.update(part.labels.numpy().tobytes())
    assert digest.hexdigest() == SHA256


def test_source_digits_are_those_that_scikit_learn_loads() -> None:
    from sklearn.datasets import load_digits

    images, labels = source_digits()
    expected = load_digits()
    assert (images.dtype, images.shape) == (expected.images.dtype, expected.images.shape)
    assert images.tobytes() == expected.images.tobytes()
    assert labels.dtype == np.int64
    assert labels.tolist() == expected.target.tolist()


def test_loading_digits_does_not_import_scikit_learn() -> None:
    code = (
        "import sys; from nasbench_eval.images.digits import source_digits; source_digits();"
        "sys.exit('sklearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_missing_or_damaged_digits_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(NbevalError, match=r"scikit-learn, which is not installed: pip install scikit-learn"):
        source_digits()
    package = importlib.machinery.ModuleSpec("sklearn", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: package)
    with pytest.raises(NbevalError, match=r"cannot read .*digits\.csv\.gz .*not found.*force-reinstall"):
        source_digits()
    path = tmp_path / "datasets" / "data" / "digits.csv.gz"
    path.parent.mkdir(parents=True)
    for content in (
        gzip.compress(b"1,2,3\n"),
        gzip.compress(b"one,two\n"),
        b"text",
        gzip.compress(b"1,2\n" * 999)[:30],
    ):
        path.write_bytes(content)
        with pytest.raises(NbevalError, match=r"cannot read scikit-learn's digits"):
            source_digits()


def test_shapes_and_statistics(data: ImageData) -> None:
    for part, times in zip((data.train, data.valid, data.test), PLACEMENTS, strict=True):
        assert part.pixels.shape == (len(part), 3, CANVAS, CANVAS)
        assert part.pixels.dtype == torch.uint8
        assert len(part) % times == 0
        # Every placement of a part shows the same source digits in the same order.
        assert all(torch.equal(labels, part.labels[: len(part) // times]) for labels in part.labels.chunk(times))
        assert sorted(part.labels.unique().tolist()) == list(range(10))
    unit = data.train.pixels[:, 0].float() / 255
    assert data.mean[0] == pytest.approx(float(unit.mean()), abs=1e-6)
    assert data.std[0] == pytest.approx(float(unit.std(correction=0)), abs=1e-6)


def test_no_source_digit_is_in_two_parts_and_digits_are_placed_everywhere(data: ImageData) -> None:
    digits, labels = source_digits()
    grey = torch.from_numpy(digits * (255 / 16)).float()
    parts, _ = stratified_parts("placed digits", labels, SHARES)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(grey)))
    found: Counter[int] = Counter()
    for images, sources in zip((data.train, data.valid, data.test), parts, strict=True):
        assert images.labels[: len(sources)].tolist() == labels[sources].tolist()
        for i in range(0, len(images), 7):
            patches = images.pixels[i, 0].float().unfold(0, 8, 1).unfold(1, 8, 1).reshape(-1, 8, 8)
            distances = (patches - grey[sources[i % len(sources)]]).abs().mean((1, 2))
            assert float(distances.min()) < 255 * NOISE, f"image {i} does not show its source digit"
            found[int(distances.argmin())] += 1
    # 25 positions, each expected about 60 times.
    assert len(found) == (CANVAS - 7) ** 2
    assert min(found.values()) > 30


def test_noise_has_the_stated_moments() -> None:
    raw = np.random.Generator(np.random.PCG64(0)).bit_generator.random_raw(200_000)
    noise = _nearly_normal(raw)
    assert noise.mean() == pytest.approx(0, abs=0.01)
    assert noise.std() == pytest.approx(1, abs=0.01)
    assert np.abs(noise).max() <= 2 * 3**0.5 + 1e-3
    assert _nearly_normal(np.array([0], dtype=np.uint64))[0] == pytest.approx(-2 * 65535 * 3**0.5 / 65536)
    assert NOISE > 0
