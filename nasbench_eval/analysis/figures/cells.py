"""The cells that searches returned, drawn as graphs: each method's seeds grouped by cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nasbench_eval.analysis.figures import _style as style
from nasbench_eval.analysis.figures._layout import MARGIN, caption, legend, lines_height, place, text_width, wrap
from nasbench_eval.analysis.figures._view import EVERYTHING, View
from nasbench_eval.analysis.final_cells import final_cells
from nasbench_eval.analysis.labels import caption_notes, is_reduced, labels, panel_titles
from nasbench_eval.analysis.order import dataset_order, run_order
from nasbench_eval.analysis.truths import caption_cautions, truths_of
from nasbench_eval.cell import EDGES, OPS, Cell
from nasbench_eval.runs.store import Run, by_variant

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = (
    *("label", "variant_id", "method", "reduced", "reductions", "search_dataset"),
    *("index", "cell", "count", "n", "cells", "dataset", "test_acc", "truths"),
)
"""Columns of :func:`data`."""

MOST = 4
"""So many cells are drawn of each variant: those of most seeds."""

_CELL = (1.3, 0.62)
_GAP, _WORDS = 0.25, 0.16
_LABEL_WIDTH = 1.75
_NODES = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
_BENDS = {(0, 1): 0.0, (1, 2): 0.0, (2, 3): 0.0, (0, 2): 0.75, (1, 3): -0.75, (0, 3): 1.35}
"""How far above the line of the nodes each edge passes; so no two edges cross."""

LOOKS: dict[str, dict[str, Any]] = {
    "none": {"color": style.FAINT, "linewidth": 0.5, "linestyle": (0, (1, 2))},
    "skip_connect": {"color": style.OPERATIONS["skip_connect"], "linewidth": 1.3, "linestyle": (0, (3, 1.2))},
    "nor_conv_1x1": {"color": style.OPERATIONS["nor_conv_1x1"], "linewidth": 1.6, "linestyle": "-"},
    "nor_conv_3x3": {"color": style.OPERATIONS["nor_conv_3x3"], "linewidth": 2.6, "linestyle": "-"},
    "avg_pool_3x3": {"color": "#b09a00", "linewidth": 1.6, "linestyle": (0, (1, 0.8))},
}
"""Colour, width and dashes of an edge with each operation; the yellow of pooling is dark enough for a line."""


def data(runs: Sequence[Run], view: View = EVERYTHING) -> pd.DataFrame:
    """Return the distinct final cells of each variant, those of most seeds first.

    Args:
        runs: Runs, at most one per variant and seed.
        view: What to show of them; of ``datasets`` the first one is that of ``test_acc``.

    Returns:
        A frame with ``COLUMNS``: ``count`` of the ``n`` seeds ended on the cell, the variant has ``cells`` different
        ones, and ``test_acc`` in percent is the mean over the seeds that know it, on ``dataset``.
    """
    names = labels(runs)
    rows = []
    for variant, group in by_variant(sorted(runs, key=run_order(names))).items():
        record = group[0].record
        known = dataset_order(name for run in group for name in run.test_acc)
        wanted = [name for name in view.datasets or (record.search_dataset, *known) if name in known]
        dataset = wanted[0] if wanted else ""
        truths = truths_of(run for run in group if dataset in run.test_acc)
        found = final_cells(group)
        for each in found:
            rows.append(
                {
                    "label": names[variant],
                    "variant_id": variant,
                    "method": record.method,
                    "reduced": is_reduced(record),
                    "reductions": "; ".join(record.reductions),
                    "search_dataset": record.search_dataset,
                    "index": each.cell.index,
                    "cell": str(each.cell),
                    "count": len(each.runs),
                    "n": len(group),
                    "cells": len(found),
                    "dataset": dataset,
                    "test_acc": each.test_acc(dataset),
                    "truths": truths,
                }
            )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def draw(frame: pd.DataFrame) -> Figure:
    """Draw the frame of :func:`data`: one row per variant, up to ``MOST`` cells in it."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    searched = dataset_order(frame["search_dataset"])
    titles = panel_titles(frame)
    variants = [part for _, part in frame.groupby("variant_id", sort=False)]
    heads = [_head(part, titles, len(searched) > 1) for part in variants]
    left = MARGIN + max(text_width(head, style.SMALL_SIZE) for head in heads) + 0.2
    columns = min(MOST, int(frame["cells"].max()))
    step = (_CELL[0] + _GAP, _CELL[1] + _WORDS + 0.08)
    width = max(left + columns * step[0] + MARGIN, 5.2)
    words = wrap(_caption(frame, searched), width - 2 * MARGIN, style.SMALL_SIZE)
    legend_bottom = MARGIN + lines_height(words, style.SMALL_SIZE) + 0.1
    below = legend_bottom + 0.25
    height = step[1] * len(variants)
    figure = Figure(figsize=(width, below + height + MARGIN / 2))
    # One panel in inches for everything: a panel per cell would take most of the time.
    axes = place(figure, left, below, columns * step[0], height)
    axes.set(xlim=(0, columns * step[0]), ylim=(0, height))
    axes.axis("off")
    for row, (part, head) in enumerate(zip(variants, heads, strict=True)):
        bottom = height - (row + 1) * step[1]
        middle = (below + bottom + _WORDS + _CELL[1] / 2) / (below + height + MARGIN / 2)
        figure.text(MARGIN / width, middle, head, size=style.SMALL_SIZE, va="center", color=style.INK, linespacing=1.25)
        for column, found in enumerate(part.head(columns).to_dict("records")):
            corner = np.array([column * step[0], bottom + _WORDS])
            draw_cell(axes, Cell.parse(found["cell"]), corner, _CELL)
            accuracy = "" if pd.isna(found["test_acc"]) else f": {found['test_acc']:.2f}"
            text = f"{found['count']}x cell {found['index']}{accuracy}"
            axes.text(corner[0], bottom + 0.02, text, size=style.SMALL_SIZE, va="bottom")
    handles = [Line2D([], [], label=op, **LOOKS[op]) for op in OPS]
    legend(figure, handles, MARGIN, legend_bottom, len(handles), columnspacing=1.2, handlelength=2.0)
    caption(figure, words)
    return figure


def draw_cell(axes: Axes, cell: Cell, corner: np.ndarray, size: tuple[float, float]) -> None:
    """Draw a cell as a graph: the nodes in a line, node 0 (the input) at the left, and an arc per edge.

    Args:
        axes: Axes whose units are the same in both directions.
        cell: The cell.
        corner: The lower left corner of the drawing, shape ``(2,)``.
        size: Its width and height.
    """
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    low, high = min(_BENDS.values()) / 2, max(_BENDS.values()) / 2  # a curve goes half as far as its bend
    scale = np.array([size[0] / 3.3, size[1] / (high - low + 0.3)])
    origin = corner + scale * np.array([0.15, -low + 0.15])
    for (target, source), number in zip(EDGES, cell.ops, strict=True):
        begin, end = _NODES[source], _NODES[target]
        bend = (begin + end) / 2 + np.array([0.0, _BENDS[source, target]])
        path = Path(origin + scale * np.array([begin, bend, end]), [Path.MOVETO, Path.CURVE3, Path.CURVE3])
        look = LOOKS[OPS[number]]
        axes.add_patch(PathPatch(path, facecolor="none", edgecolor=look["color"], **_line(look)))
    nodes = origin + scale * _NODES
    dots: dict[str, Any] = {"linestyle": "", "marker": "o", "markersize": 3.5, "markeredgecolor": style.INK}
    axes.plot(*nodes.T, color="white", markeredgewidth=0.8, zorder=3, **dots)


def _line(look: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in look.items() if key != "color"}


def _head(part: pd.DataFrame, titles: dict[str, str], several: bool) -> str:
    first = part.iloc[0]
    name = titles[first["label"]] + (f", on {first['search_dataset']}" if several else "")
    more = f", {MOST} shown" if first["cells"] > MOST else ""
    return f"{wrap(name, _LABEL_WIDTH, style.SMALL_SIZE)}\nseeds: {first['n']}, cells: {first['cells']}{more}"


def _caption(frame: pd.DataFrame, searched: list[str]) -> str:
    known = [name for name in dataset_order(frame["dataset"]) if name]
    accuracy = f", and its test accuracy (%) on {', '.join(known)}" if known else ""
    return " ".join(
        [
            f"Final cells: how many seeds ended on each, its official index{accuracy}. Nodes from the input at the "
            f"left to the output at the right. Searched on {', '.join(searched)}.",
            *caption_notes(frame),
            *caption_cautions(frame),
        ]
    )
