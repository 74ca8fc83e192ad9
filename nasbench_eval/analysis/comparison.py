"""The comparison of methods as a data frame: statistics over seeds, with the published value beside each.

Two protocols compare searches. *transfer*: search on one data set and evaluate the cell on every data set. *direct*:
search on each data set and evaluate on the same one. A cell evaluated on the data set that it was searched on is the
same experiment under both protocols: it appears under both, and the published value of either may stand beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nasbench_eval.analysis.filters import value_order, value_text
from nasbench_eval.analysis.labels import assignment, is_reduced, labels
from nasbench_eval.analysis.order import dataset_order, sort_rows
from nasbench_eval.analysis.published import published_beside
from nasbench_eval.analysis.statistics import near_optimum, summary
from nasbench_eval.analysis.truths import truths_of
from nasbench_eval.errors import UsageError
from nasbench_eval.runs.store import Run, by_variant
from nasbench_eval.table.schema import NAS_BENCH_201

COLUMNS = (
    *("group", "block", "protocol", "label", "source", "method", "title", "variant_id", "search_dataset", "dataset"),
    *("n", "mean", "std", "ddof", "median", "iqm", "min", "max", "ci95_low", "ci95_high", "seeds", "values"),
    *("search_seconds", "cost_kind", "device", "reduced", "reductions", "overrides"),
    *("batch_norm", "split", "images", "imported", "truth", "truth_note", "truths"),
    *("table", "table_hash", "optimum", "noise", "noise_split"),
    *("regret", "near_optimum", "percentile"),
    *("published_mean", "published_std", "published_ddof", "published_runs", "published_search_seconds"),
    *("published_device", "published_source", "published_note"),
)
"""Columns of :func:`comparison`. Accuracies are in percent.

``group`` is the value of the setting that groups the rows, ``ci95_*`` the 95 % t interval of the mean, ``iqm`` the
interquartile mean, ``regret`` how far the mean is below the table's optimum, ``near_optimum`` the share of seeds within
one noise deviation of it, ``percentile`` the percentage of all cells that the found cells are better than, mean over
seeds (``space.percentiles`` fills it from a table). ``images`` is the SHA-256 of the images searched on. ``truths`` are
the sources of the accuracies, as from ``truths.truths_of``; of several there is no optimum and no noise.
"""


def comparison(runs: Iterable[Run], *, ddof: int = 1, datasets: Sequence[str] = (), group_by: str = "") -> pd.DataFrame:
    """Return the statistics over seeds, one row per (protocol, variant, evaluated data set).

    Args:
        runs: Runs, at most one per variant and seed (``labels.distinct_runs``).
        ddof: For ``std``: 1 for the sample standard deviation, 0 for the population's.
        datasets: Evaluated data sets to keep; empty for all.
        group_by: A setting: rows are then ordered by its value first, and labels name it.

    Returns:
        A frame with ``COLUMNS``, in the order of the papers' tables; n is 0 if no true accuracy is known.

    Raises:
        UsageError: If the seeds of a row differ in the value of ``group_by``.
    """
    groups = by_variant(runs)
    names = labels((run for group in groups.values() for run in group), [group_by] if group_by else [])
    searched: dict[str, set[str]] = {}
    for key, group in groups.items():
        searched.setdefault(names[key], set()).add(group[0].record.search_dataset)

    rows = []
    for key, group in groups.items():
        home = group[0].record.search_dataset
        known = dataset_order(name for run in group for name in run.test_acc) or [home]
        transfers = any(name != home for name in known)
        for dataset in known:
            if datasets and dataset not in datasets:
                continue
            protocols = ["transfer"] if transfers else []
            if dataset == home and (len(searched[names[key]]) > 1 or not transfers):
                protocols.append("direct")
            row = _row(sorted(group, key=lambda run: run.record.seed), dataset, ddof)
            row["group"] = _group(group, group_by) if group_by else ""
            same = {name: row[name] for name in ("method", "search_dataset", "dataset")}
            for protocol in protocols:
                beside = published_beside(protocol=protocol, **same) if row["table"] == NAS_BENCH_201 else {}
                rows.append(row | {"protocol": protocol, "label": names[key]} | beside)
    frame = sort_rows(pd.DataFrame(rows, columns=list(COLUMNS)))
    if not group_by:
        return frame
    order = value_order((group[0].record for group in groups.values()), group_by)
    return frame.sort_values("group", key=lambda column: column.map(order), kind="stable", ignore_index=True)


def _group(group: list[Run], key: str) -> str:
    """Return the value that the seeds of a row have in common.

    Raises:
        UsageError: If they have several.
    """
    values = list(dict.fromkeys(value_text(run.record, key) for run in group))
    if len(values) > 1:
        raise UsageError(
            f"--group-by {key}: the seeds of one row differ ({', '.join(values[:3])}"
            f"{', ...' if len(values) > 3 else ''}): choose among them with --where"
        )
    return values[0]


def _row(group: list[Run], dataset: str, ddof: int) -> dict[str, Any]:
    record = group[0].record
    known = [run for run in group if dataset in run.test_acc]
    values = tuple(run.test_acc[dataset] for run in known)
    truths = truths_of(known)
    table = (known or group)[0].record.table if len(truths) < 2 else None
    shared = ("block", "method", "title", "variant_id", "search_dataset", "cost_kind", "batch_norm", "split")
    noise, noise_split = table.noise_on(dataset) if table else (math.nan, "")
    optimum = table.optimum.get(dataset, math.nan) if table else math.nan
    found = summary(values, ddof=ddof)
    return {name: getattr(record, name) for name in shared} | {
        "source": "measured",
        "dataset": dataset,
        **found,
        "ddof": ddof,
        "seeds": tuple(run.record.seed for run in known),
        "values": values,
        "search_seconds": float(np.mean([run.steps["total_seconds"].iloc[-1] for run in group])),
        "device": "; ".join(sorted({run.record.device for run in group})),
        "reduced": is_reduced(record),
        "reductions": "; ".join(record.reductions),
        "overrides": ", ".join(assignment(name, value) for name, value in sorted(record.overrides.items())),
        "truth": "; ".join(sorted({run.record.truth for run in group})),
        "truth_note": "; ".join(sorted({run.record.truth_note for run in group})),
        "truths": truths,
        "images": "; ".join(sorted({run.record.images for run in group if run.record.images})),
        "imported": record.imported,
        "table": table.name if table else "",
        "table_hash": "; ".join(sorted({run.record.table.content_hash for run in group if run.record.table})),
        "optimum": optimum,
        "noise": noise,
        "noise_split": noise_split,
        "regret": optimum - found["mean"],
        "near_optimum": near_optimum(values, optimum, noise),
    }


def references(runs: Iterable[Run], datasets: Sequence[str] = ()) -> pd.DataFrame:
    """Return optimum and noise of the benchmark tables behind the runs, one row per (table, data set).

    Columns: ``table``, ``table_hash``, ``dataset``, ``optimum`` (percent), ``noise`` (standard deviation between trials
    of one cell, percentage points), ``noise_split``.
    """
    tables = {run.record.table.content_hash: run.record.table for run in runs if run.record.table}
    rows = [
        (facts.name, key, dataset, facts.optimum.get(dataset, math.nan), *facts.noise_on(dataset))
        for key, facts in sorted(tables.items())
        for dataset in dataset_order([*facts.optimum, *facts.noise])
    ]
    frame = pd.DataFrame(rows, columns=["table", "table_hash", "dataset", "optimum", "noise", "noise_split"])
    return frame[frame["dataset"].isin(datasets)] if datasets else frame


def table_names(tables: pd.DataFrame) -> list[str]:
    """Return the table of each row of :func:`references`: its name and the beginning of its content hash."""
    return [f"{name} {str(key)[:8]}" for name, key in zip(tables["table"], tables["table_hash"], strict=True)]
