"""Arrow's columns as numpy arrays, without what Arrow's own ``to_numpy`` costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa


def as_numpy(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column of numbers as a read-only array, without a copy where it is in one piece.

    ``to_numpy`` imports pandas, a third of a second for a command that answers in a millisecond; DLPack does not, but
    knows no nulls: a column with nulls takes the slow way, and they become NaN.
    """
    chunk = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    values = np.asarray(chunk.to_numpy(zero_copy_only=False)) if chunk.null_count else np.from_dlpack(chunk)
    values.flags.writeable = False
    return values
