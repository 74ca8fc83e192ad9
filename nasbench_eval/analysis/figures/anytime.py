"""What a search would have returned had it been stopped at any time: the incumbent's accuracy, statistics over runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from nasbench_eval.analysis.comparison import dataset_order, method_rank
from nasbench_eval.analysis.labels import is_reduced, label_order, labels
from nasbench_eval.runs.store import TEST_ACC, Run

POINTS = 240
"""Times at which the curves are evaluated, evenly on a log axis."""

COLUMNS = (
    *("label", "variant_id", "block", "reduced", "reductions", "search_dataset", "dataset"),
    *("seconds", "n", "mean", "ci95_low", "ci95_high", "p10", "p90", "optimum"),
)


def anytime(runs: Iterable[Run], datasets: Sequence[str] = ()) -> pd.DataFrame:
    """Return the true test accuracy of the incumbent over simulated seconds, one row a (variant, data set, time).

    A run's incumbent is a step function: it changes when a query ends, and holds until the budget is spent. A variant's
    rows begin when all its runs have an incumbent, so that every mean is over the same runs.

    Args:
        runs: The runs; those whose cost was measured are left out.
        datasets: Data sets looked up on to keep; empty for all.

    Returns:
        A frame with ``COLUMNS``: accuracies in percent; ``ci95_*`` the 95 % t interval of the mean over n runs (NaN for
        one), ``p10`` and ``p90`` percentiles of the runs, ``optimum`` the table's best.
    """
    runs = [run for run in runs if run.record.cost_kind == "simulated" and len(run.steps)]
    names = labels(runs)
    rank = method_rank()
    groups: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: (rank(run.record.method), label_order(names[run.record.variant_id]))):
        groups.setdefault(run.record.variant_id, []).append(run)
    parts = []
    for variant, group in groups.items():
        record = group[0].record
        clocks = [run.steps["total_seconds"].to_numpy(dtype=float) for run in group]
        end = float(record.settings.get("budget_seconds") or max(clock[-1] for clock in clocks))
        times = np.geomspace(max(clock[0] for clock in clocks), end, POINTS)
        # The first and last times are exact, whatever rounding the logarithm brings.
        times[[0, -1]] = max(clock[0] for clock in clocks), end
        at = [np.searchsorted(clock, times, side="right") - 1 for clock in clocks]
        for dataset in dataset_order(name for run in group for name in run.test_acc):
            if datasets and dataset not in datasets:
                continue
            column = f"{TEST_ACC}{dataset}"
            values = np.stack([run.steps[column].to_numpy(dtype=float)[i] for run, i in zip(group, at, strict=True)])
            part = pd.DataFrame({"seconds": times, **_statistics(values)})
            part["optimum"] = record.table.optimum.get(dataset, np.nan) if record.table else np.nan
            part["label"], part["variant_id"], part["block"] = names[variant], variant, record.block
            part["reduced"], part["reductions"] = is_reduced(record), "; ".join(record.reductions)
            part["search_dataset"], part["dataset"] = record.search_dataset, dataset
            parts.append(part[list(COLUMNS)])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))


def _statistics(values: np.ndarray) -> dict[str, np.ndarray | int]:
    """Statistics over runs, axis 0 of ``(runs, times)``."""
    from scipy.special import stdtrit

    n = len(values)
    mean = values.mean(axis=0)
    half = np.full(len(mean), np.nan)
    if n > 1:
        half = stdtrit(n - 1, 0.975) * values.std(axis=0, ddof=1) / np.sqrt(n)
    low, high = np.percentile(values, [10, 90], axis=0)
    return {"n": n, "mean": mean, "ci95_low": mean - half, "ci95_high": mean + half, "p10": low, "p90": high}
