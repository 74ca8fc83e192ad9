"""The file of a table: Parquet, one row per cell in official order, one float column per key, metadata beside them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_eval.cell import N_CELLS, all_archs
from nasbench_eval.errors import NbevalError
from nasbench_eval.table.arrow import as_numpy
from nasbench_eval.table.file_kind import TABLE_KEY, kind_of, open_parquet, wrong_kind
from nasbench_eval.table.schema import Key, Metadata
from nasbench_eval.utils import parquet
from nasbench_eval.utils.files import atomic_write, reading
from nasbench_eval.utils.paths import exists

ARCH = "arch"
"""The column of architecture strings."""


def write_columns(path: Path, columns: Mapping[Key, np.ndarray], metadata: Metadata) -> None:
    """Write float columns of 15,625 values in official order to a file atomically."""
    import pyarrow as pa

    names = sorted(columns, key=str)
    arrays = [pa.array(all_archs())]
    arrays += [pa.array(columns[key], type=pa.float32()) for key in names]
    table = pa.table(arrays, names=[ARCH, *map(str, names)])
    table = table.replace_schema_metadata({TABLE_KEY: metadata.to_json()})
    with atomic_write(path) as temporary:
        parquet.write(table, temporary, compression="zstd", use_dictionary=[ARCH])


class FileColumns(Mapping[Key, np.ndarray]):
    """The float columns of a table file, each read when it is first used.

    Args:
        path: The file.

    Raises:
        NbevalError: If the file is missing, is not Parquet, is not a table of nbeval, or has another schema.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not exists(path):
            raise NbevalError(f"no table at {path}")
        with self._reading():
            self._file = open_parquet(path, "a table of nbeval")
            metadata = (self._file.schema_arrow.metadata or {}).get(TABLE_KEY)
            if metadata is None:
                raise wrong_kind(path, kind_of(path), "a table of nbeval")
            self.metadata = Metadata.from_json(metadata)
            if self._file.metadata.num_rows != N_CELLS:
                raise NbevalError(f"{path} has {self._file.metadata.num_rows} rows, expected {N_CELLS}")
            names = [name for name in self._file.schema_arrow.names if name != ARCH]
            self._names = {Key.parse(name): name for name in names}
        self._read: dict[Key, np.ndarray] = {}

    def _reading(self) -> AbstractContextManager[None]:
        return reading(self._path, "Parquet file", "make the table again")

    def __getitem__(self, key: Key) -> np.ndarray:
        if key not in self._read:
            name = self._names[key]
            with self._reading():
                values = as_numpy(self._file.read(columns=[name], use_threads=False).column(0))
                if values.shape != (N_CELLS,) or values.dtype.kind != "f":
                    raise NbevalError(
                        f"{self._path}: column {name} does not hold {N_CELLS} numbers: make the table again"
                    )
            self._read[key] = values
        return self._read[key]

    def archs(self) -> list[str]:
        """Return the column of architecture strings."""
        with self._reading():
            texts: list[str] = self._file.read(columns=[ARCH], use_threads=False).column(0).to_pylist()
            return texts

    def __iter__(self) -> Any:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
