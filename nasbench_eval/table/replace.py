"""A table never replaces a fuller one, or a file that is no table, unless asked to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from nasbench_eval.errors import NbevalError
from nasbench_eval.table.file_kind import Kind, kind_of, wrong_kind
from nasbench_eval.table.schema import MEAN, Key
from nasbench_eval.table.table_file import FileColumns

_REPLACEABLE = (Kind.TABLE, Kind.CUT_PARQUET, Kind.EMPTY)
"""A damaged file has nothing to lose."""


def require_no_loss(path: Path, *, cells: int, new: Mapping[Key, np.ndarray] | None = None) -> None:
    """Check that a new table lacks nothing that the file at its path has.

    Args:
        path: Where the new table is to be written.
        cells: The number of cells of the new table.
        new: The columns of the new table; None if it is not there yet: then only its cells are compared.

    Raises:
        NbevalError: If cells, schedules, splits, metrics or trials would be lost, or the file is no table; the message
            says what is there.
    """
    if not path.exists():
        return
    kind = kind_of(path)
    ways = "nothing was written: choose another path, or replace it with --force"
    if kind not in _REPLACEABLE:
        raise NbevalError(f"{str(wrong_kind(path, kind, 'a table of nbeval')).split(':', maxsplit=1)[0]}; {ways}")
    try:
        old = FileColumns(path)
    except NbevalError:  # damaged, or of another version: to be made again
        return
    lost = [f"{old.metadata.cells:,} cells, the new one {cells:,}"] if old.metadata.cells > cells else []
    if new is not None:
        lost += _lost(old, new) or _lost_values(old, new)
    if lost:
        raise NbevalError(f"a fuller table is at {path}, with {'; '.join(lost)}. {ways[0].upper()}{ways[1:]}")


def _lost_values(old: Mapping[Key, np.ndarray], new: Mapping[Key, np.ndarray]) -> list[str]:
    """Return in words how many accuracies of shared columns the old table has, and the new one has not."""
    lost = {
        key: int(np.sum(~np.isnan(old[key]) & np.isnan(new[key])))
        for key in sorted(set(old) & set(new), key=str)
        if key.metric == "accuracy"
    }
    lost = {key: count for key, count in lost.items() if count}
    if not lost:
        return []
    return [f"{sum(lost.values()):,} accuracies, such as {next(iter(lost))}, which the new one lacks"]


def _lost(old: Iterable[Key], new: Iterable[Key]) -> list[str]:
    """Return in words which columns are only in the old table; trials count for accuracies alone."""
    there = set(new)
    means = {key._replace(trial=MEAN) for key in there}
    lost = sorted(
        str(key)
        for key in old
        if key not in there and (key._replace(trial=MEAN) not in means or (key.metric == "accuracy"))
    )
    if not lost:
        return []
    more = f" and {len(lost) - 3:,} more columns" if len(lost) > 3 else ""
    return [f"{', '.join(lost[:3])}{more}, which the new one lacks"]
