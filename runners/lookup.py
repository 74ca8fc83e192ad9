"""True accuracies, looked up by the runner alone: a method never sees them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np

from nasbench_eval.cell import Cell
from nasbench_eval.errors import NbevalError
from nasbench_eval.runs.store import TEST_ACC, TableFacts
from nasbench_eval.table import Table
from nasbench_eval.table.noise import trial_noise


@dataclass(frozen=True)
class TableLookup:
    """True accuracies from a benchmark table: test accuracy after the longest schedule, mean over trials."""

    table: Table

    @property
    def datasets(self) -> tuple[str, ...]:
        """The data sets whose test accuracy the table has."""
        return self.table.tested

    def column(self, dataset: str) -> np.ndarray:
        """Return the true accuracy of all cells in official order, in percent."""
        return self.table.column(dataset, "test", epochs=self.table.longest(dataset)).astype(np.float64)

    def accuracies(self, dataset: str, indices: Sequence[int]) -> np.ndarray:
        """Return the true accuracies of cells by their official indices, in percent.

        Raises:
            NbevalError: If the table lacks one.
        """
        found: np.ndarray = self.column(dataset)[list(indices)]
        if (missing := np.flatnonzero(np.isnan(found))).size:
            raise NbevalError(
                f"the table has no true accuracy of cell {indices[missing[0]]} on {dataset}, which is to be scored: "
                "complete it, or name another one with --table"
            )
        return found

    def look_up(self, cell: Cell) -> dict[str, float]:
        """Return a cell's true accuracy on every data set, by column name."""
        return {
            f"{TEST_ACC}{name}": self.table.accuracy(cell, name, "test", epochs=epochs)
            for name, epochs in self._epochs.items()
        }

    @cached_property
    def _epochs(self) -> dict[str, int]:
        return {name: self.table.longest(name) for name in self.datasets}

    @property
    def note(self) -> str:
        """What the accuracies are, in words."""
        lengths = ", ".join(map(str, sorted(set(self._epochs.values()))))
        single = all(len(self.table.trials(name, "test", epochs=n)) == 1 for name, n in self._epochs.items())
        whose = "of its one trial" if single else "mean over its trials"
        return f"{self.table.metadata.name} table, test accuracy after {lengths} epochs, {whose}"

    def facts(self) -> TableFacts:
        """Return what a run record says about the table: optimum and noise of each data set."""
        return _facts(self.table)


@cache
def _facts(table: Table) -> TableFacts:
    # Parquet files from before December 2026 have no checksums of their own.
    if table.content_hash() != table.metadata.content_hash:
        raise NbevalError(
            f"the table {table.path} is damaged, its numbers are not those that it was written with: make it again"
        )
    truth = TableLookup(table)
    noises = {name: trial_noise(table, name) for name in truth.datasets}
    return TableFacts(
        name=table.metadata.name,
        content_hash=table.metadata.content_hash,
        optimum={name: table.best(name)[1] for name in truth.datasets},
        noise={name: {split: noise} for name, (noise, split) in noises.items() if split},
    )


def require_known(truth: TableLookup, datasets: Sequence[str]) -> None:
    """Check that the table has the true accuracies of some data sets.

    Raises:
        NbevalError: If it lacks one; the message says what to do.
    """
    for name in datasets:
        if name not in truth.datasets:
            raise NbevalError(
                f"the table has no {name} (it has {', '.join(truth.datasets) or 'no test accuracies'}): "
                "train the derived cells from scratch with --truth train"
            )


def train_note(settings: Any, published: Any, data: Any) -> str:
    """Describe in words how ``--truth train`` obtained its accuracies."""
    changed = [
        f"{key}={value} (benchmark {theirs})"
        for (key, value), theirs in zip(
            dataclasses.asdict(settings).items(), dataclasses.asdict(published).values(), strict=True
        )
        if value != theirs
    ]
    part = "train and valid" if data.valid_is_training_data else "train"
    trained_on = f"{len(data.training_set):,} {part} images"
    return f"final cell trained once from scratch on {trained_on}, tested on {len(data.test):,}" + (
        f"; {', '.join(changed)}" if changed else ", with the benchmark's schedule"
    )


def with_truth(rows: Sequence[Mapping[str, Any]], truth: TableLookup) -> list[dict[str, Any]]:
    """Return the rows with test accuracies looked up in this table, in place of any they had."""
    return [
        {
            **{key: value for key, value in row.items() if not key.startswith(TEST_ACC)},
            **truth.look_up(Cell.parse(row["cell"])),
        }
        for row in rows
    ]
