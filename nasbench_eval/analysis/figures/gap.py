"""Discretisation gap: how much the supernet's loss rises when its weights are replaced by those of the derived cell."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pandas as pd

from nasbench_eval.analysis.figures._steps import draw_steps
from nasbench_eval.analysis.figures._view import EVERYTHING, View
from nasbench_eval.analysis.steps import per_step, with_seed_range
from nasbench_eval.runs.store import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SYMLOG_LIMIT = 30.0
"""Gaps larger than this are drawn on a symmetric logarithmic axis."""


def data(runs: Iterable[Run], view: View = EVERYTHING) -> pd.DataFrame:
    """Return the supernet's loss after discretisation minus the loss before, one row per (run, epoch).

    Args:
        runs: The runs; those without these losses are left out.
        view: What to show of them.

    Returns:
        A frame with ``steps.COLUMNS``.
    """
    runs = list(runs)
    before, after = (per_step(runs, f"loss_{when}_rounding", view.datasets) for when in ("before", "after"))
    return with_seed_range(after.assign(value=after["value"] - before["value"]))


def draw(frame: pd.DataFrame) -> Figure:
    """Draw the frame of :func:`data`."""
    symlog = bool(frame["value"].abs().max() > SYMLOG_LIMIT)
    text = (
        "Loss of the supernet with the one-hot weights of the derived cell, minus its loss with the weights that it "
        "trains with (as Khodak & Li 2020, Figure 3). Where BatchNorm keeps running statistics, a part of the gap "
        "comes from these: nbeval rank also measures it with the statistics of each batch."
    )
    text += " Axis: logarithmic beyond -1 and 1." if symlog else ""
    return draw_steps(frame, "loss after - before", text, symlog=symlog)
