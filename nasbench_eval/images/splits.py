"""Which images belong to which part: nbeval's own seeded splits, and the official split files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nasbench_eval.errors import NbevalError, UsageError
from nasbench_eval.images.catalogue import roots
from nasbench_eval.utils.files import sha256_of
from nasbench_eval.utils.paths import is_file
from nasbench_eval.utils.rng import Streams

SPLIT_SEED = 0
"""Seed of nbeval's own splits. It does not depend on the seed of a run: all runs use the same images."""

# cifar-split.txt halves the training set, the other two files halve the test set.
_KEYS = (("train", "valid"), ("xvalid", "xtest"))

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SplitFile:
    """An official split file.

    Attributes:
        name: Its name.
        sha256: SHA-256 of its content.
    """

    name: str
    sha256: str

    @property
    def url(self) -> str:
        """The raw address at a pinned commit of AutoDL-Projects."""
        return f"{_AUTODL}/{self.name}"


_AUTODL = (
    "https://raw.githubusercontent.com/D-X-Y/AutoDL-Projects/f46486e21b71ae6459a700be720d7648b5429569/"
    "configs/nas-benchmark"
)

SPLIT_FILES = {
    "cifar10": SplitFile("cifar-split.txt", "986da6174822048d4c5a25ee8ebdb7e754cd5372b51c633ffd4898ace8db9e32"),
    "cifar100": SplitFile(
        "cifar100-test-split.txt", "14a5e3708e790ad57f987cdbcf202f724519475d6e8b0db34d0182e73b581bba"
    ),
    "imagenet16-120": SplitFile(
        "imagenet-16-120-test-split.txt", "c0edac1d3676a9f21acea8feeb31336202d75b1a73df62aec31c6b45bb289a18"
    ),
}
"""The official splits of NAS-Bench-201, by data set."""

OFFICIAL = Path("official")
"""What is given instead of a split file for the official one of each data set."""

SEEDED = Path("seeded")
"""What is given instead of a split file for nbeval's own seeded halves."""

HALVED_TEST = ("cifar100", "imagenet16-120")
"""The data sets whose test set is halved. The table's test accuracies are those of the second official half: with other
halves, a search validates on images that are among them. So the official ones are the default there."""


def chosen_split(name: str, given: Path | None) -> Path | None:
    """Return the split file of a data set, or ``official``; None for seeded halves.

    Args:
        name: The data set.
        given: A split file, ``official`` or ``seeded``; None for the default of the data set.
    """
    if given is None:
        return OFFICIAL if name in HALVED_TEST else None
    return None if given == SEEDED else given


def official_split(name: str) -> SplitFile:
    """Return the official split file of a data set.

    Raises:
        UsageError: If it has none.
    """
    if name not in SPLIT_FILES:
        raise UsageError(f"{name} has no official split: leave out the split file")
    return SPLIT_FILES[name]


def find_split(name: str, root: Path | None = None) -> Path:
    """Find the official split file of a data set: in the folders in which images are searched.

    Raises:
        UsageError: If the data set has none.
        NbevalError: If the file is missing, or is not the published one.
    """
    file = official_split(name)
    for place in roots(root):
        if is_file(path := place / file.name):
            if sha256_of(path) != file.sha256:
                raise NbevalError(f"{path} is not the official split file (its SHA-256 differs): delete it")
            return path
    there = f" --data {root}" if root is not None else ""
    raise NbevalError(
        f"no {file.name} in {', '.join(map(str, roots(root)))}: `nbeval data fetch splits{there}` downloads it; "
        "or give its path, or `seeded`, with --split"
    )


class Split(NamedTuple):
    """Two disjoint, sorted halves, and a description of how they were made."""

    first: Indices
    second: Indices
    words: str


def _shuffled(purpose: str, n: int) -> Indices:
    # numpy promises that raw draws never change between versions, but not that `permutation` does not.
    raw = Streams(SPLIT_SEED).numpy(f"split {purpose}").bit_generator.random_raw(n)
    return np.argsort(raw, kind="stable").astype(np.int64)


def seeded_split(name: str, n: int) -> Split:
    """Split ``n`` images of a data set into two random halves, the same on every machine."""
    order = _shuffled(name, n)
    first, second = np.sort(order[: n // 2]), np.sort(order[n // 2 :])
    return Split(first, second, f"seeded random halves {len(first):,}/{len(second):,}, seed {SPLIT_SEED}")


def stratified_parts(name: str, labels: Indices, shares: tuple[float, ...]) -> tuple[list[Indices], str]:
    """Return the sorted indices of parts with the given shares of every class, and a description."""
    order = _shuffled(name, len(labels))
    parts: list[list[Indices]] = [[] for _ in shares]
    for label in np.unique(labels):
        own = order[labels[order] == label]
        cuts = np.rint(np.cumsum(shares)[:-1] * len(own)).astype(int)
        for part, piece in zip(parts, np.split(own, cuts), strict=True):
            part.append(piece)
    joined = [np.sort(np.concatenate(part)) for part in parts]
    sizes = "/".join(f"{len(part):,}" for part in joined)
    return joined, f"seeded stratified split {sizes}, seed {SPLIT_SEED}"


def split_from_file(path: Path, n: int) -> Split:
    """Read a split file of NAS-Bench-201's authors (AutoDL-Projects, ``configs/nas-benchmark``).

    The file is JSON: ``{"train": ["int", ["0", "5", ...]], "valid": ["int", [...]]}``. A file that halves a test set
    has the keys ``xvalid`` and ``xtest`` instead.

    Args:
        path: The file.
        n: Number of images to split.

    Raises:
        NbevalError: If it is not a split file, or its two lists do not contain each of the ``n`` images once.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise NbevalError(f"cannot read the split file {path}: {error}") from error
    for keys in _KEYS:
        if isinstance(content, dict) and set(content) == set(keys):
            break
    else:
        raise NbevalError(f"{path} is not a split file: it must have the keys train and valid, or xvalid and xtest")
    first, second = (_indices(content[key], f"{path}, {key}") for key in keys)
    both = np.sort(np.concatenate([first, second]))
    if not np.array_equal(both, np.arange(n)):
        raise NbevalError(
            f"{path} does not split these {n:,} images: "
            f"its {len(first):,} + {len(second):,} indices must contain each of 0..{n - 1} once"
        )
    words = f"{path.name} (sha256 {sha256_of(path)[:8]}), {len(first):,}/{len(second):,}"
    return Split(first, second, words)


def _indices(value: object, where: str) -> Indices:
    match value:
        case ["int", [*texts]]:
            pass
        case _:
            raise NbevalError(f'{where}: must be ["int", ["0", "1", ...]]')
    try:
        return np.sort(np.array([int(str(text)) for text in texts], dtype=np.int64))
    except (ValueError, OverflowError) as error:
        raise NbevalError(f"{where}: {error}") from error
