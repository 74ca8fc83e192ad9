"""Quantities over the steps of weight-sharing searches, as data frames: what several figures draw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from nasbench_eval.analysis.labels import is_reduced, labels
from nasbench_eval.analysis.order import run_order
from nasbench_eval.runs.store import TEST_ACC, Run

COLUMNS = (
    *("label", "variant_id", "method", "block", "reduced", "reductions", "search_dataset", "dataset", "seed"),
    *("step", "total_seconds", "value", "mean", "low", "high"),
)
"""Columns of :func:`per_step`; ``step`` counts from 1. ``mean``, ``low`` and ``high`` are over all seeds."""

_PER_STEP = ("step", "total_seconds", "value", "mean", "low", "high")


def per_step(runs: Iterable[Run], column: str, datasets: Sequence[str] = ()) -> pd.DataFrame:
    """Return a quantity over the steps of weight-sharing searches, one row per (run, step, data set).

    Args:
        runs: The runs; those without the column are left out.
        column: ``test_acc`` for the true test accuracy of the current cell (percent, one row per data set), or a column
            of the run files such as ``entropy``; ``dataset`` is then the search data set.
        datasets: Data sets to keep; empty for all.

    Returns:
        A frame with ``COLUMNS``. Where one seed has ended and another goes on, the ended one keeps its cell, and so its
        accuracy and operations; of other quantities there is no mean any more.
    """
    runs = [run for run in runs if run.record.block == "weight sharing"]
    names = labels(runs)
    parts, lengths = [], []
    facts: dict[str, list[object]] = {key: [] for key in COLUMNS if key not in _PER_STEP}
    for run in sorted(runs, key=run_order(names)):
        record, steps = run.record, run.steps
        wanted = {record.search_dataset: column}
        if column == "test_acc":
            wanted = {str(c).removeprefix(TEST_ACC): str(c) for c in steps if str(c).startswith(TEST_ACC)}
        for dataset, name in wanted.items():
            if name not in steps or steps[name].isna().all() or (datasets and dataset not in datasets):
                continue
            part = {"step": steps["step"] + 1, "total_seconds": steps["total_seconds"]}
            parts.append(pd.DataFrame({**part, "value": steps[name].astype(float)}))
            lengths.append(len(steps))
            for key in ("variant_id", "method", "block", "search_dataset", "seed"):
                facts[key].append(getattr(record, key))
            facts["label"].append(names[record.variant_id])
            facts["reduced"].append(is_reduced(record))
            facts["reductions"].append("; ".join(record.reductions))
            facts["dataset"].append(dataset)
    if not parts:
        return pd.DataFrame(columns=list(COLUMNS))
    frame = pd.concat(parts, ignore_index=True)
    # All at once: a column that is set run by run takes most of the time.
    columns = {key: np.repeat(np.array(values), lengths) for key, values in facts.items()}
    return with_seed_range(frame.assign(**columns), of_the_cell=column == "test_acc" or column.startswith("n_"))


def with_seed_range(frame: pd.DataFrame, *, of_the_cell: bool = False) -> pd.DataFrame:
    """Return a frame of :func:`per_step` with mean, lowest and highest value over seeds computed from its values.

    Args:
        frame: The frame; its columns ``mean``, ``low`` and ``high`` may be missing.
        of_the_cell: Whether a seed that has ended keeps its last value; otherwise a step for which not all seeds have a
            value has no mean.
    """
    keys = ["variant_id", "dataset"]
    values = frame.set_index([*keys, "seed", "step"])["value"].unstack("step")
    values = values.ffill(axis=1) if of_the_cell else values
    seeds = values.groupby(level=keys)
    complete = values.notna().groupby(level=keys).all()
    at = pd.MultiIndex.from_frame(frame[[*keys, "step"]])
    ranges = {
        name: seeds.agg(statistic).where(complete).stack(future_stack=True).reindex(at).to_numpy()
        for name, statistic in (("mean", "mean"), ("low", "min"), ("high", "max"))
    }
    return frame.assign(**ranges)[[*COLUMNS, *(name for name in frame if name not in COLUMNS)]]
