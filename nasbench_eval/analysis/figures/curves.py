"""True test accuracy of the current cell after each epoch of the search."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from nasbench_eval.analysis.figures._lines import draw_seed_lines
from nasbench_eval.analysis.steps import per_step
from nasbench_eval.runs.store import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def data(runs: Iterable[Run], datasets: Sequence[str] = ()) -> pd.DataFrame:
    """Return the true test accuracy of the current cell in percent, one row per (run, epoch, data set).

    Args:
        runs: The runs; only weight-sharing searches are kept.
        datasets: Evaluated data sets to keep; empty for all.

    Returns:
        A frame with ``steps.COLUMNS``.
    """
    return per_step(runs, "test_acc", datasets)


def draw(frame: pd.DataFrame) -> Figure:
    """Draw the frame of :func:`data`, one line per seed."""
    return draw_seed_lines(
        frame,
        "test accuracy (%)",
        "True test accuracy of the current cell after each epoch of the search, one line per seed "
        "(as Li et al. 2021, appendix Figure 4).",
    )
