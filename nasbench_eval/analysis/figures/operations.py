"""Operations of the current cell over the search: does it collapse to skip connections?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nasbench_eval.analysis.figures import _style as style
from nasbench_eval.analysis.figures._grid import panel_title, variant_grid
from nasbench_eval.analysis.labels import panel_titles, reduced_notes
from nasbench_eval.analysis.order import dataset_order
from nasbench_eval.analysis.steps import per_step
from nasbench_eval.cell import N_EDGES, OPS
from nasbench_eval.runs.store import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from nasbench_eval.analysis.figures._grid import Panel

_VARIANT = ("label", "variant_id", "reduced", "reductions", "search_dataset")
COLUMNS = (*_VARIANT, "step", "operation", "mean", "n")
"""Columns of :func:`data`."""

_PANEL_COLUMNS = 4


def data(runs: Iterable[Run], datasets: Sequence[str] = ()) -> pd.DataFrame:
    """Return how many edges of the current cell have each operation, one row per (variant, epoch, operation).

    Args:
        runs: The runs; only weight-sharing searches are kept.
        datasets: Search data sets to keep; empty for all.

    Returns:
        A frame with ``COLUMNS``. ``mean`` is over the ``n`` seeds; over the operations of an epoch it sums to six.
    """
    runs = list(runs)
    parts = [per_step(runs, f"n_{op}", datasets).assign(operation=op) for op in OPS]
    counts = pd.concat(parts, ignore_index=True)
    if counts.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    keys = [*_VARIANT, "step", "operation"]
    means = counts.groupby(keys, sort=False)["value"].agg(mean="mean", n="count").reset_index()
    # Sort by variant as given, then by step, then by operation in the official order.
    order = {key: i for i, key in enumerate(dict.fromkeys(counts["variant_id"]))}
    sort_keys = [means["operation"].map(OPS.index), means["step"], means["variant_id"].map(order)]
    return means[list(COLUMNS)].iloc[np.lexsort(sort_keys)].reset_index(drop=True)


def draw(frame: pd.DataFrame) -> Figure:
    """Draw the frame of :func:`data`: one panel per variant, the operations stacked to the six edges."""
    from matplotlib.patches import Patch

    counts = frame.groupby("variant_id")["n"].max()
    seeds = f"{counts.min()}" if counts.nunique() == 1 else f"{counts.min()} to {counts.max()}"
    searched = dataset_order(frame["search_dataset"])
    text = (
        "Operations on the six edges of the current cell after each epoch of the search, "
        f"mean over seeds (n = {seeds}). Searched on {', '.join(searched)}."
    )
    titles = panel_titles(frame)
    panels: list[Panel] = [
        (panel_title(titles[str(label)], str(search) if len(searched) > 1 else ""), partial(_draw_panel, part=part))
        for (_, label, search), part in frame.groupby(["variant_id", "label", "search_dataset"], sort=False)
    ]
    handles = [Patch(color=style.OPERATIONS[op], label=op) for op in OPS]
    return variant_grid(panels, _PANEL_COLUMNS, "edges", " ".join([text, *reduced_notes(frame)]), handles)


def _draw_panel(axes: Axes, part: pd.DataFrame) -> None:
    table = part.pivot(index="step", columns="operation", values="mean")
    steps = table.index.to_numpy(dtype=float)
    # An epoch extends half a unit to either side, so that a single epoch is visible too.
    edges = np.append(steps - 0.5, steps[-1] + 0.5)
    floor = np.zeros(len(edges))
    for op in OPS:
        top = floor + np.append(table[op], table[op].iloc[-1])
        axes.fill_between(edges, floor, top, step="post", color=style.OPERATIONS[op], linewidth=0)
        floor = top
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, N_EDGES)
    axes.set_yticks(range(0, N_EDGES + 1, 2))
