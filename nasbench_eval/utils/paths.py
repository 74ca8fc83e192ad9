"""Look at paths of the user's: a folder that cannot be read is one line of error, never an empty folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import platformdirs

from nasbench_eval.errors import NbevalError


def cache_folder() -> Path:
    """Return the user's cache folder of nbeval, which need not be there yet.

    Raises:
        NbevalError: If the user has no home folder, as in some services and containers.
    """
    try:
        return platformdirs.user_cache_path("nbeval")
    except RuntimeError:
        raise NbevalError(
            "there is no cache folder, as HOME is not set: set it, or name files with --table and --data, or with "
            "NBEVAL_TABLE and NBEVAL_DATA"
        ) from None


def named(path: Path) -> Path:
    """Return a path that ends in a name, which `.` and `..` are not; a link keeps its own."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - `resolve` follows links


def unreadable(path: Path, error: OSError) -> NbevalError:
    """Return the error for a path that the system does not let us read."""
    # Some libraries repeat the path in the text of the error, and set no file name.
    why = os.strerror(error.errno) if error.errno else str(error)
    return NbevalError(f"cannot read {error.filename or path}: {why}")


def is_file(path: Path) -> bool:
    """Return whether a path is a file.

    Raises:
        NbevalError: If the system does not tell, for example because the folder of the file cannot be read.
    """
    return _asked(path, path.is_file)


def exists(path: Path) -> bool:
    """Return whether there is anything at a path.

    Raises:
        NbevalError: If the system does not tell.
    """
    return _asked(path, path.exists)


def is_dir(path: Path) -> bool:
    """Return whether a path is a folder.

    Raises:
        NbevalError: If the system does not tell.
    """
    return _asked(path, path.is_dir)


def _asked(path: Path, question: Callable[[], bool]) -> bool:
    try:
        return question()
    except OSError as error:
        raise unreadable(path, error) from None


def children(folder: Path) -> list[Path]:
    """Return what is in a folder, by name.

    Raises:
        NbevalError: If it cannot be read.
    """
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise unreadable(folder, error) from None


def files_in(folder: Path, suffix: str) -> list[Path]:
    """Return what has a suffix in a folder, by name; nothing if there is no such folder.

    Raises:
        NbevalError: If it cannot be read.
    """
    return [path for path in children(folder) if _has(path, suffix)] if is_dir(folder) else []


def _has(path: Path, suffix: str) -> bool:
    """Return whether a file has a suffix, and is not what macOS writes beside ``name`` on some disks, ``._name``."""
    return path.suffix == suffix and not path.name.startswith("._")


def files_under(folder: Path, suffix: str) -> list[Path]:
    """Return the files with a suffix in a folder and all folders below it, by path.

    Links to folders are followed, each folder once. ``Path.glob`` and ``rglob`` pass over folders that cannot be read.

    Raises:
        NbevalError: If one of the folders cannot be read.
    """

    def stop(error: OSError) -> None:
        raise unreadable(folder, error)

    found, seen = [], set[str]()
    for place, folders, names in os.walk(folder, onerror=stop, followlinks=True):
        if (real := os.path.realpath(place)) in seen:
            folders.clear()
            continue
        seen.add(real)
        found += [path for name in names if _has(path := Path(place, name), suffix)]
    return sorted(found)
