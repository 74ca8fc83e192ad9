"""True test accuracy of the current cell after each epoch of the search."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pandas as pd

from nasbench_eval.analysis.figures._steps import draw_steps
from nasbench_eval.analysis.figures._view import EVERYTHING, View
from nasbench_eval.analysis.steps import per_step
from nasbench_eval.runs.store import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def data(runs: Iterable[Run], view: View = EVERYTHING) -> pd.DataFrame:
    """Return the true test accuracy of the current cell in percent, one row per (run, epoch, data set).

    Args:
        runs: The runs; only weight-sharing searches are kept.
        view: What to show of them.

    Returns:
        A frame with ``steps.COLUMNS``.
    """
    return per_step(runs, "test_acc", view.datasets)


def draw(frame: pd.DataFrame) -> Figure:
    """Draw the frame of :func:`data`."""
    return draw_steps(
        frame,
        "test accuracy (%)",
        "True test accuracy of the current cell after each epoch (as Li et al. 2021, appendix Figure 4).",
    )
