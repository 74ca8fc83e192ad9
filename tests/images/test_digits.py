"""The placed digits: the same for everybody, no source digit in two parts, and really placed."""

import hashlib
from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from nasbench_eval.images import ImageData
from nasbench_eval.images.digits import CANVAS, NOISE, PLACEMENTS, SHARES, _nearly_normal, placed_digits
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


def test_no_source_digit_is_in_two_parts_and_all_are_placed_everywhere(data: ImageData) -> None:
    digits = load_digits()
    grey = torch.from_numpy(digits.images * (255 / 16)).float()
    parts, _ = stratified_parts("placed digits", digits.target, SHARES)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(grey)))
    found: Counter[int] = Counter()
    for images, sources in zip((data.train, data.valid, data.test), parts, strict=True):
        assert images.labels[: len(sources)].tolist() == digits.target[sources].tolist()
        for i in range(0, len(images), 7):
            patches = images.pixels[i, 0].float().unfold(0, 8, 1).unfold(1, 8, 1).reshape(-1, 8, 8)
            distances = (patches - grey[sources[i % len(sources)]]).abs().mean((1, 2))
            assert float(distances.min()) < 255 * NOISE, f"image {i} does not show its source digit"
            found[int(distances.argmin())] += 1
    # 25 places, each expected 60 times.
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
