"""Statistics of the whole cell space: how good cells are, how noisy that is, and what published means are worth."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from nasbench_eval.analysis.published import published
from nasbench_eval.analysis.statistics import percentile_rank
from nasbench_eval.analysis.truths import table_key
from nasbench_eval.errors import NbevalError
from nasbench_eval.table import Table
from nasbench_eval.table.noise import trial_noise

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def true_accuracies(table: Table) -> pd.DataFrame:
    """Return the test accuracies of all cells after the longest schedule, in percent: one column per data set.

    Raises:
        NbevalError: If the table has no test accuracy.
    """
    if not table.tested:
        raise NbevalError("the table has no test accuracy of any data set")
    return pd.DataFrame(
        {name: table.column(name, "test", epochs=table.longest(name)).astype(float) for name in table.tested}
    )


def distribution(frame: pd.DataFrame) -> pd.DataFrame:
    """Return, for each data set, quantiles over cells, the best accuracy and the index of its cell.

    Args:
        frame: As from :func:`true_accuracies`.
    """
    quantiles = frame.quantile([0.0, *QUANTILES]).T
    quantiles.columns = pd.Index(["min", *(f"{q:.0%}" for q in QUANTILES)])
    return quantiles.assign(best=frame.max(), cell=frame.idxmax())


def near_optimum(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    """Return, for each data set, the noise between trials and how many cells lie within it of the optimum.

    Returns:
        ``split`` (whose trials the noise is from: test, or the nearest that has trials), ``noise`` (pooled standard
        deviation, percentage points), ``cells`` within one of it below the best cell, itself included, and
        ``outside_best`` (how far below the best the best cell outside of that lies). NaN and 0 without trials.
    """
    rows = {}
    for name in frame:
        noise, split = trial_noise(table, str(name))
        below = frame[name].max() - frame[name]
        rows[name] = {
            "split": split,
            "noise": noise,
            "cells": int((below <= noise).sum()),
            "outside_best": below[below > noise].min(),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def correlation(frame: pd.DataFrame) -> pd.DataFrame:
    """Return Spearman's rank correlation between data sets over all cells."""
    return frame.rank().corr()


def published_shares(frame: pd.DataFrame) -> pd.DataFrame:
    """Return which share of all cells is better than each published mean, and how far it is from the optimum.

    Returns:
        ``title``, ``protocol``, ``search_dataset``, ``dataset``, ``mean`` (percent), ``better`` (share of cells in
        percent) and ``to_optimum`` (percentage points), for the published values shown beside measured ones.
    """
    rows = published()
    rows = rows[rows["primary"] & rows["dataset"].isin(frame.columns)].reset_index(drop=True)
    values = [frame[name].to_numpy() for name in rows["dataset"]]
    known = [v[~np.isnan(v)] for v in values]  # a table can have some of the cells
    better = [100 * float(np.mean(v > mean)) for v, mean in zip(known, rows["mean"], strict=True)]
    gap = [float(np.nanmax(v)) - mean for v, mean in zip(values, rows["mean"], strict=True)]
    kept = rows[["title", "protocol", "search_dataset", "dataset", "mean"]]
    return kept.assign(better=better, to_optimum=gap)


def percentiles(rows: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Return the rows of a comparison with ``percentile``: the mean percentile rank of the found cells among all cells.

    Args:
        rows: As from ``comparison.comparison``.
        table: The table that their accuracies are from. Rows from other tables stay NaN.

    Raises:
        NbevalError: If no row is from this table.
    """
    accuracies = true_accuracies(table)
    key = (table_key(table.metadata.content_hash),)
    own = rows["truths"].map(lambda truths: truths == key) & rows["dataset"].isin(accuracies.columns)
    if not own.any():
        raise NbevalError(not_looked_up(rows, table))
    ranks = [
        float(percentile_rank(values, accuracies[dataset].to_numpy()).mean()) if here and values else math.nan
        for values, dataset, here in zip(rows["values"], rows["dataset"], own, strict=True)
    ]
    return rows.assign(percentile=ranks)


def not_looked_up(rows: pd.DataFrame, table: Table) -> str:
    """Return that no row of a comparison is from a table, and which tables they are from."""
    used = ", ".join(dict.fromkeys(key[:8] for key in rows["table_hash"] if key)) or "none"
    return f"no run was looked up in this table ({table.metadata.content_hash[:8]}): the runs' tables are {used}"
