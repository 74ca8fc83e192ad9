"""Run files, in Parquet: the steps as rows, everything a reviewer may ask in the metadata.

A file holds one run, or a bundle of runs that differ in nothing but the seed; it exists if and only if its runs are
complete. Columns, one row a step (an epoch, or a table query):

=====================  ===================================================================================
``run``                in a bundle only: the number of the run, 0, 1, ...; the rows of a run stand together
``step``               0, 1, ...
``cell``               architecture string of the incumbent after the step
``seconds``            cost of the step; ``total_seconds`` the sum up to and including it
``n_OPERATION``        how many edges of the cell hold the operation, for each of ``nasbench_eval.cell.OPS``
``test_acc.DATASET``   true test accuracy of the cell in percent: the 200-epoch mean of the table, or trained
                       from scratch (``record.truth`` says which); NaN where that was not looked up
other columns          what the method observed: ``train_loss``, ``train_acc``, ``valid_loss``, ``valid_acc``,
                       ``entropy``; in the table ``queried``, the official index of the cell queried
=====================  ===================================================================================

"Final" always means the last row.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from nasbench_eval.errors import NbevalError
from nasbench_eval.utils.files import atomic_write

RUN_SCHEMA = 1
OWN = ("run_id", "seed", "started", "finished")
"""What the runs of a bundle do not share."""
TEST_ACC = "test_acc."
_META_KEY = b"nbeval.run"


@dataclass(frozen=True)
class TableFacts:
    """What a run remembers of the benchmark table that its accuracies come from.

    Attributes:
        name: The benchmark.
        content_hash: The table's content hash.
        optimum: Per data set, the best true test accuracy in percent.
        noise: Per data set, the pooled standard deviation between trials of one cell, percentage points, as
            ``{"test": 0.2}`` or, where the table keeps trials of another split only, that split; empty if
            unknown.
    """

    name: str
    content_hash: str
    optimum: Mapping[str, float] = field(default_factory=dict)
    noise: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def run_file_name(method: str, search_dataset: str, seed: int, run_id: str) -> str:
    """Return the name of the file of one run."""
    return f"{in_file_names(method)}-{search_dataset}-s{seed}-{run_id}.parquet"


def in_file_names(method: str) -> str:
    """Return a method's name as files have it: ``module:Class`` with a dot, for not every system takes the colon."""
    return re.sub(r"[^\w.]+", ".", method)


@dataclass(frozen=True)
class RunRecord:
    """Everything about a run but its steps.

    Attributes:
        run_id: Hash of the resolved spec, the seed included.
        variant_id: The same hash without the seed: runs of one variant differ in nothing else.
        method: The preset's name, as ``--method`` takes it.
        title: The name a table prints, such as ``GAEA DARTS (ERM)``.
        block: ``weight sharing`` or ``standard HPO``.
        search_dataset: What the search trained on or queried.
        seed: The seed.
        settings: Every hyperparameter with the value it had.
        overrides: The settings that differ from the preset because the user said so.
        reductions: What a scale cut down, in words (``channels 16 -> 4``); empty for a full run.
        scale: ``full`` or the name of the reduction.
        cost_kind: ``measured`` or ``simulated`` seconds.
        device: Where it ran, in words, for measured seconds.
        threads: CPU threads.
        split: Which images trained the weights, which the architecture, in words.
        batch_norm: How the search supernet's BatchNorm was set, in words; empty for methods without one.
        truth: ``table``, ``train`` (the derived cell trained from scratch) or ``none``.
        truth_note: In words, how the true accuracies came about.
        table: The benchmark table, if there was one.
        versions: Package versions.
        started: ISO 8601, UTC.
        finished: ISO 8601, UTC.
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

    @property
    def file_name(self) -> str:
        """The name of the run's file."""
        return run_file_name(self.method, self.search_dataset, self.seed, self.run_id)


@dataclass(frozen=True)
class Run:
    """A complete run.

    Attributes:
        record: Everything about it but its steps.
        steps: One row a step.
        home: The results folder it was read from, above that of its file, where ``nbeval rank`` writes too.
    """

    record: RunRecord
    steps: pd.DataFrame
    home: Path | None = None

    @cached_property
    def test_acc(self) -> dict[str, float]:
        """The final cell's true test accuracy per data set, in percent; only where it is known."""
        names = [name for name in self.steps.columns if name.startswith(TEST_ACC)]
        last = {name: float(self.steps[name].to_numpy(dtype=float)[-1]) for name in names}
        return {name.removeprefix(TEST_ACC): value for name, value in last.items() if value == value}


def write_run(folder: Path, run: Run) -> Path:
    """Write a run's file into ``folder``, whole or not at all, and return its path."""
    path = folder / run.record.file_name
    _write(path, run.steps, dataclasses.asdict(run.record))
    return path


def write_bundle(folder: Path, runs: Sequence[Run]) -> Path:
    """Write complete runs of one variant as one file into ``folder``, whole or not at all, and return its path.

    Hundreds of runs of a method on the table are one file that is written and read a hundred times faster than theirs.

    Raises:
        ValueError: If the runs differ in more than the seed.
    """
    first = dataclasses.asdict(runs[0].record)
    shared = {key: value for key, value in first.items() if key not in OWN}
    for run in runs:
        if not all(getattr(run.record, key) == getattr(runs[0].record, key) for key in shared):
            raise ValueError(f"run {run.record.run_id} is of another variant than {runs[0].record.run_id}")
    steps = pd.concat([run.steps for run in runs], ignore_index=True)
    steps.insert(0, "run", np.repeat(np.arange(len(runs)), [len(run.steps) for run in runs]))
    own = [{key: getattr(run.record, key) for key in OWN} for run in runs]
    path = folder / bundle_name([run.record for run in runs])
    _write(path, steps, {**shared, "runs": own})
    return path


def bundle_name(records: Sequence[RunRecord]) -> str:
    """Return the name of a bundle's file: the variant, and a hash of its runs and of their table."""
    first = records[0]
    text = json.dumps([[r.run_id for r in records], first.table.content_hash if first.table else ""])
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    variant = f"{in_file_names(first.method)}-{first.search_dataset}-{first.variant_id}"
    return f"{variant}-{len(records)}runs-{digest}.parquet"


def _write(path: Path, steps: pd.DataFrame, metadata: dict[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(steps, preserve_index=False)
    text = json.dumps({"schema": RUN_SCHEMA, **metadata}, sort_keys=True)
    with atomic_write(path) as temporary:
        pq.write_table(table.replace_schema_metadata({_META_KEY: text}), temporary, compression="zstd")


def read_run(path: Path) -> Run:
    """Read the file of one run.

    Raises:
        NbevalError: If it is not one, or has another schema version.
    """
    runs = read_runs(path)
    if len(runs) != 1:
        raise NbevalError(f"{path} holds {len(runs)} runs, not one")
    return runs[0]


def read_runs(path: Path) -> list[Run]:
    """Read the run, or all runs, of a file.

    Raises:
        NbevalError: If it is not a run file, or has another schema version.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Plainer than read_table, and twice as fast: a study has thousands of small files.
        with pq.ParquetFile(path) as file:
            table = file.read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise NbevalError(
            f"{path} is not a readable run file ({str(error).splitlines()[0]}): delete it and run again"
        ) from None
    text = (table.schema.metadata or {}).get(_META_KEY)
    if text is None:
        raise NbevalError(f"{path} is not a run file of nbeval's: move it out of the results folder")
    values = json.loads(text)
    if values.pop("schema", None) != RUN_SCHEMA:
        raise NbevalError(f"{path} was written by another version of nbeval: run again, or use that version")
    values["reductions"] = tuple(values["reductions"])
    values["table"] = TableFacts(**values["table"]) if values["table"] else None
    steps = table.replace_schema_metadata(None).to_pandas()
    home = path.absolute().parent.parent
    if "runs" not in values:
        return [Run(RunRecord(**values), steps, home)]
    own = values.pop("runs")
    ends = np.searchsorted(steps.pop("run").to_numpy(), np.arange(len(own)), side="right")
    starts = [0, *ends[:-1]]
    return [
        Run(RunRecord(**values, **each), steps.iloc[start:end].reset_index(drop=True), home)
        for each, start, end in zip(own, starts, ends, strict=True)
    ]


def load_runs(folders: Iterable[Path]) -> list[Run]:
    """Read every complete run under the folders, in the order of their file names.

    Two files of one name in different folders are both read; ``labels.distinct_runs`` keeps one and says so.

    Raises:
        NbevalError: If a folder is missing, or a file in it cannot be read.
    """
    paths: set[Path] = set()
    for folder in folders:
        if not folder.is_dir():
            raise NbevalError(f"no results folder {folder}: make some with `nbeval run`, or name one with --results")
        paths |= {path.resolve() for path in folder.rglob("*.parquet")}
    return [run for path in sorted(paths, key=lambda path: (path.name, path)) for run in read_runs(path)]
