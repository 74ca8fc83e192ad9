"""Operation counts of the current cell over a search: does it collapse to skip connections? Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from nasbench_eval.analysis.comparison import per_step
from nasbench_eval.cell import OPS
from nasbench_eval.runs.store import Run

SAME = ("label", "variant_id", "reduced", "reductions", "search_dataset", "step")
COLUMNS = (*SAME, "operation", "mean", "n")
"""Columns of :func:`operations`."""


def operations(runs: Iterable[Run], datasets: Sequence[str] = ()) -> pd.DataFrame:
    """Return on how many of the six edges the current cell has each operation, one row a (variant, step, operation).

    Args:
        runs: The runs.
        datasets: Search data sets to keep; empty for all.

    Returns:
        A frame with ``COLUMNS``; ``mean`` is over the ``n`` seeds, and over the operations of a step sums to six.
    """
    runs = list(runs)
    parts = [per_step(runs, f"n_{op}", datasets).assign(operation=op) for op in OPS]
    counts = pd.concat(parts, ignore_index=True)
    if counts.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    found = counts.groupby([*SAME, "operation"], sort=False)["value"].agg(mean="mean", n="count").reset_index()
    # By variant as they came, then by step, then by operation in the official order.
    rank = {key: i for i, key in enumerate(dict.fromkeys(counts["variant_id"]))}
    keys = [found["operation"].map(OPS.index), found["step"], found["variant_id"].map(rank)]
    return found[list(COLUMNS)].iloc[np.lexsort(keys)].reset_index(drop=True)
