"""Accuracies of found cells relative to the whole space of cells."""

from __future__ import annotations

import numpy as np

from nasbench_eval.analysis.statistics.arrays import Floats, Values


def regret(values: Values, optimum: float) -> Floats:
    """Return how far each accuracy is below that of the best cell.

    Args:
        values: Test accuracies of found cells in percent, shape ``(n,)``.
        optimum: The best test accuracy of the table in percent.

    Returns:
        Percentage points, shape ``(n,)``.
    """
    below: Floats = optimum - np.asarray(values, dtype=float)
    return below


def near_optimum(values: Values, optimum: float, noise: float) -> float:
    """Return the share of accuracies that are within one noise deviation of the optimum.

    Args:
        values: Test accuracies of found cells in percent, shape ``(n,)``.
        optimum: The best test accuracy of the table in percent.
        noise: Standard deviation between trainings of one cell, percentage points.

    Returns:
        Between 0 and 1; NaN if there are no values or the noise is unknown.
    """
    if len(values) == 0 or np.isnan(noise):
        return float("nan")
    return float((regret(values, optimum) <= noise).mean())


def percentile_rank(values: Values, accuracies: Floats) -> Floats:
    """Return the percentage of all cells that each accuracy is better than; an equally good cell counts half.

    Args:
        values: Test accuracies of found cells in percent, shape ``(n,)``.
        accuracies: Test accuracies of all cells of the table in percent, shape ``(cells,)``; NaN values are ignored.

    Returns:
        Between 0 and 100, shape ``(n,)``.
    """
    ranked = np.sort(accuracies[~np.isnan(accuracies)])
    below, up_to = (np.searchsorted(ranked, values, side=side) for side in ("left", "right"))
    percent: Floats = 50.0 * (below + up_to) / len(ranked)
    return percent
