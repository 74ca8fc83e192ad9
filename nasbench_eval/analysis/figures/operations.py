"""Operations of the current cell over the search: does it collapse to skip connections?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nasbench_eval.analysis.figures import _style as style
from nasbench_eval.analysis.figures._layout import (
    MARGIN,
    caption,
    lines_height,
    place,
    seed_counts,
    text_width,
    wrap,
)
from nasbench_eval.analysis.figures._view import EVERYTHING, View
from nasbench_eval.analysis.labels import caption_notes, panel_titles
from nasbench_eval.analysis.order import dataset_order
from nasbench_eval.analysis.steps import per_step
from nasbench_eval.cell import N_EDGES, OPS
from nasbench_eval.runs.store import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_VARIANT = ("label", "variant_id", "reduced", "reductions", "search_dataset")
COLUMNS = (*_VARIANT, "step", "operation", "mean", "n")
"""Columns of :func:`data`."""

_COLUMNS = 4
_PANEL = (1.55, 0.8)
_GAP, _X_LABELS = 0.32, 0.36
"""Inches: room for the numbers of the last epoch right of a panel, and for the epochs below it."""

_SCALE = (1.2, 0.09)


def data(runs: Iterable[Run], view: View = EVERYTHING) -> pd.DataFrame:
    """Return how many edges of the current cell have each operation, one row per (variant, epoch, operation).

    Args:
        runs: The runs; only weight-sharing searches are kept.
        view: What to show of them.

    Returns:
        A frame with ``COLUMNS``. ``mean`` is over the ``n`` seeds, of which one that has ended keeps its cell; over the
        operations of an epoch it sums to six.
    """
    runs = list(runs)
    parts = [per_step(runs, f"n_{op}", view.datasets).assign(operation=op) for op in OPS]
    counts = pd.concat(parts, ignore_index=True)
    if counts.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    keys = [*_VARIANT, "step", "operation"]
    seeds = counts.groupby("variant_id")["seed"].transform("nunique")
    means = counts.assign(n=seeds).drop_duplicates(keys)
    # Sort by variant as given, then by step, then by operation in the official order.
    order = {key: i for i, key in enumerate(dict.fromkeys(counts["variant_id"]))}
    lengths = counts.groupby(["variant_id", "seed"])["step"].max().groupby("variant_id").nunique()
    sort_keys = [means["operation"].map(OPS.index), means["step"], means["variant_id"].map(order)]
    frame = means[list(COLUMNS)].iloc[np.lexsort(sort_keys)].reset_index(drop=True)
    frame.attrs["ended"] = bool((lengths > 1).any())
    return frame


def draw(frame: pd.DataFrame) -> Figure:
    """Draw the frame of :func:`data`: one heat map per variant, operations by epochs."""
    from matplotlib.figure import Figure

    searched = dataset_order(frame["search_dataset"])
    titles = panel_titles(frame)
    heads, tables = [], []
    for (_, label, search), part in frame.groupby(["variant_id", "label", "search_dataset"], sort=False):
        head = f"{titles[str(label)]}, on {search}" if len(searched) > 1 else titles[str(label)]
        heads.append(wrap(head, 0.85 * (_PANEL[0] + _GAP), style.SMALL_SIZE))
        tables.append(part.pivot(index="operation", columns="step", values="mean").loc[list(OPS)].astype(float))

    columns = min(_COLUMNS, len(tables))
    names = MARGIN + max(text_width(op, style.SMALL_SIZE) for op in OPS) + 0.08
    width = max(names + columns * (_PANEL[0] + _GAP), 5.2)
    text = [
        f"Number of the six edges of the cell with each operation after each epoch, mean over seeds "
        f"(n = {seed_counts(frame['n'])}), and at the right after the last one. Searched on {', '.join(searched)}.",
        *(["A seed that has ended keeps its cell."] if frame.attrs.get("ended") else []),
        *caption_notes(frame),
    ]
    words = wrap(" ".join(text), width - 2 * MARGIN, style.SMALL_SIZE)
    scale = MARGIN + lines_height(words, style.SMALL_SIZE) + 0.3
    below = scale + _SCALE[1] + 0.05
    row_height = max(lines_height(head, style.SMALL_SIZE) for head in heads) + 0.05 + _PANEL[1] + _X_LABELS
    rows = -(-len(tables) // columns)
    figure = Figure(figsize=(width, below + rows * row_height + MARGIN))
    for number, (head, table) in enumerate(zip(heads, tables, strict=True)):
        row, column = divmod(number, columns)
        left = names + column * (_PANEL[0] + _GAP)
        axes = place(figure, left, below + (rows - 1 - row) * row_height + _X_LABELS, *_PANEL)
        _heat_map(axes, table)
        axes.set_title(head, loc="left", size=style.SMALL_SIZE, weight="bold", pad=3)
        axes.set_yticks(range(len(OPS)), OPS if column == 0 else [""] * len(OPS))
        if number + columns >= len(tables):
            axes.set_xlabel("epoch", size=style.SMALL_SIZE, labelpad=2)
    _scale(place(figure, names, scale, *_SCALE))
    caption(figure, words)
    return figure


def _heat_map(axes: Axes, table: pd.DataFrame) -> None:
    """Draw mean numbers of edges, shape ``(operations, epochs)``, and write those of the last epoch beside them."""
    first, last = (int(table.columns[i]) for i in (0, -1))
    # An epoch extends half a unit to either side.
    look: dict[str, Any] = {"aspect": "auto", "interpolation": "nearest", "cmap": style.shades(), "vmin": 0}
    axes.imshow(table.to_numpy(), extent=(first - 0.5, last + 0.5, len(OPS) - 0.5, -0.5), vmax=N_EDGES, **look)
    axes.hlines(np.arange(len(OPS) - 1) + 0.5, first - 0.5, last + 0.5, color="white", linewidth=0.8)
    for row, value in enumerate(table[last]):
        axes.text(1.02, row, f"{value:.1f}", size=style.SMALL_SIZE, va="center", transform=axes.get_yaxis_transform())
    axes.tick_params(labelsize=style.SMALL_SIZE, pad=2)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", integer=True, nbins=5)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)


def _scale(axes: Axes) -> None:
    axes.imshow([np.linspace(0, N_EDGES, 100)], extent=(0, N_EDGES, 0, 1), aspect="auto", cmap=style.shades())
    axes.set(yticks=[], xticks=range(0, N_EDGES + 1, 2))
    axes.tick_params(labelsize=style.SMALL_SIZE, length=2, pad=2)
    axes.text(N_EDGES * 1.05, 0.5, "edges", size=style.SMALL_SIZE, va="center")
