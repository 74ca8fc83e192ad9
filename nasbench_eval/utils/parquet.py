"""Parquet files whose names pyarrow cannot open: it takes only paths that are UTF-8, and Linux allows any bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def source(path: Path) -> Path | pa.BufferReader:
    """Return what pyarrow can read a file from: its path, or its content if the path is not UTF-8.

    Raises:
        OSError: If it cannot be read.
    """
    import pyarrow as pa

    try:
        str(path).encode()
    except UnicodeEncodeError:
        return pa.BufferReader(path.read_bytes())
    return path


def write(table: pa.Table, path: Path, **options: Any) -> None:
    """Write a table to a file with a checksum of each page; options are those of ``pyarrow.parquet.write_table``."""
    import pyarrow.parquet as pq

    with path.open("wb") as file:
        pq.write_table(table, file, write_page_checksum=True, **options)
