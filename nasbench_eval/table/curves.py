"""The optional second file of a table: accuracy and loss after every epoch. Needs no torch.

It has one row per cell in official order. The columns are named as in the table (``nasbench_eval.table.schema``), for
single trials only. They hold lists of EPOCHS float32 values: NaN where an epoch was not evaluated, null where the trial
was not run. A row group has ``ROWS`` rows, so that the curve of one cell is read from a small block.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nasbench_eval.cell import N_CELLS
from nasbench_eval.errors import NbevalError
from nasbench_eval.table.file_kind import CURVES_KEY, open_parquet
from nasbench_eval.table.schema import MEAN, Key
from nasbench_eval.utils.files import reading, require_file_name
from nasbench_eval.utils.paths import exists

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 125
"""Cells per row group."""


def curves_path(table: Path) -> Path:
    """Return the path of the learning curves of a table file: beside it."""
    return require_file_name(table).with_suffix(".curves.parquet")


class CurveFile:
    """The learning curves beside a table.

    Args:
        path: The file.
        content_hash: The content hash of the table; the file must have been written with it.

    Raises:
        NbevalError: If the file is missing, unreadable, or belongs to another table.
    """

    def __init__(self, path: Path, content_hash: str) -> None:
        self._path = path
        if not exists(path):
            raise NbevalError(
                f"no learning curves at {path}: make them from the official files with `nbeval table build --curves`"
            )
        with self._reading():
            self._file = open_parquet(path, "the learning curves of a table")
            keys = tuple(Key.parse(name) for name in self._file.schema_arrow.names)
            found = (self._file.schema_arrow.metadata or {}).get(CURVES_KEY, b"").decode()
        if found != content_hash or self._file.metadata.num_rows != N_CELLS:
            raise NbevalError(f"the learning curves at {path} belong to another table: build both again")
        self.keys = keys

    def _reading(self) -> AbstractContextManager[None]:
        return reading(self._path, "Parquet file", "build it again")

    def trials(self, key: Key) -> list[Key]:
        """Return the columns of a key: of all trials if it is a mean, otherwise of the key itself.

        Raises:
            NbevalError: If there is none.
        """
        found = [k for k in self.keys if k == key or (key.trial == MEAN and k._replace(trial=MEAN) == key)]
        if not found:
            there = sorted(str(k) for k in self.keys if k.dataset == key.dataset and k.metric == key.metric)
            raise NbevalError(f"there are no curves {key}; for {key.dataset} there are {', '.join(there) or 'none'}")
        return found

    def curve(self, index: int, key: Key) -> np.ndarray | None:
        """Return the curve of one trial, float32 (epochs,), or None if the trial was not run."""
        row = index % ROWS
        with self._reading():
            lists = self._column(key, index // ROWS)
            if lists.slice(row, 1).null_count:
                return None
            start, end = lists.offsets[row].as_py(), lists.offsets[row + 1].as_py()
            return np.from_dlpack(lists.values.slice(start, end - start))

    def column(self, key: Key) -> np.ndarray:
        """Return one trial's curves of all cells, float32 (15625, epochs), NaN where there is none."""
        full = np.full((N_CELLS, key.epochs or 0), np.nan, dtype=np.float32)
        with self._reading():
            for group in range(self._file.num_row_groups):
                lists = self._column(key, group)
                there = np.flatnonzero(np.diff(np.from_dlpack(lists.offsets)))
                full[group * ROWS + there] = np.from_dlpack(lists.values).reshape(len(there), full.shape[1])
        return full

    def _column(self, key: Key, group: int) -> pa.ListArray:
        read = self._file.read_row_group(group, columns=[str(key)], use_threads=False)
        return read.column(0).combine_chunks()
