"""Largest eigenvalue of the valid loss's Hessian in the architecture over the search: does the loss become sharp?"""

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
    """Return the largest eigenvalue, one row per (run, epoch), as a frame with ``steps.COLUMNS``.

    Args:
        runs: The runs; those without ``hessian`` or ``stop_factor`` are left out.
        datasets: Search data sets to keep; empty for all.
    """
    return per_step(list(runs), "eigenvalue", datasets)


def draw(frame: pd.DataFrame) -> Figure:
    """Draw the frame of :func:`data`, one line per seed."""
    return draw_seed_lines(
        frame,
        "largest eigenvalue",
        "Largest eigenvalue of the Hessian of the valid loss in the architecture parameters, on one batch after each "
        "epoch: where it grows, discretisation costs accuracy (Zela et al. 2020, section 4). Searches on logits and on "
        "probabilities have different units. One line per seed.",
    )
