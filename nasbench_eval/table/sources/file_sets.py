"""The files of NATS-Bench, in a folder or still in their tar archive."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import final

from nasbench_eval.errors import NbevalError
from nasbench_eval.table.file_kind import Kind, kind_of

_SOURCE_KINDS = (Kind.TAR, Kind.TORCH, Kind.PICKLE)


@final
class Folder:
    """The files of a folder."""

    word = "folder"

    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> list[str]:
        """Return the names of the files."""
        return [file.name for file in self._path.iterdir()]

    def state(self, names: Sequence[str]) -> str:
        """Return a text that changes when one of these files changes."""
        digest = hashlib.sha256()
        for name in names:
            status = (self._path / name).stat()
            digest.update(f"{int(name[:6])} {status.st_size} {status.st_mtime_ns}\n".encode())
        return digest.hexdigest()

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        return (self._path / name).read_bytes()

    def nearby(self) -> Path | None:
        """Return what the user may have meant: the only folder or file of the benchmark in this one."""
        found = [
            path
            for path in self._path.iterdir()
            if (any(path.glob("meta.pickle.pbz2")) if path.is_dir() else kind_of(path) in _SOURCE_KINDS)
        ]
        return found[0] if len(found) == 1 else None


@final
class Tar:
    """The files of an uncompressed tar archive, read where they are; folders in it do not matter."""

    word = "tar archive"

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def _places(self) -> dict[str, tuple[int, int]]:
        """Where each file begins, and its size."""
        try:
            with tarfile.open(self._path, "r:") as archive:
                return {
                    Path(member.name).name: (member.offset_data, member.size) for member in archive if member.isreg()
                }
        except tarfile.TarError as error:
            raise NbevalError(f"{self._path} is truncated or damaged ({error}): get the file again") from None

    def names(self) -> list[str]:
        """Return the names of the files, without folders."""
        return list(self._places)

    def state(self, names: Sequence[str]) -> str:
        """Return a text that changes when the archive changes."""
        status = self._path.stat()
        return f"{status.st_size} {status.st_mtime_ns}"

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        start, size = self._places[name]
        with self._path.open("rb") as file:
            file.seek(start)
            return file.read(size)

    def nearby(self) -> Path | None:
        """Nothing: an archive in an archive is not looked into."""
        return None
