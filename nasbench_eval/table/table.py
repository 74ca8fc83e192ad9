"""The benchmark table, opened in milliseconds and queried in about a microsecond."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_eval.cell import N_CELLS, Cell, all_archs
from nasbench_eval.errors import NbevalError, unknown
from nasbench_eval.official_names import column_hint
from nasbench_eval.table.curves import CurveFile, curves_path
from nasbench_eval.table.replace import require_no_loss
from nasbench_eval.table.schema import MEAN, SPLITS, Key, Metadata, content_hash, trials_by_mean
from nasbench_eval.table.table_file import ARCH, FileColumns, write_columns
from nasbench_eval.utils.checks import whole_number
from nasbench_eval.utils.paths import exists

if TYPE_CHECKING:
    import pandas as pd


class Table:
    """True accuracies and costs of all 15,625 cells.

    A column is read when it is first used. Accuracies are top-1 in percent, seconds are simulated. Asking for a number
    that is not in the table raises an error; nothing is imputed.
    """

    def __init__(self, columns: Mapping[Key, np.ndarray], metadata: Metadata, path: Path | None = None) -> None:
        self.metadata = metadata
        self.path = path
        self._columns = columns
        self._lists: dict[Key, list[float]] = {}
        self._curves: CurveFile | None = None
        self.keys: tuple[Key, ...] = tuple(columns)

    @staticmethod
    def open(path: str | Path) -> Table:
        """Open a table file.

        Raises:
            NbevalError: If the file is missing, is not Parquet, is not a table of nbeval, or has another schema.
        """
        path = Path(path)
        columns = FileColumns(path)
        return Table(columns, columns.metadata, path)

    @staticmethod
    def build(columns: Mapping[Key, np.ndarray], *, name: str, source: dict[str, Any], splits: Any = None) -> Table:
        """Make a table in memory from float columns of 15,625 values in official order.

        If there are columns of trials without their mean, the column of the mean is added.

        Raises:
            NbevalError: If the length of a column is not 15,625.
        """
        with np.errstate(over="ignore"):  # infinite then, which no range allows
            full = {key: np.ascontiguousarray(values, dtype=np.float32) for key, values in columns.items()}
        for key, values in full.items():
            if values.shape != (N_CELLS,):
                raise NbevalError(f"column {key} has shape {values.shape}, expected ({N_CELLS},)")
        for mean, trials in trials_by_mean(columns).items():
            if mean not in full:
                full[mean] = _mean_over_trials(np.stack([full[key] for key in trials]))
        metadata = Metadata(
            name=name,
            content_hash=content_hash(full),
            source=source,
            splits=SPLITS if splits is None else splits,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )
        return Table(full, metadata)

    def save(self, path: str | Path, *, force: bool = False) -> Table:
        """Write the table to a file atomically, and return it as opened from there.

        Args:
            path: The file.
            force: Replace a fuller table, or a file that is no table.

        Raises:
            NbevalError: If the file has what this table lacks, such as cells or trials, and ``force`` is not set.
        """
        if not force:
            require_no_loss(Path(path), cells=self.metadata.cells, new=self._columns)
        write_columns(Path(path), self._columns, self.metadata)
        return Table.open(path)

    def _list(self, key: Key) -> list[float]:
        column = self.values(key)
        # A list answers a query several times faster than an array, and holds Python floats.
        values: list[float] = column.tolist()
        self._lists[key] = values
        return values

    def _value(self, cell: Cell, key: Key) -> float:
        value = (self._lists.get(key) or self._list(key))[cell.index]
        if value != value:
            raise NbevalError(
                f"the table has no value for cell {cell.index} in {key}: that trial was not run, or diverged"
            )
        return value

    def accuracy(self, cell: Cell, dataset: str, split: str, *, epochs: int, trial: int | None = None) -> float:
        """Return a cell's top-1 accuracy in percent.

        Args:
            cell: The cell.
            dataset: ``cifar10``, ``cifar100``, ``imagenet16-120``, or another data set of the table.
            split: The part evaluated: ``train``, ``valid``, ``test``, ...; see ``schema.SPLITS``.
            epochs: The length of the schedule: 200, or 12 for the separate short one.
            trial: The seed of a trial; None is the mean over the trials that were run.

        Raises:
            NbevalError: If the table lacks the column, or the trial was not run for this cell.
        """
        return self._value(cell, Key(dataset, epochs, split, "accuracy", MEAN if trial is None else str(trial)))

    def train_seconds(self, cell: Cell, dataset: str, *, epochs: int, part: str = "train") -> float:
        """Return the simulated seconds of training for all ``epochs`` epochs on a part of the data set.

        Raises:
            NbevalError: If the table lacks the column.
        """
        return self._value(cell, Key(dataset, epochs, part, "train_seconds"))

    def eval_seconds(self, cell: Cell, dataset: str, split: str, *, epochs: int) -> float:
        """Return the simulated seconds of one pass over a split.

        Raises:
            NbevalError: If the table lacks the column.
        """
        return self._value(cell, Key(dataset, epochs, split, "eval_seconds"))

    def cost(self, cell: Cell, dataset: str) -> dict[str, float]:
        """Return the costs of a cell's network that the table has, by metric.

        Returns:
            ``params_mb`` (millions), ``flops_m`` (multiply-adds for one image, millions) and ``latency_s`` (seconds
            of one forward pass, as measured by the benchmark), as far as the table has them.

        Raises:
            NbevalError: If the table has none of them.
        """
        keys = [key for key in self.keys if key.dataset == dataset and key.epochs is None]
        if not keys:
            raise self._missing(Key(dataset, None, "-", "params_mb"))
        return {key.metric: self._value(cell, key) for key in keys}

    def curve(
        self,
        cell: Cell,
        dataset: str,
        split: str,
        *,
        epochs: int,
        metric: str = "accuracy",
        trial: int | None = None,
    ) -> np.ndarray:
        """Return accuracy or loss after each epoch, from the file of learning curves beside the table.

        Args:
            cell: The cell.
            dataset: As for ``accuracy``.
            split: As for ``accuracy``.
            epochs: The length of the schedule.
            metric: ``accuracy`` or ``loss``.
            trial: The seed of a trial; None is the mean over the trials that were run.

        Returns:
            float32 (epochs,), NaN where no trial was evaluated after that epoch.

        Raises:
            NbevalError: If there is no such file or curve, or the trial was not run.
        """
        key = Key(dataset, epochs, split, metric, MEAN if trial is None else str(trial))
        file = self._curve_file()
        lines = [line for k in file.trials(key) if (line := file.curve(cell.index, k)) is not None]
        if not lines:
            raise NbevalError(f"there is no curve for cell {cell.index} in {key}: that trial was not run")
        return _mean_over_trials(np.stack(lines))

    def curves(
        self, dataset: str, split: str, *, epochs: int, metric: str = "accuracy", trial: int | None = None
    ) -> np.ndarray:
        """Return the curves of all cells in official order; the arguments are as for ``curve``.

        Returns:
            float32 (15625, epochs), NaN where no trial was evaluated.

        Raises:
            NbevalError: If there is no such file or curve.
        """
        file = self._curve_file()
        keys = file.trials(Key(dataset, epochs, split, metric, MEAN if trial is None else str(trial)))
        return _mean_over_trials(np.stack([file.column(key) for key in keys]))

    def _curve_file(self) -> CurveFile:
        if self._curves is None:
            if self.path is None:
                raise NbevalError("the table is only in memory: save it to have learning curves beside it")
            beside = curves_path(self.path)
            if not exists(beside) and self.path.is_symlink():
                beside = curves_path(self.path.resolve())
            self._curves = CurveFile(beside, self.metadata.content_hash)
        return self._curves

    def column(
        self,
        dataset: str,
        split: str = "-",
        metric: str = "accuracy",
        *,
        epochs: int | None,
        trial: int | None = None,
    ) -> np.ndarray:
        """Return one column for all cells in official order: float32, NaN where a trial was not run.

        Raises:
            NbevalError: If the table lacks the column.
        """
        return self.values(Key(dataset, epochs, split, metric, MEAN if trial is None else str(trial)))

    def values(self, key: Key) -> np.ndarray:
        """Return the column of a key for all cells in official order: float32, NaN where a trial was not run.

        Raises:
            NbevalError: If the table lacks the column.
        """
        try:
            return self._columns[key]
        except KeyError:
            raise self._missing(key) from None

    def best(self, dataset: str, split: str = "test", *, epochs: int | None = None) -> tuple[Cell, float]:
        """Return the cell with the highest mean accuracy, and that accuracy in percent; see ``top``."""
        return self.top(dataset, split, count=1, epochs=epochs)[0]

    def top(
        self, dataset: str, split: str = "test", *, count: int, epochs: int | None = None
    ) -> list[tuple[Cell, float]]:
        """Return the ``count`` cells with the highest mean accuracy, best first, ties in official order.

        Args:
            dataset: As for ``accuracy``.
            split: As for ``accuracy``.
            count: Number of cells, at least 1.
            epochs: The length of the schedule; None is the longest one.

        Raises:
            NbevalError: If the table lacks the column, or the column is empty.
            UsageError: If ``count`` is not a whole number from 1.
        """
        count = whole_number(count, "count", at_least=1)
        if epochs is None:
            epochs = self.longest(dataset)
        values = self.column(dataset, split, epochs=epochs)
        # Largest first, NaN last, equal values by index.
        order = np.argsort(-values, kind="stable")[:count]
        found = [(Cell.from_index(int(i)), float(values[i])) for i in order if not np.isnan(values[i])]
        if not found:
            raise NbevalError(f"the table has no value in {Key(dataset, epochs, split, 'accuracy')}")
        return found

    @property
    def datasets(self) -> tuple[str, ...]:
        """The data sets of the table, in the order of its columns."""
        return tuple(dict.fromkeys(key.dataset for key in self.keys))

    def epochs(self, dataset: str) -> tuple[int, ...]:
        """Return the lengths of the schedules of a data set, ascending."""
        return tuple(sorted({key.epochs for key in self.keys if key.dataset == dataset and key.epochs is not None}))

    def longest(self, dataset: str) -> int:
        """Return the longest schedule of a data set, whose accuracy is the true one: 200 in NAS-Bench-201.

        Raises:
            NbevalError: If the table does not have the data set.
        """
        if not (schedules := self.epochs(dataset)):
            if dataset in self.datasets:
                raise NbevalError(f"the table has no accuracy of {dataset}, only {', '.join(self._metrics(dataset))}")
            raise unknown("data set in the table", dataset, self.datasets)
        return schedules[-1]

    def _metrics(self, dataset: str) -> list[str]:
        return sorted({key.metric for key in self.keys if key.dataset == dataset})

    @property
    def tested(self) -> tuple[str, ...]:
        """The data sets of which the table has the true accuracy: on test, after the longest schedule."""
        return tuple(
            name
            for name in self.datasets
            if self.epochs(name) and any(key[:4] == (name, self.longest(name), "test", "accuracy") for key in self.keys)
        )

    def trials(self, dataset: str, split: str, *, epochs: int) -> tuple[int, ...]:
        """Return the seeds of the trials of which the table has the accuracy."""
        return tuple(
            sorted(int(k.trial) for k in self.keys if k[:4] == (dataset, epochs, split, "accuracy") and k.trial != MEAN)
        )

    def noise(self, dataset: str, split: str, *, epochs: int) -> float:
        """Return the standard deviation between the trials of a cell, pooled over all cells, in percentage points.

        The variances within cells (ddof 1) are averaged, weighted by their degrees of freedom. NaN if there are fewer
        than two trials.
        """
        seeds = self.trials(dataset, split, epochs=epochs)
        if len(seeds) < 2:
            return math.nan
        values = np.stack([self.column(dataset, split, epochs=epochs, trial=seed) for seed in seeds]).astype(float)
        runs = np.sum(~np.isnan(values), axis=0)
        means = np.nansum(values, axis=0) / np.maximum(runs, 1)
        squares = np.nansum((values - means) ** 2, axis=0)
        freedom = np.maximum(runs - 1, 0).sum()
        return float(np.sqrt(squares.sum() / freedom)) if freedom else math.nan

    def content_hash(self) -> str:
        """Return the hash of the numbers that are there; it is that of the metadata, unless they were changed."""
        return content_hash({key: self.values(key) for key in self.keys})

    def archs(self) -> list[str]:
        """Return the architecture strings in the file, row by row."""
        if isinstance(self._columns, FileColumns):
            return self._columns.archs()
        return list(all_archs())

    def to_pandas(self) -> pd.DataFrame:
        """Return the whole table: one row per cell in official order, columns named as in the schema."""
        import pandas as pd

        frame = pd.DataFrame({str(key): self._columns[key] for key in sorted(self.keys, key=str)})
        frame.insert(0, ARCH, list(all_archs()))
        return frame.rename_axis("index")

    def hint(self, dataset: str | None, split: str | None, epochs: int | None) -> str:
        """Return a clause for messages if a split or schedule is missing because the official name is another one."""
        keys = [key for key in self.keys if dataset in (None, key.dataset)]
        there = any(key.epochs == epochs for key in keys)
        return column_hint(dataset, split, None if there else epochs, [key.split for key in keys])

    def _missing(self, key: Key) -> NbevalError:
        if key.dataset not in self.datasets:
            return unknown("data set in the table", key.dataset, self.datasets)
        there = sorted({str(k) for k in self.keys if k.dataset == key.dataset and k.metric == key.metric})
        hint = self.hint(key.dataset, key.split, key.epochs)
        return NbevalError(
            f"the table has no column {key}{': ' if hint else ''}{hint}; for {key.dataset} {key.metric} it has "
            f"{', '.join(there) if there else 'none'}"
        )


def _mean_over_trials(values: np.ndarray) -> np.ndarray:
    """Return the mean over axis 0 without the trials that were not run; NaN where none was."""
    runs = np.sum(~np.isnan(values), axis=0)
    total = np.nansum(values.astype(np.float64), axis=0)
    return np.where(runs > 0, total / np.maximum(runs, 1), np.nan).astype(np.float32)
