"""The official image files and where they are found: ``--data``, else NBEVAL_DATA, TORCH_HOME, the cache folder."""

from __future__ import annotations

import os
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nasbench_eval.errors import NbevalError, unknown
from nasbench_eval.utils.paths import cache_folder, is_dir, is_file, unreadable

DATASETS: tuple[str, ...] = ("cifar10", "cifar100", "imagenet16-120", "digits")


@dataclass(frozen=True)
class Layout:
    """The official files of one data set.

    Attributes:
        folder: The folder that holds them.
        train: File names of the training set, in official order.
        test: File names of the test set (ImageNet: the validation set).
        images: Number of images in the two sets, counting only the classes that are used.
        archive: Name of the official archive, "" if there is none.
        md5: Published MD5 sum of the archive.
        url: Folder of the official download, "" if there is none.
        megabytes: Size of the archive.
    """

    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    images: tuple[int, int]
    archive: str = ""
    md5: str = ""
    url: str = ""
    megabytes: int = 0

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
        170,
    ),
    "cifar100": Layout(
        "cifar-100-python",
        ("train",),
        ("test",),
        (50_000, 10_000),
        "cifar-100-python.tar.gz",
        "eb9058c3a382ffc7106e4002c42a8d85",
        TORONTO,
        169,
    ),
    "imagenet16-120": Layout(
        "ImageNet16", tuple(f"train_data_batch_{i}" for i in range(1, 11)), ("val_data",), (151_700, 6_000)
    ),
}


def default_root() -> Path:
    """Return where ``nbeval data fetch`` puts images by default."""
    return Path(os.environ.get("NBEVAL_DATA") or cache_folder() / "data")


def roots(root: Path | None = None) -> list[Path]:
    """Return the folders to search, in order; if the user names one, only that one."""
    if root is not None:
        return [root]
    places = [Path(place) for name in ("NBEVAL_DATA", "TORCH_HOME") if (place := os.environ.get(name))]
    try:
        return [*places, cache_folder() / "data"]
    except NbevalError:
        if not places:
            raise
        return places


@dataclass(frozen=True)
class Found:
    """The complete files of a data set: a folder of batch files, or the official archive."""

    path: Path
    layout: Layout

    def batches(self) -> Iterator[tuple[str, Path, bytes]]:
        """Yield every batch file as (name, path for messages, content), in any order.

        Raises:
            NbevalError: If a file cannot be read, or the archive is damaged or lacks a batch.
        """
        try:
            yield from self._folder() if is_dir(self.path) else self._archive()
        except PermissionError as error:
            raise unreadable(self.path, error) from None
        except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
            raise NbevalError(f"cannot read {self.path}: {error}; get the file again") from error

    def _folder(self) -> Iterator[tuple[str, Path, bytes]]:
        for name in self.layout.names:
            yield name, self.path / name, (self.path / name).read_bytes()

    def _archive(self) -> Iterator[tuple[str, Path, bytes]]:
        wanted = {f"{self.layout.folder}/{name}": name for name in self.layout.names}
        # Read once from front to back: seeking in a compressed archive means unpacking it again from its start.
        with tarfile.open(self.path, "r|gz") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.name in wanted else None
                if file is not None:
                    yield wanted.pop(member.name), self.path / member.name, file.read()
        if wanted:
            raise NbevalError(f"{self.path} lacks {', '.join(wanted.values())}: get the file again")


def find_images(name: str, root: Path | None = None) -> Found:
    """Find the files of a data set.

    Args:
        name: One of ``DATASETS`` that has files (all but digits).
        root: The user's ``--data``; without it NBEVAL_DATA, TORCH_HOME and the cache folder are searched. The files
            are directly in such a folder or, as users of NAS-Bench-201 have them, in ``cifar.python`` in it. It may
            also be the folder of the batches or the official archive itself. A place that cannot be read is passed
            over, unless the user named it.

    Raises:
        NbevalError: If no folder has all files; the message says what is missing, which places cannot be read, and
            how to get the files.
    """
    if name not in LAYOUTS:
        raise unknown("data set", name, tuple(LAYOUTS))
    layout = LAYOUTS[name]
    notes: list[str] = []
    for place in roots(root):
        try:
            found = _look(place, layout)
        except NbevalError as error:
            if root is not None:
                raise
            notes.append(str(error))
            continue
        if isinstance(found, Found):
            return found
        notes += [found] if found else []
    places = ", ".join(str(place) for place in roots(root))
    noted = f" ({'; '.join(notes)})" if notes else ""
    files = f"{layout.folder}/ with {layout.names[0]} .. {layout.names[-1]}"
    raise NbevalError(f"no images of {name}: no {files} in {places}{noted};\n{how_to_get(name, root)}")


def _look(place: Path, layout: Layout) -> Found | str:
    """Return the files of a data set in one place, or what is missing if some are there.

    Raises:
        NbevalError: If the place cannot be read, or is another file than the archive.
    """
    if is_file(place):
        if place.name != layout.archive:
            raise NbevalError(f"{place} is a file: name the folder that holds {layout.folder}/")
        return Found(place, layout)
    absolute = place.absolute()
    inside = [absolute.parent] if absolute.name in {each.folder for each in LAYOUTS.values()} else []
    incomplete = ""
    for parent in (place, place / "cifar.python", *inside):
        folder = parent / layout.folder
        lacking = [file for file in layout.names if not is_file(folder / file)]
        if not lacking:
            return Found(folder, layout)
        if layout.archive and is_file(parent / layout.archive):
            return Found(parent / layout.archive, layout)
        if len(lacking) < len(layout.names):
            incomplete = incomplete or f"{folder} lacks {', '.join(lacking)}"
    return incomplete


def how_to_get(name: str, root: Path | None = None) -> str:
    """Return the line of a message that says how to get the files of a data set."""
    if LAYOUTS[name].url:
        there = f" --data {root}" if root is not None else ""
        return f"`nbeval data fetch {name}{there}` downloads them; or name their folder with --data or NBEVAL_DATA"
    if name != "imagenet16-120":
        files, folder = ", ".join(LAYOUTS[name].names), LAYOUTS[name].folder
        return f"put {files} into a folder {folder}, and name the folder above it with --data or NBEVAL_DATA"
    return (
        "no public direct download: unpack Imagenet16_train.zip and Imagenet16_val.zip (image-net.org, with an "
        "account) into a folder named ImageNet16 and name the folder above it with --data or NBEVAL_DATA"
    )
