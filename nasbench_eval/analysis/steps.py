"""Quantities over the steps of weight-sharing searches, as data frames: what several figures draw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from nasbench_eval.analysis.labels import is_reduced, labels
from nasbench_eval.analysis.order import run_order
from nasbench_eval.runs.store import TEST_ACC, Run

COLUMNS = (
    *("label", "variant_id", "block", "reduced", "reductions", "search_dataset", "dataset", "seed"),
    *("step", "total_seconds", "value"),
)
"""Columns of :func:`per_step`; ``step`` counts from 1."""


def per_step(runs: Iterable[Run], column: str, datasets: Sequence[str] = ()) -> pd.DataFrame:
    """Return a quantity over the steps of weight-sharing searches, one row per (run, step, data set).

    Args:
        runs: The runs; those without the column are left out.
        column: ``test_acc`` for the true test accuracy of the current cell (percent, one row per data set), or a column
            of the run files such as ``entropy``; ``dataset`` is then the search data set.
        datasets: Data sets to keep; empty for all.

    Returns:
        A frame with ``COLUMNS``.
    """
    runs = [run for run in runs if run.record.block == "weight sharing"]
    names = labels(runs)
    parts = []
    for run in sorted(runs, key=run_order(names)):
        record, steps = run.record, run.steps
        wanted = {record.search_dataset: column}
        if column == "test_acc":
            wanted = {str(c).removeprefix(TEST_ACC): str(c) for c in steps if str(c).startswith(TEST_ACC)}
        for dataset, name in wanted.items():
            if name not in steps or steps[name].isna().all() or (datasets and dataset not in datasets):
                continue
            part = steps[["step", "total_seconds"]].assign(value=steps[name].astype(float))
            part["step"] += 1
            for key in ("variant_id", "block", "search_dataset", "seed"):
                part[key] = getattr(record, key)
            part["label"] = names[record.variant_id]
            part["reduced"] = is_reduced(record)
            part["reductions"] = "; ".join(record.reductions)
            part["dataset"] = dataset
            parts.append(part[list(COLUMNS)])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))
