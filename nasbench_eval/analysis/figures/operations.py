"""Operations of the current cell over the search: does it collapse to skip connections?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nasbench_eval.analysis.figures import _style as style
from nasbench_eval.analysis.figures._grid import panel_title, variant_grid
from nasbench_eval.analysis.figures._layout import MARGIN, place, text_width
from nasbench_eval.analysis.labels import caption_notes, panel_titles
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
"""Panels per row; more variants than this also have a heat map of the last epoch."""

_HEAT_CELL = (0.85, 0.175)
_HEAT_TITLE = 0.45


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
    """Draw the frame of :func:`data`: one panel per variant, the operations stacked to the six edges.

    If there is more than one row of panels, a heat map above them compares the last epoch of all variants.
    """
    from matplotlib.patches import Patch

    counts = frame.groupby("variant_id")["n"].max()
    seeds = f"{counts.min()}" if counts.nunique() == 1 else f"{counts.min()} to {counts.max()}"
    searched = dataset_order(frame["search_dataset"])
    text = (
        "Operations on the six edges of the current cell after each epoch of the search, "
        f"mean over seeds (n = {seeds}). Searched on {', '.join(searched)}."
    )
    titles = panel_titles(frame)
    panels: list[Panel] = []
    last: dict[str, pd.Series[float]] = {}
    for (_, label, search), part in frame.groupby(["variant_id", "label", "search_dataset"], sort=False):
        title = panel_title(titles[str(label)], str(search) if len(searched) > 1 else "")
        table = part.pivot(index="step", columns="operation", values="mean")[list(OPS)].astype(float)
        panels.append((title, partial(_draw_panel, table=table)))
        last[title] = table.iloc[-1]
    heat_map = len(panels) > _PANEL_COLUMNS
    above = _HEAT_TITLE + _HEAT_CELL[1] * len(last) + 0.2 if heat_map else 0.0
    handles = [Patch(color=style.OPERATIONS[op], label=op) for op in OPS]
    text = " ".join([text, *caption_notes(frame)])
    figure = variant_grid(panels, _PANEL_COLUMNS, "edges", text, handles, above)
    if heat_map:
        _draw_heat_map(figure, pd.DataFrame(last).T)
    return figure


def _draw_heat_map(figure: Figure, table: pd.DataFrame) -> None:
    """Draw the last epoch at the top of a figure.

    Args:
        figure: The figure.
        table: Mean number of edges, shape ``(variants, operations)``.
    """
    import seaborn as sns

    n_rows, n_columns = table.shape
    figure_width, figure_height = figure.get_size_inches()
    left = MARGIN + max(text_width(str(label), style.SMALL_SIZE) for label in table.index) + 0.1
    width, height = min(_HEAT_CELL[0] * n_columns, figure_width - MARGIN - left), _HEAT_CELL[1] * n_rows
    axes = place(figure, left, figure_height - MARGIN - _HEAT_TITLE - height, width, height)
    sns.heatmap(
        table,
        ax=axes,
        vmin=0,
        vmax=N_EDGES,
        cmap=sns.light_palette(style.BLOCK_COLOURS["weight sharing"], as_cmap=True),
        cbar=False,
        annot=True,
        fmt=".1f",
        annot_kws={"size": style.SMALL_SIZE},
        linewidths=0.5,
    )
    axes.set(xlabel="", ylabel="")
    axes.tick_params(length=0, labelsize=style.SMALL_SIZE, labelrotation=0)
    axes.xaxis.tick_top()
    axes.set_title("edges with each operation, last epoch", loc="left", size=style.SMALL_SIZE, weight="bold", pad=16)


def _draw_panel(axes: Axes, table: pd.DataFrame) -> None:
    """Draw the number of edges with each operation, shape ``(epochs, operations)``."""
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
