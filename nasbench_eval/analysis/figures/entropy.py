"""Entropy of the operation weights over the search: do they become sparse?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nasbench_eval.analysis.figures._steps import draw_steps
from nasbench_eval.analysis.figures._view import EVERYTHING, View
from nasbench_eval.analysis.steps import per_step, with_seed_range
from nasbench_eval.cell import N_OPS
from nasbench_eval.runs.store import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def data(runs: Iterable[Run], view: View = EVERYTHING) -> pd.DataFrame:
    """Return the entropy of the operation weights, mean over the edges, one row per (run, epoch).

    Args:
        runs: The runs; those without an entropy are left out.
        view: What to show of them.

    Returns:
        A frame with ``steps.COLUMNS`` and ``nats``, the entropy. ``value`` is the entropy divided by its maximum, the
        logarithm of the number of candidate operations, so that searches with and without ``none`` are comparable.
    """
    runs = list(runs)
    frame = per_step(runs, "entropy", view.datasets)
    n_ops = {run.record.variant_id: N_OPS - (run.record.settings.get("zero_op") is False) for run in runs}
    largest = np.log(frame["variant_id"].map(n_ops).astype(float))
    return with_seed_range(frame.assign(nats=frame["value"], value=frame["value"] / largest))


def draw(frame: pd.DataFrame) -> Figure:
    """Draw the frame of :func:`data`."""
    return draw_steps(
        frame,
        "entropy / maximum",
        "Entropy of the operation weights, mean over the edges: 1 is uniform, 0 is one operation per edge (as Khodak & "
        "Li 2020, Figure 4).",
    )
