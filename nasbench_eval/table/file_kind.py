"""Tell from its first bytes what a file is, so that a message can name the command that fits it.

The name of a file says little: a page that a download returned instead of the file has the name of the file.
"""

from __future__ import annotations

import codecs
import enum
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from nasbench_eval.errors import NbevalError
from nasbench_eval.utils import parquet
from nasbench_eval.utils.paths import unreadable

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_HEAD = 4096
TABLE_KEY, CURVES_KEY = b"nbeval", b"nbeval.table"
"""The metadata by which a table and its learning curves are known: what is known of a table, and its content hash."""


class Kind(enum.Enum):
    """A kind of file, in words."""

    FOLDER = "a folder"
    TABLE = "a table of nbeval"
    CURVES = "the learning curves of a table"
    PARQUET = "a Parquet file"
    CUT_PARQUET = "a Parquet file without its end"
    TEXT = "a text file"
    WEB_PAGE = "a web page"
    LFS_POINTER = "a pointer of Git LFS"
    TORCH = "a file of torch.save"
    PICKLE = "a pickle"
    PANDAS = "a pickle of pandas"
    TAR = "a tar archive"
    ZIP = "a zip archive"
    CUT_ZIP = "a zip archive without its end"
    BZIP2 = "compressed with bzip2"
    GZIP = "compressed with gzip"
    XZ = "compressed with xz"
    HDF5 = "an HDF5 file"
    NUMPY = "an array of numpy"
    EMPTY = "empty"
    UNKNOWN = "of no known kind"


_AGAIN = "get the file again (docs/data.md)"
_UNPACK = "unpack it, and give what is in it"
_FRAME = "write it as Parquet or csv with one row per cell, then `nbeval table import` that"

ADVICE = {
    Kind.FOLDER: "`nbeval table build {path}` reads NATS-Bench's folder",
    Kind.TABLE: "use it as it is, with --table {path}",
    Kind.CURVES: "give the table beside it",
    Kind.PARQUET: "make a table of it with `nbeval table import {path}`",
    Kind.CUT_PARQUET: "it is truncated: get it or make it again",
    Kind.TEXT: "if it is csv with one row per cell, make a table of it with `nbeval table import {path}`",
    Kind.WEB_PAGE: "the download returned a page, not the file: open the link in a browser (docs/data.md)",
    Kind.LFS_POINTER: "get the file it stands for with `git lfs pull`",
    Kind.TORCH: "if it is NAS-Bench-201's file, make a table of it with `nbeval table build {path}`",
    Kind.PICKLE: "if it is NAS-Bench-201's file, make a table of it with `nbeval table build {path}`",
    Kind.PANDAS: _FRAME,
    Kind.TAR: "if it is NATS-Bench's, make a table of it with `nbeval table build {path}`",
    Kind.ZIP: _UNPACK,
    Kind.CUT_ZIP: f"it is truncated: {_AGAIN}",
    Kind.BZIP2: "NATS-Bench's single file is not supported; `nbeval table build` reads its folder, "
    "NATS-tss-v1_0-3ffb9-simple",
    Kind.GZIP: _UNPACK,
    Kind.XZ: _UNPACK,
    Kind.HDF5: _FRAME,
    Kind.NUMPY: _FRAME,
    Kind.EMPTY: _AGAIN,
    Kind.UNKNOWN: f"it is damaged, or not meant for nbeval: {_AGAIN}",
}
"""What to do with a file of a kind that does not fit; ``{path}`` is the file."""

_MAGIC = {
    b"PK\x03\x04": Kind.ZIP,
    b"PK\x05\x06": Kind.ZIP,
    b"BZh": Kind.BZIP2,
    b"\x1f\x8b": Kind.GZIP,
    b"\xfd7zXZ\0": Kind.XZ,
    b"\x89HDF\r\n\x1a\n": Kind.HDF5,
    b"\x93NUMPY": Kind.NUMPY,
}


def kind_of(path: Path) -> Kind:
    """Return the kind of a file.

    Raises:
        NbevalError: If there is nothing at the path, or it cannot be read.
    """
    try:
        if path.is_dir():
            return Kind.FOLDER
        with path.open("rb") as file:
            head = file.read(_HEAD)
            size = file.seek(0, 2)
            file.seek(max(size - 4, 0))
            tail = file.read()
    except FileNotFoundError:
        raise NbevalError(f"no file or folder at {path} (docs/data.md says where to get one)") from None
    except OSError as error:
        raise NbevalError(f"cannot read {path}: {error.strerror or error}") from None
    if not head:
        return Kind.EMPTY
    if head.startswith(b"PAR1"):
        return _kind_of_parquet(path) if tail == b"PAR1" and size > 8 else Kind.CUT_PARQUET
    if head.startswith(b"\x80") and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return Kind.PANDAS if b"pandas.core" in head else Kind.PICKLE
    if head[257:262] == b"ustar":
        return Kind.TAR
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return _kind_of_zip(path) if kind is Kind.ZIP else kind
    return _kind_of_text(head)


def wrong_kind(path: Path, kind: Kind, expected: str) -> NbevalError:
    """Return the error for a file of another kind than expected: what it is, and what to do with it."""
    title = f" ({found})" if kind is Kind.WEB_PAGE and (found := _title(path)) else ""
    return NbevalError(f"{path} is {kind.value}{title}, not {expected}: {ADVICE[kind].format(path=path)}")


def open_parquet(path: Path, expected: str) -> pq.ParquetFile:
    """Open a Parquet file; it is mapped into memory, so that it stays readable if it is replaced later.

    Args:
        path: The file.
        expected: What it should be, for the message.

    Raises:
        NbevalError: If it cannot be read, or is of another kind.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(parquet.source(path), memory_map=True, page_checksum_verification=True)
    except PermissionError as error:
        raise unreadable(path, error) from None
    except (pa.ArrowException, OSError):
        raise wrong_kind(path, kind_of(path), expected) from None


def _kind_of_parquet(path: Path) -> Kind:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(parquet.source(path)).metadata or {}
    except (pa.ArrowException, OSError):
        return Kind.CUT_PARQUET
    if TABLE_KEY in metadata:
        return Kind.TABLE
    return Kind.CURVES if CURVES_KEY in metadata else Kind.PARQUET


def _kind_of_zip(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            return Kind.TORCH if any(name.endswith("/data.pkl") for name in archive.namelist()) else Kind.ZIP
    except (zipfile.BadZipFile, OSError):
        return Kind.CUT_ZIP


def _kind_of_text(head: bytes) -> Kind:
    try:
        # Incremental: the last character may be cut.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return Kind.UNKNOWN
    if "\0" in text:
        return Kind.UNKNOWN
    if re.match(r"\s*(<!doctype html|<html|<\?xml|<head)", text, re.IGNORECASE):
        return Kind.WEB_PAGE
    return Kind.LFS_POINTER if text.startswith("version https://git-lfs") else Kind.TEXT


def _title(path: Path) -> str:
    with path.open("rb") as file:
        found = re.search(rb"<title>\s*([^<]{1,80})", file.read(_HEAD), re.IGNORECASE)
    return found[1].decode(errors="replace").strip() if found else ""
