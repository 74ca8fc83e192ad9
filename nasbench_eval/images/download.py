"""Download the official CIFAR archives and split files, checked by their hashes; nothing is left half done."""

from __future__ import annotations

import shutil
import tarfile
import zlib
from pathlib import Path
from typing import NamedTuple

from nasbench_eval.errors import NbevalError, UsageError, unknown
from nasbench_eval.images.catalogue import (
    DATASETS,
    LAYOUTS,
    Layout,
    default_root,
    find_images,
    how_to_get,
)
from nasbench_eval.images.splits import SPLIT_FILES, find_split
from nasbench_eval.utils.download import download
from nasbench_eval.utils.files import atomic_write


class Fetched(NamedTuple):
    """The folder of a data set, and whether it was just downloaded."""

    path: Path
    new: bool


def fetch_images(name: str, root: Path | None = None, *, progress: bool = False) -> Fetched:
    """Download and unpack a data set, unless it is already there.

    An interrupted call leaves nothing that passes for the data set; the next call repeats the interrupted step.

    Args:
        name: cifar10 or cifar100.
        root: The folder to put it in; by default all usual folders are searched first, and it goes to
            ``default_root()``.
        progress: Whether to show a progress bar on stderr.

    Raises:
        UsageError: If the data set has no public download.
        NbevalError: If the transfer fails, the file is not the published one, or it cannot be written.
    """
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    if name not in LAYOUTS:
        raise UsageError(f"{name} comes with scikit-learn: there is nothing to fetch")
    layout = LAYOUTS[name]
    if not layout.url:
        raise UsageError(f"cannot fetch {name}: {how_to_get(name)}")
    target = root or default_root()
    archive = target / layout.archive
    try:
        path = find_images(name, root).path
    except NbevalError:
        path = archive
    # An archive left in the target folder means that unpacking it was interrupted.
    if path != archive:
        return Fetched(path, new=False)
    download(
        f"{layout.url}/{layout.archive}",
        archive,
        f"md5:{layout.md5}",
        progress=progress,
        by_hand=f"try again later, or put {layout.archive} into {archive.parent} by hand",
    )
    _unpack(layout, archive)
    archive.unlink()
    return Fetched(target / layout.folder, new=True)


def fetch_splits(root: Path | None = None, *, progress: bool = False) -> list[Fetched]:
    """Download the official split files that are not yet there; arguments and errors as in :func:`fetch_images`."""
    found = []
    for name, file in SPLIT_FILES.items():
        try:
            found.append(Fetched(find_split(name, root), new=False))
        except NbevalError:
            target = (root or default_root()) / file.name
            by_hand = f"try again later, or put {file.name} into {target.parent} by hand"
            download(file.url, target, f"sha256:{file.sha256}", progress=progress, by_hand=by_hand)
            found.append(Fetched(target, new=True))
    return found


def _unpack(layout: Layout, archive: Path) -> None:
    """Copy the batch files out of the archive, each atomically."""
    # Only plain files with known names are copied, to paths chosen here: paths, links and modes in the archive are
    # ignored. (Not every Python 3.11 has the extraction filters of tarfile.)
    wanted = {f"{layout.folder}/{name}": name for name in layout.names}
    try:
        with tarfile.open(archive, "r|gz") as tar:
            for member in tar:
                source = tar.extractfile(member) if member.isfile() and member.name in wanted else None
                if source is None:
                    continue
                with (
                    atomic_write(archive.parent / layout.folder / wanted[member.name]) as path,
                    path.open("wb") as file,
                ):
                    shutil.copyfileobj(source, file)
    except (tarfile.TarError, zlib.error, EOFError) as error:
        raise NbevalError(f"cannot unpack {archive}: {error}; delete it and fetch it again") from error
