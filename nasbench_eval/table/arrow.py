"""Convert Arrow columns to numpy arrays without importing pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa


def as_numpy(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column of numbers as a read-only array, without a copy if it is in one chunk.

    Arrow's own ``to_numpy`` imports pandas, which takes a third of a second. DLPack does not, but has no nulls: a
    column with nulls goes through ``to_numpy``, and the nulls become NaN.
    """
    chunk = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    values = np.asarray(chunk.to_numpy(zero_copy_only=False)) if chunk.null_count else np.from_dlpack(chunk)
    values.flags.writeable = False
    return values
