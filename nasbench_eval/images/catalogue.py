"""Where image files lie: the folder given, else ``NBEVAL_DATA``, ``TORCH_HOME``, the user's cache folder."""

from __future__ import annotations

import os
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from nasbench_eval.errors import NbevalError, unknown

DATASETS: tuple[str, ...] = ("cifar10", "cifar100", "imagenet16-120", "digits")


@dataclass(frozen=True)
class Layout:
    """The official files of one data set.

    Attributes:
        folder: The folder that holds them.
        train: File names of the training set, in official order.
        test: File names of the test (ImageNet: validation) set.
        images: How many images the two sets have, of the classes that are used.
        archive: Name of the official archive, where there is one.
        md5: The archive's published MD5 sum.
        url: Folder of the official download; empty where there is none.
    """

    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    images: tuple[int, int]
    archive: str = ""
    md5: str = ""
    url: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """All file names, training set first."""
        return self.train + self.test


TORONTO = "https://www.cs.toronto.edu/~kriz"

LAYOUTS: dict[str, Layout] = {
    "cifar10": Layout(
        "cifar-10-batches-py",
        tuple(f"data_batch_{i}" for i in range(1, 6)),
        ("test_batch",),
        (50_000, 10_000),
        "cifar-10-python.tar.gz",
        "c58f30108f718f92721af3b95e74349a",
        TORONTO,
    ),
    "cifar100": Layout(
        "cifar-100-python",
        ("train",),
        ("test",),
        (50_000, 10_000),
        "cifar-100-python.tar.gz",
        "eb9058c3a382ffc7106e4002c42a8d85",
        TORONTO,
    ),
    "imagenet16-120": Layout(
        "ImageNet16", tuple(f"train_data_batch_{i}" for i in range(1, 11)), ("val_data",), (151_700, 6_000)
    ),
}


def default_root() -> Path:
    """Return where ``nbeval data fetch`` puts images when nothing else is said."""
    return Path(os.environ.get("NBEVAL_DATA") or platformdirs.user_cache_path("nbeval") / "data")


def roots(root: Path | None = None) -> list[Path]:
    """Return the folders that are searched, in order; a folder the user names is the only one."""
    if root is not None:
        return [root]
    places = [os.environ.get("NBEVAL_DATA"), os.environ.get("TORCH_HOME")]
    return [*(Path(place) for place in places if place), platformdirs.user_cache_path("nbeval") / "data"]


@dataclass(frozen=True)
class Found:
    """The complete files of a data set: a folder of batches, or the official archive."""

    path: Path
    layout: Layout

    def batches(self) -> Iterator[tuple[str, Path, bytes]]:
        """Yield every batch as (name, path for messages, the file's bytes), in no promised order.

        Raises:
            NbevalError: If a file cannot be read, or the archive is damaged or lacks a batch.
        """
        try:
            yield from self._folder() if self.path.is_dir() else self._archive()
        except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
            raise NbevalError(f"cannot read {self.path}: {error}; get the file again") from error

    def _folder(self) -> Iterator[tuple[str, Path, bytes]]:
        for name in self.layout.names:
            yield name, self.path / name, (self.path / name).read_bytes()

    def _archive(self) -> Iterator[tuple[str, Path, bytes]]:
        wanted = {f"{self.layout.folder}/{name}": name for name in self.layout.names}
        # Read front to back once: to seek in a compressed archive is to unpack it again from its start.
        with tarfile.open(self.path, "r|gz") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.name in wanted else None
                if file is not None:
                    yield wanted.pop(member.name), self.path / member.name, file.read()
        if wanted:
            raise NbevalError(f"{self.path} lacks {', '.join(wanted.values())}: get the file again")


def find_images(name: str, root: Path | None = None) -> Found:
    """Return where the files of a data set lie.

    Args:
        name: One of ``DATASETS`` that has files (all but digits).
        root: The user's ``--data``; without it NBEVAL_DATA, TORCH_HOME and the cache folder are searched.
            Files lie there directly or, as NAS-Bench-201's users have them, under ``cifar.python``.

    Raises:
        NbevalError: If no place has all files; two lines say what is missing and how to get it.
    """
    if name not in LAYOUTS:
        raise unknown("data set", name, tuple(LAYOUTS))
    layout = LAYOUTS[name]
    incomplete = ""
    for place in roots(root):
        for parent in (place, place / "cifar.python"):
            folder = parent / layout.folder
            lacking = [file for file in layout.names if not (folder / file).is_file()]
            if not lacking:
                return Found(folder, layout)
            if layout.archive and (parent / layout.archive).is_file():
                return Found(parent / layout.archive, layout)
            if len(lacking) < len(layout.names):
                incomplete = incomplete or f" ({folder} lacks {', '.join(lacking)})"
    places = ", ".join(str(place) for place in roots(root))
    files = f"{layout.folder}/ with {layout.names[0]} .. {layout.names[-1]}"
    raise NbevalError(f"no images of {name}: no {files} in {places}{incomplete};\n{how_to_get(name, root)}")


def how_to_get(name: str, root: Path | None = None) -> str:
    """Return the line that says how a user gets the files of a data set."""
    if LAYOUTS[name].url:
        there = f" --data {root}" if root is not None else ""
        return f"`nbeval data fetch {name}{there}` fetches them; or name their folder with --data or NBEVAL_DATA"
    return (
        "no public direct download: unpack Imagenet16_train.zip and Imagenet16_val.zip (image-net.org, for "
        "account holders) into a folder ImageNet16 and name the folder above it with --data or NBEVAL_DATA"
    )
