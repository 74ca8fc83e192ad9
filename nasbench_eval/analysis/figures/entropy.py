"""Entropy of the operation weights over the search: do they become sparse?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nasbench_eval.analysis.figures._lines import draw_seed_lines
from nasbench_eval.analysis.steps import per_step
from nasbench_eval.cell import N_OPS
from nasbench_eval.runs.store import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def data(runs: Iterable[Run], datasets: Sequence[str] = ()) -> pd.DataFrame:
    """Return the entropy of the operation weights, mean over the edges, one row per (run, epoch).

    Args:
        runs: The runs; those without an entropy are left out.
        datasets: Search data sets to keep; empty for all.

    Returns:
        A frame with ``steps.COLUMNS`` and ``nats``, the entropy. ``value`` is the entropy divided by its maximum, the
        logarithm of the number of candidate operations, so that searches with and without ``none`` are comparable.
    """
    runs = list(runs)
    frame = per_step(runs, "entropy", datasets)
    n_ops = {run.record.variant_id: N_OPS - (run.record.settings.get("zero_op") is False) for run in runs}
    return frame.assign(
        nats=frame["value"], value=frame["value"] / np.log(frame["variant_id"].map(n_ops).astype(float))
    )


def draw(frame: pd.DataFrame) -> Figure:
    """Draw the frame of :func:`data`, one line per seed."""
    return draw_seed_lines(
        frame,
        "entropy / maximum",
        "Entropy of the operation weights, mean over the edges, divided by its maximum ln N for N operations (ln 5 "
        "with none, ln 4 without): 1 is uniform, 0 is one operation per edge. One line per seed (as Khodak & Li 2020, "
        "Figure 4, which shows nats; the csv has both).",
    )
