"""Atomic writes and checksums of files."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nasbench_eval.errors import NbevalError, UsageError
from nasbench_eval.utils.paths import unreadable


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success flush it to disk and rename it, otherwise remove it.

    Where ``path`` is a link to a file, that file is replaced, and the link stays.

    Raises:
        NbevalError: If the disk is full, the folder is not writable, or something else is in its place.
    """
    try:
        path = path.resolve() if path.is_symlink() else path
        make_folder(path.parent)
        # The leading dot and the suffix hide an unfinished file from readers that list *.parquet.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            make_public(temporary)
            temporary.replace(path)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
    except OSError as error:
        raise NbevalError(f"cannot write {path}: {error.strerror or error}; nothing was changed there") from error


def make_public(path: Path) -> None:
    """Give a file the user's usual permissions; those of the ``tempfile`` module are private."""
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(0o666 & ~umask)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, where they are missing.

    Raises:
        NbevalError: If there is something else in its place, such as a file, or a link to what is not there.
        OSError: If it cannot be made for another reason.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        for place in (folder, *folder.parents):
            if place.is_symlink() and not place.exists():
                raise NbevalError(f"{place} is a link to {place.readlink()}: make that folder first") from None
            if place.exists() and not place.is_dir():
                raise NbevalError(f"{place} is a file, and has to be a folder: move it away") from None
        folder.mkdir(parents=True, exist_ok=True)  # it was removed just after it was found to exist


def require_file_name(path: Path) -> Path:
    """Return a path that has a file name; the files beside a table are named after it.

    Raises:
        UsageError: If it has none, such as ``.`` or an empty text.
    """
    if not path.name:
        raise UsageError(f"{str(path)!r} is not the name of a file: give one, such as table.parquet")
    return path


def append_text(path: Path, text: str) -> None:
    """Append text to a file and flush it to disk; if that fails, cut the file back to its length before.

    Raises:
        NbevalError: If the disk is full, or the file is not writable.
    """
    try:
        with path.open("ab", buffering=0) as file:
            before = file.seek(0, os.SEEK_END)
            try:
                content = memoryview(text.encode())
                while content:  # a write may stop early where the space ends
                    content = content[file.write(content) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(before)
                raise
    except OSError as error:
        raise NbevalError(f"cannot write {path}: {error.strerror or error}; nothing was changed there") from error


DAMAGED = (
    OSError, EOFError, MemoryError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError,
    AssertionError, RuntimeError, SyntaxError, struct.error, tokenize.TokenError, zlib.error, zipfile.BadZipFile,
)  # fmt: skip
"""What the readers of Parquet, numpy, JSON and torch files raise for bytes that are damaged."""


@contextmanager
def reading(path: Path, what: str, advice: str) -> Iterator[None]:
    """Blame a file for whatever its content makes the reader raise; our own errors pass through.

    Args:
        path: The file.
        what: What it should be, for the message.
        advice: What the user should do.

    Raises:
        NbevalError: If the file cannot be read, is damaged, or holds something else.
    """
    try:
        yield
    except (PermissionError, IsADirectoryError) as error:
        raise unreadable(path, error) from None
    except DAMAGED as error:
        raise NbevalError(f"{path} is not a readable {what} ({in_one_line(error)}): {advice}") from None


def in_one_line(error: Exception) -> str:
    """Return what an error says, in one line of readable length."""
    text = " ".join(str(error).split())
    if isinstance(error, KeyError):
        return f"it has no {text}"
    return f"{text[:160]}..." if len(text) > 160 else text or "it ends early"


def checksum(*texts: str) -> str:
    """Return the SHA-256 of texts in this order, in hexadecimal."""
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def shortened(sha256: str) -> str:
    """Return the beginning of a SHA-256, as tables and commands show it."""
    return f"SHA-256 {sha256[:12]}"


def verify_checksum(stored: str | None, *texts: str) -> None:
    """Compare texts with the checksum that was stored beside them; files of older versions have none.

    Raises:
        ValueError: If it is another.
    """
    if stored is not None and stored != checksum(*texts):
        raise ValueError("its checksum is another")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
