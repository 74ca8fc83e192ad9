"""Run files in Parquet: one row per step, everything else about the run in the metadata.

A file holds one run, or a bundle of runs that differ only in the seed; it exists if and only if its runs are complete.
Columns, one row per step (an epoch, or a table query):

=====================  ===================================================================================
``run``                in bundles only: the number of the run, 0, 1, ...; the rows of a run are contiguous
``step``               0, 1, ...
``cell``               architecture string of the incumbent after the step
``seconds``            cost of the step
``selection_seconds``  cost of choosing the cell among scored candidates, where a method does; a search needs it once
``total_seconds``      cost of the search if it had ended there: the ``seconds`` of all steps so far, and the
                       ``selection_seconds`` of this one. Runs made before November 2026 have no ``selection_seconds``:
                       their ``seconds`` include it
``n_OPERATION``        number of edges of the cell with the operation, for each of ``nasbench_eval.cell.OPS``
``test_acc.DATASET``   true test accuracy of the cell in percent: the 200-epoch mean of the table, or trained
                       from scratch (``record.truth`` says which); NaN where it was not looked up
other columns          what the method observed: ``train_loss``, ``train_acc``, ``valid_loss``, ``valid_acc``,
                       ``entropy``; for tabular methods ``queried``, the official index of the queried cell
=====================  ===================================================================================

"Final" always means the last row.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from nasbench_eval.errors import NbevalError
from nasbench_eval.utils import parquet
from nasbench_eval.utils.files import atomic_write, checksum, reading, verify_checksum
from nasbench_eval.utils.paths import files_under, is_dir

RUN_SCHEMA = 1
OWN = ("run_id", "seed", "started", "finished")
"""Record fields in which the runs of a bundle differ."""
TEST_ACC = "test_acc."
COSTS = ("seconds", "selection_seconds", "total_seconds")
_META_KEY = b"nbeval.run"
_SUM_KEY = b"nbeval.sha256"
"""Checksum of all but the pages of columns, which have their own; runs made before December 2026 have neither."""


@dataclass(frozen=True)
class TableFacts:
    """Facts about the benchmark table that a run's accuracies come from.

    Attributes:
        name: The benchmark.
        content_hash: The table's content hash.
        optimum: Per data set, the best true test accuracy in percent.
        noise: Per data set, the pooled standard deviation between trials of one cell in percentage points, such as
            ``{"test": 0.2}``; another split if the table has no test accuracy per trial; empty if unknown.
    """

    name: str
    content_hash: str
    optimum: Mapping[str, float] = field(default_factory=dict)
    noise: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def noise_on(self, dataset: str) -> tuple[float, str]:
        """Return the standard deviation between trials and its split, preferably test; NaN and "" if unknown."""
        noise = self.noise.get(dataset, {})
        split = "test" if "test" in noise else next(iter(noise), "")
        return noise.get(split, math.nan), split


def is_filled_by_runner(column: str) -> bool:
    """Return whether the runner fills a column of run files, so that nothing a method observes may have its name."""
    return column in ("run", "step", "cell", *COSTS) or column.startswith((TEST_ACC, "n_"))


def run_file_name(method: str, search_dataset: str, seed: int, run_id: str) -> str:
    """Return the name of the file of one run."""
    return f"{in_file_names(method)}-{search_dataset}-s{seed}-{run_id}.parquet"


def in_file_names(method: str) -> str:
    """Return a method's name for use in file names: ``module.Class``, as not every system allows a colon."""
    return re.sub(r"[^\w.]+", ".", method)


@dataclass(frozen=True)
class RunRecord:
    """Everything about a run except its steps.

    Attributes:
        run_id: Hash of the resolved spec, including the seed.
        variant_id: The same hash without the seed: runs of one variant differ only in the seed.
        method: The preset's name, as ``--method`` takes it.
        title: The name in tables and figures, such as ``GAEA DARTS (ERM)``.
        block: One of ``BLOCKS``, or ``IMPORTED``.
        search_dataset: The data set that the search trained on or queried.
        seed: The seed.
        settings: The value of every hyperparameter.
        overrides: The settings that the user changed from the preset.
        reductions: What the scale reduced, in words (``channels 16 -> 4``); empty for a full run.
        scale: ``full`` or the name of a reduced scale.
        cost_kind: ``measured`` or ``simulated`` seconds.
        device: The device that measured the seconds, in words.
        threads: CPU threads.
        split: Which images trained the weights and which the architecture, in words.
        batch_norm: The BatchNorm mode of the supernet, in words; empty for methods without a supernet.
        truth: ``table``, ``train`` (the derived cell trained from scratch) or ``none``.
        truth_note: How the true accuracies were obtained, in words.
        table: The benchmark table, if one was used.
        versions: Package versions.
        started: ISO 8601, UTC.
        finished: ISO 8601, UTC.
        continues: The id of the finished run whose steps this one took over at its beginning; empty if none.
        imported: Where its final cell comes from, in the words of the user, if other code searched for it: split,
            BatchNorm mode, device and cost are then what the user stated; empty for a search of nbeval.
        images: The SHA-256 of the data set that it searched on, as ``ImageData.digest``; empty if it searched on none
            or did not say so.
    """

    run_id: str
    variant_id: str
    method: str
    title: str
    block: str
    search_dataset: str
    seed: int
    settings: Mapping[str, Any]
    overrides: Mapping[str, Any]
    reductions: tuple[str, ...]
    scale: str
    cost_kind: Literal["measured", "simulated"]
    device: str
    threads: int
    split: str
    batch_norm: str
    truth: Literal["table", "train", "none"]
    truth_note: str
    table: TableFacts | None
    versions: Mapping[str, str]
    started: str
    finished: str
    continues: str = ""
    imported: str = ""
    images: str = ""

    @property
    def file_name(self) -> str:
        """The name of the run's file."""
        return run_file_name(self.method, self.search_dataset, self.seed, self.run_id)


@dataclass(frozen=True)
class Run:
    """A complete run.

    Attributes:
        record: Everything about it except its steps.
        steps: One row per step.
        home: The results folder, the parent of the folder that it was read from; ``nbeval rank`` writes there.
    """

    record: RunRecord
    steps: pd.DataFrame
    home: Path | None = None

    @cached_property
    def test_acc(self) -> dict[str, float]:
        """The final cell's true test accuracy in percent, for each data set where it is known."""
        names = [name for name in self.steps.columns if name.startswith(TEST_ACC)]
        last = {name: float(self.steps[name].to_numpy(dtype=float)[-1]) for name in names}
        return {name.removeprefix(TEST_ACC): value for name, value in last.items() if value == value}


def by_variant(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Group runs by ``variant_id``, which runs that differ only in the seed have in common; in the order given."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.record.variant_id, []).append(run)
    return groups


def write_run(folder: Path, run: Run) -> Path:
    """Write a run atomically to a file in ``folder`` and return its path."""
    path = folder / run.record.file_name
    _write(path, run.steps, dataclasses.asdict(run.record))
    return path


def write_bundle(folder: Path, runs: Sequence[Run]) -> Path:
    """Write complete runs of one variant atomically to one file in ``folder`` and return its path.

    For hundreds of runs of a tabular method this is a hundred times faster to write and read than one file per run.

    Raises:
        ValueError: If the runs differ in anything other than the seed.
    """
    first = dataclasses.asdict(runs[0].record)
    shared = {key: value for key, value in first.items() if key not in OWN}
    for run in runs:
        if not all(getattr(run.record, key) == getattr(runs[0].record, key) for key in shared):
            raise ValueError(f"run {run.record.run_id} is a different variant from {runs[0].record.run_id}")
    steps = pd.concat([run.steps for run in runs], ignore_index=True)
    steps.insert(0, "run", np.repeat(np.arange(len(runs)), [len(run.steps) for run in runs]))
    own = [{key: getattr(run.record, key) for key in OWN} for run in runs]
    path = folder / bundle_name([run.record for run in runs])
    _write(path, steps, {**shared, "runs": own})
    return path


def bundle_name(records: Sequence[RunRecord]) -> str:
    """Return the file name of a bundle: the variant, and a hash of its runs and their table."""
    first = records[0]
    text = json.dumps([[r.run_id for r in records], first.table.content_hash if first.table else ""])
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    variant = f"{in_file_names(first.method)}-{first.search_dataset}-{first.variant_id}"
    return f"{variant}-{len(records)}runs-{digest}.parquet"


def _write(path: Path, steps: pd.DataFrame, metadata: dict[str, Any]) -> None:
    import pyarrow as pa

    table = pa.Table.from_pandas(steps, preserve_index=False)
    text = json.dumps({"schema": RUN_SCHEMA, **metadata}, sort_keys=True)
    stored = {_META_KEY: text, _SUM_KEY: checksum(text, *table.column_names)}
    with atomic_write(path) as temporary:
        parquet.write(table.replace_schema_metadata(stored), temporary, compression="zstd")


def read_run(path: Path) -> Run:
    """Read the file of one run.

    Raises:
        NbevalError: If the file does not hold exactly one run, or has another schema version.
    """
    runs = read_runs(path)
    if len(runs) != 1:
        raise NbevalError(f"{path} holds {len(runs)} runs, not one")
    return runs[0]


def read_runs(path: Path) -> list[Run]:
    """Read all runs in a file.

    Raises:
        NbevalError: If it is not a run file, or has another schema version.
    """
    with reading(path, "run file", "delete it and run again"):
        return _read_runs(path)


def _read_runs(path: Path) -> list[Run]:
    import pyarrow.parquet as pq

    # Twice as fast as read_table, which matters for thousands of small files.
    with pq.ParquetFile(parquet.source(path), page_checksum_verification=True) as file:
        records = _records(path, file.schema_arrow)
        table = file.read(use_threads=False)
    steps = table.replace_schema_metadata(None).to_pandas()
    if lacking := {"step", "cell", "seconds", "total_seconds"} - set(steps.columns):
        raise ValueError(f"it has no column {min(lacking)}")
    if steps.empty:
        raise ValueError("it has no steps")
    if not isinstance(steps["cell"].iloc[0], str):
        raise ValueError("its cells are no text")
    _require_possible(steps)
    home = path.absolute().parent.parent
    if "run" not in steps:
        [record] = records
        return [Run(record, steps, home)]
    ends = np.searchsorted(steps.pop("run").to_numpy(), np.arange(len(records)), side="right")
    starts = [0, *ends[:-1]]
    if not records or min(np.diff([0, *ends])) < 1 or ends[-1] != len(steps):
        raise ValueError("its rows are not those of its runs")
    return [
        Run(record, steps.iloc[start:end].reset_index(drop=True), home)
        for record, start, end in zip(records, starts, ends, strict=True)
    ]


def _require_possible(steps: pd.DataFrame) -> None:
    """Raise ValueError if an accuracy is no percentage or a cost no time; both may be NaN."""
    for name in map(str, steps):
        if name.startswith(TEST_ACC) or name in COSTS:
            values = steps[name].to_numpy(dtype=float)
            most = 100.0 if name.startswith(TEST_ACC) else np.finfo(float).max
            if ((values < 0.0) | (values > most)).any():
                raise ValueError(f"its {name} has impossible values")


def read_records(path: Path) -> list[RunRecord]:
    """Read the records of all runs in a file, without their steps.

    Raises:
        NbevalError: As :func:`read_runs`.
    """
    import pyarrow.parquet as pq

    with reading(path, "run file", "delete it and run again"), pq.ParquetFile(parquet.source(path)) as file:
        return _records(path, file.schema_arrow)


def _records(path: Path, schema: Any) -> list[RunRecord]:
    metadata = schema.metadata or {}
    text = metadata.get(_META_KEY)
    if text is None:
        raise NbevalError(f"{path} is not an nbeval run file: move it out of the results folder")
    stored = metadata.get(_SUM_KEY)
    verify_checksum(None if stored is None else stored.decode(), text.decode(), *schema.names)
    values = json.loads(text)
    if values.pop("schema", None) != RUN_SCHEMA:
        raise NbevalError(
            f"{path} was written by another version of nbeval: use that one, or move the file away and run again"
        )
    values["reductions"] = tuple(values["reductions"])
    values["table"] = TableFacts(**values["table"]) if values["table"] else None
    return [RunRecord(**values, **own) for own in values.pop("runs", [{}])]


def home_of(folder: Path) -> Path | None:
    """Return the results folder that a folder is, or whose ``runs`` it is; None for one that has results folders in it.

    A results folder may have others in it too, such as the studies in a clone of this repository: these are not meant.
    """
    if folder.name == "runs":
        return folder.parent
    return folder if is_dir(folder / "runs") else None


def load_runs(folders: Iterable[Path]) -> list[Run]:
    """Read every complete run under the folders, ordered by file name; of a results folder, those in ``runs``.

    Files with the same name in different folders are all read; ``labels.distinct_runs`` then drops repeated runs.

    Raises:
        NbevalError: If a folder is missing, or a file or folder in it cannot be read.
    """
    paths: dict[Path, Path] = {}  # as it is named, by where it is
    for folder in folders:
        if not is_dir(folder):
            raise NbevalError(
                f"there is no results folder {folder}: run `nbeval run` first, or give another one with --results"
            )
        home = home_of(folder)
        folder = folder if home is None else home / "runs"
        paths = {path.resolve(): path.absolute() for path in files_under(folder, ".parquet")} | paths
    return [run for path in sorted(paths.values(), key=lambda path: (path.name, path)) for run in read_runs(path)]
