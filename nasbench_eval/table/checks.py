"""What must hold for any table, and what is known of NAS-Bench-201: the checks of ``nbeval table verify``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from nasbench_eval.cell import N_CELLS, Cell
from nasbench_eval.errors import NbevalError
from nasbench_eval.table.schema import MEAN, Key

if TYPE_CHECKING:
    from nasbench_eval.table.table import Table

RANGES = {
    "accuracy": (0.0, 100.0),
    "loss": (0.0, np.inf),
    "eval_seconds": (0.0, np.inf),
    "train_seconds": (0.0, np.inf),
    "params_mb": (0.0, 10.0),
    "flops_m": (0.0, 1000.0),
    "latency_s": (0.0, 10.0),
}
"""The lowest and highest value a metric can have; sizes and latency are bounded by a wide margin."""


def range_errors(table: Table, *, partial: bool = False) -> Iterator[str]:
    """Yield one line for each column that has a value out of range, or a mean that is missing.

    Args:
        table: The table.
        partial: Allow means to be missing, as in a table of some of the cells.
    """
    for key in table.keys:
        values = table.values(key)
        low, high = RANGES[key.metric]
        with np.errstate(invalid="ignore"):
            wrong = (values < low) | (values > high) | np.isinf(values)
        if key.trial == MEAN and not partial:
            wrong |= np.isnan(values)
        if wrong.any():
            index = int(np.flatnonzero(wrong)[0])
            more = f" (and {wrong.sum() - 1} more cells)" if wrong.sum() > 1 else ""
            found = "missing (NaN)" if np.isnan(values[index]) else f"{values[index]:g}"
            yield f"{key} of {describe(index)} is {found}, expected {_words(key)}{more}"


def check_ranges(table: Table, *, partial: bool = False) -> None:
    """Raise on the first value out of range.

    Raises:
        NbevalError: Naming the cell, the column and the value.
    """
    for line in range_errors(table, partial=partial):
        raise NbevalError(line)


def describe(index: int) -> str:
    """Return a cell's index and architecture string for a message."""
    return f"cell {index} ({Cell.from_index(index)})" if 0 <= index < N_CELLS else f"cell {index}"


def _words(key: Key) -> str:
    low, high = RANGES[key.metric]
    return f"{low:g} to {high:g}" if np.isfinite(high) else f"{low:g} or more"
