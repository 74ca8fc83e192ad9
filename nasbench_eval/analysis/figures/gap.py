"""Discretisation gap: how much the supernet's loss rises when its weights are replaced by those of the derived cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from nasbench_eval.analysis.figures._lines import draw_seed_lines
from nasbench_eval.analysis.steps import per_step
from nasbench_eval.runs.store import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SYMLOG_LIMIT = 30.0
"""Gaps larger than this are drawn on a symmetric logarithmic axis."""


def data(runs: Iterable[Run], datasets: Sequence[str] = ()) -> pd.DataFrame:
    """Return the supernet's loss after discretisation minus the loss before, one row per (run, epoch).

    Args:
        runs: The runs; those without these losses are left out.
        datasets: Search data sets to keep; empty for all.

    Returns:
        A frame with ``steps.COLUMNS``.
    """
    runs = list(runs)
    before, after = (per_step(runs, f"loss_{when}_rounding", datasets) for when in ("before", "after"))
    return after.assign(value=after["value"] - before["value"])


def draw(frame: pd.DataFrame) -> Figure:
    """Draw the frame of :func:`data`, one line per seed."""
    symlog = bool(frame["value"].abs().max() > SYMLOG_LIMIT)
    return draw_seed_lines(
        frame,
        "loss after - before",
        "Discretisation gap: loss of the supernet on the valid part with the one-hot weights of the derived cell, "
        "minus its loss with the weights that it trains with. One line per seed (as Khodak & Li 2020, Figure 3, "
        "measured)." + (" The axis is linear between -1 and 1 and logarithmic beyond." if symlog else ""),
        symlog=symlog,
    )
