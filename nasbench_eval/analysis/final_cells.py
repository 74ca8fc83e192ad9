"""The final cells of a variant: which seeds ended on each, and how good it is. Pure functions on runs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from nasbench_eval.cell import Cell
from nasbench_eval.runs.store import Run


@dataclass(frozen=True)
class FinalCell:
    """A cell, and the runs that ended on it.

    Attributes:
        cell: The cell.
        runs: The runs, ordered by seed.
    """

    cell: Cell
    runs: tuple[Run, ...]

    def test_acc(self, dataset: str) -> float:
        """Return its true test accuracy in percent, the mean over the runs that know it; NaN if none does.

        Runs whose final cells were trained from scratch trained it once each.
        """
        known = [run.test_acc[dataset] for run in self.runs if dataset in run.test_acc]
        return math.fsum(known) / len(known) if known else math.nan


def final_cells(runs: Iterable[Run]) -> list[FinalCell]:
    """Return the final cells of the runs of one variant: the most frequent first, then those of the lowest seeds."""
    groups: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.record.seed):
        groups.setdefault(str(run.steps["cell"].iloc[-1]), []).append(run)
    found = [FinalCell(Cell.parse(text), tuple(group)) for text, group in groups.items()]
    return sorted(found, key=lambda each: (-len(each.runs), each.runs[0].record.seed))
