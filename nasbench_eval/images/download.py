"""Download the official CIFAR archives, checked against their published MD5 sums; nothing is left half done."""

from __future__ import annotations

import shutil
import tarfile
import zlib
from functools import partial
from pathlib import Path
from typing import NamedTuple

from nasbench_eval.errors import NbevalError, UsageError, unknown
from nasbench_eval.images.catalogue import DATASETS, LAYOUTS, Layout, default_root, find_images, how_to_get
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
    _download(layout, archive, progress=progress)
    _unpack(layout, archive)
    archive.unlink()
    return Fetched(target / layout.folder, new=True)


def _download(layout: Layout, archive: Path, *, progress: bool) -> None:
    """Download the archive and put it in place if its MD5 sum is right; keep one that is already there and right."""
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    url = f"{layout.url}/{layout.archive}"
    by_hand = f"try again later, or put {layout.archive} into {archive.parent} by hand"
    try:
        pooch.retrieve(
            url,
            known_hash=f"md5:{layout.md5}",
            fname=archive.name,
            path=archive.parent,
            downloader=partial(_stream, progress=progress),
        )
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else "an error"
        raise NbevalError(f"cannot fetch {url}: the server answers {status}; {by_hand}") from error
    except requests.ConnectionError as error:
        raise NbevalError(f"cannot fetch {url}: no connection; {by_hand}") from error
    except requests.RequestException as error:
        raise NbevalError(f"cannot fetch {url}: the transfer was interrupted; {by_hand}") from error
    except ValueError as error:
        raise NbevalError(
            f"{url} is not the published file (its MD5 sum differs) and was discarded; {by_hand}"
        ) from error
    except OSError as error:
        raise NbevalError(f"cannot write {archive}: {error.strerror or error}") from error


def _stream(url: str, output_file: str, _: object, *, progress: bool) -> None:
    """Download in pieces; pooch's own downloader leaves the connection open when it fails."""
    import requests
    from tqdm import tqdm

    with requests.get(url, stream=True, timeout=30) as response:
        response.raise_for_status()
        size = int(response.headers.get("Content-Length", 0)) or None
        with (
            Path(output_file).open("wb") as file,
            tqdm(total=size, unit="B", unit_scale=True, desc=url.rpartition("/")[2], disable=not progress) as bar,
        ):
            for piece in response.iter_content(1 << 16):
                bar.update(file.write(piece))


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
