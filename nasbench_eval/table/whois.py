"""Find the cells that have given accuracies: which cell is behind a published number?"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nasbench_eval.cell import Cell
from nasbench_eval.errors import UsageError
from nasbench_eval.table.schema import MEAN, Key
from nasbench_eval.table.table import Table

_ROUNDING = 2e-5  # of float32 near 100


@dataclass(frozen=True)
class Match:
    """Cells that have the accuracies in one schedule and split.

    Attributes:
        epochs: The length of the schedule.
        split: The part evaluated.
        trial: The seed of the trial, or ``mean``.
        datasets: The data sets whose accuracies agree, in the order of the numbers.
        cells: The cells.
    """

    epochs: int
    split: str
    trial: str
    datasets: tuple[str, ...]
    cells: tuple[Cell, ...]


def interval_of(text: str) -> tuple[float, float]:
    """Return the lowest and highest accuracy that is printed as ``text``: 94.36 stands for 94.355 to 94.365.

    Raises:
        UsageError: If it is not a number in percent.
    """
    if not re.fullmatch(r"\d+(\.\d*)?", text) or not float(text) <= 100:
        raise UsageError(f"an accuracy is a number from 0 to 100, as printed, such as 94.36; got {text[:40]!r}")
    half = 0.5 * 10.0 ** -len(text.partition(".")[2])
    return float(text) - half, float(text) + half


def whois(
    table: Table, accuracies: Sequence[str], datasets: Sequence[str] = (), *, trials: bool = False
) -> list[Match]:
    """Return the cells with the given accuracies, in every schedule and split of the table.

    Args:
        table: The table.
        accuracies: As printed, in percent: they match every value that rounds to them.
        datasets: The data set of each; empty for the table's own order, where a single number may be of any data set.
        trials: Whether to look at single trials too, not only at means.

    Returns:
        Matches, the longest schedules and the means first.

    Raises:
        UsageError: If a number is no accuracy, or there are more of them than data sets.
    """
    intervals = [interval_of(text) for text in accuracies]
    names = list(datasets) or list(table.datasets)
    if len(intervals) > len(names) or (datasets and len(datasets) != len(intervals)):
        raise UsageError(
            f"{len(intervals)} accuracies for {len(names)} data sets ({', '.join(names)}): give one for each, in this "
            "order, or name theirs with --dataset"
        )
    groups = [(name,) for name in names] if len(intervals) == 1 else [tuple(names[: len(intervals)])]
    matches = []
    for group in groups:
        for epochs, split, trial in _columns(table, group):
            if trial != MEAN and not trials:
                continue
            agree = np.logical_and.reduce(
                [
                    (values >= low - _ROUNDING) & (values <= high + _ROUNDING)
                    for name, (low, high) in zip(group, intervals, strict=True)
                    for values in [table.values(Key(name, epochs, split, "accuracy", trial)).astype(float)]
                ]
            )
            if cells := tuple(Cell.from_index(int(index)) for index in np.flatnonzero(agree)):
                matches.append(Match(epochs, split, trial, group, cells))
    return sorted(matches, key=lambda m: (-m.epochs, m.trial != MEAN, m.split != "test", m.split, m.trial))


def nearest(table: Table, accuracies: Sequence[str], datasets: Sequence[str]) -> tuple[Cell, float]:
    """Return the cell whose true accuracies are nearest, and the largest difference in percentage points."""
    gaps = [
        np.abs(table.column(name, "test", epochs=table.longest(name)).astype(float) - float(text))
        for name, text in zip(datasets, accuracies, strict=True)
    ]
    worst = np.nan_to_num(np.max(gaps, axis=0), nan=math.inf)
    index = int(np.argmin(worst))
    return Cell.from_index(index), float(worst[index])


def _columns(table: Table, datasets: Sequence[str]) -> list[tuple[int, str, str]]:
    """Return (epochs, split, trial) of the accuracies that the table has for all these data sets."""
    of = [
        {(k.epochs, k.split, k.trial) for k in table.keys if k.dataset == name and k.metric == "accuracy"}
        for name in datasets
    ]
    return sorted((epochs, split, trial) for epochs, split, trial in set.intersection(*of) if epochs is not None)
