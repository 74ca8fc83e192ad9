"""All runs in one flat table, one row per run and data set, and the JSON Schema of run files."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from nasbench_eval.cell import Cell
from nasbench_eval.errors import UsageError
from nasbench_eval.runs.store import Run
from nasbench_eval.utils.files import atomic_write


def tidy(runs: Iterable[Run]) -> pd.DataFrame:
    """Return one row per run and data set on which its final cell's true accuracy is known.

    A run without any true accuracy has one row, with an empty ``dataset``. Mappings, such as the settings, are JSON.

    Returns:
        The fields of ``RunRecord``; ``dataset``, ``test_acc`` (percent), ``optimum`` and ``noise`` of the table there
        (percentage points); ``cell`` and ``cell_index`` of the final cell; ``steps``; ``search_seconds``.
    """
    rows: list[dict[str, Any]] = []
    for run in runs:
        record, last = run.record, run.steps.iloc[-1]
        shared = {key: _flat(value) for key, value in dataclasses.asdict(record).items() if key != "table"}
        shared |= {
            "table": record.table.name if record.table else "",
            "table_hash": record.table.content_hash if record.table else "",
            "cell": last["cell"],
            "cell_index": Cell.parse(last["cell"]).index,
            "steps": len(run.steps),
            "search_seconds": float(last["total_seconds"]),
        }
        known: dict[str, float | None] = {**run.test_acc} or {"": None}
        for dataset, accuracy in known.items():
            optimum = record.table.optimum.get(dataset) if record.table else None
            noise = record.table.noise_on(dataset)[0] if record.table else None
            rows.append({**shared, "dataset": dataset, "test_acc": accuracy, "optimum": optimum, "noise": noise})
    frame = pd.DataFrame(rows)
    return frame.astype({name: float for name in ("test_acc", "optimum", "noise") if name in frame})


def _flat(value: Any) -> Any:
    if isinstance(value, Mapping):
        return json.dumps(value, sort_keys=True)
    return "; ".join(value) if isinstance(value, tuple) else value


def _csv(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, index=False, lineterminator="\n")


def _parquet(frame: pd.DataFrame, path: Path) -> None:
    with path.open("wb") as file:
        frame.to_parquet(file, index=False)


def _json(frame: pd.DataFrame, path: Path) -> None:
    frame.to_json(path, orient="records", indent=1, double_precision=15)


FORMATS: dict[str, Callable[[pd.DataFrame, Path], None]] = {".csv": _csv, ".parquet": _parquet, ".json": _json}
"""The writer of each kind of file, by its suffix."""


def write_tidy(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame atomically, in the format of the file's suffix.

    Raises:
        UsageError: If there is no such format.
        NbevalError: If the file cannot be written.
    """
    if path.suffix not in FORMATS:
        raise UsageError(f"the name of the file must end in one of {', '.join(FORMATS)}; got {path}")
    with atomic_write(path) as temporary:
        FORMATS[path.suffix](frame, temporary)


def run_schema() -> str:
    """Return the JSON Schema of the metadata of a run file, as JSON text."""
    return files("nasbench_eval.runs").joinpath("run.schema.json").read_text(encoding="utf-8")
