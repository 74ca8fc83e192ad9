"""Largest eigenvalue of the valid loss's Hessian in the architecture over the search: does the loss become sharp?"""

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
    """Return the largest eigenvalue, one row per (run, epoch), as a frame with ``steps.COLUMNS``.

    Args:
        runs: The runs; those without ``hessian`` or ``stop_factor`` are left out.
        view: What to show of them.
    """
    return per_step(list(runs), "eigenvalue", view.datasets)


def draw(frame: pd.DataFrame) -> Figure:
    """Draw the frame of :func:`data`."""
    return draw_steps(
        frame,
        "largest eigenvalue",
        "Largest eigenvalue of the Hessian of the valid loss in the architecture parameters, on one batch after each "
        "epoch (Zela et al. 2020, section 4). Searches on logits and on probabilities have different units.",
    )
