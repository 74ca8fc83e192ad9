"""Rank disorder: what orders cells in a search against their true accuracy, one panel per variant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from nasbench_eval.analysis.figures import _style as style
from nasbench_eval.analysis.figures._layout import MARGIN, caption, legend, lines_height, place, wrap
from nasbench_eval.analysis.figures._view import EVERYTHING, View
from nasbench_eval.analysis.labels import caption_notes, panel_titles
from nasbench_eval.analysis.layout import plus_minus
from nasbench_eval.analysis.rank_correlation import rank_frame
from nasbench_eval.analysis.rank_notes import statistic_text
from nasbench_eval.analysis.truths import caption_cautions
from nasbench_eval.runs.rank_scores import SHARED_WEIGHTS
from nasbench_eval.runs.store import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Marker = tuple[str, str]

_PANEL, _WIDE = (1.85, 1.45), (3.2, 2.3)
"""Inches: width and height of a panel, and of one or two that are alone."""

_LEFT, _BELOW, _GAP = 0.45, 0.42, 0.16
_COLUMNS = 4

FIRST_LIMIT = 5
"""Cells ranked first are marked unless more than this many are tied."""

_MARKERS = "o^sDvPX*"
"""Markers of the seeds, used in turn together with the colours of ``style.LINES``."""


def data(runs: Iterable[Run], view: View = EVERYTHING) -> pd.DataFrame:
    """Return rank statistics and the cells behind them: ``rank_correlation.rank_frame``."""
    return rank_frame(runs, view.datasets)


def draw(frame: pd.DataFrame) -> Figure:
    """Draw the frame of :func:`data`; the panels of a data set have the same axes."""
    from matplotlib.figure import Figure

    variants = frame[frame["row"] == "variant"]
    cells = frame[frame["row"] == "cell"]
    columns = min(_COLUMNS, len(variants))
    rows = -(-len(variants) // columns)
    panel = _PANEL if columns > 2 else _WIDE
    several = variants["dataset"].nunique() > 1
    own_axes = several or variants["orders_by"].nunique() > 1
    names = panel_titles(variants)
    heads = [_title(names[v["label"]], v["dataset"] if several else "", panel[0]) for _, v in variants.iterrows()]
    words = [_statistics(variant, panel[0]) for _, variant in variants.iterrows()]
    head = 0.06 + sum(max(lines_height(text, style.SMALL_SIZE) for text in texts) for texts in (words, heads))
    seeds = sorted(set(frame["seed"].dropna()))
    markers = {s: (_MARKERS[i % len(_MARKERS)], style.LINES[i % len(style.LINES)]) for i, s in enumerate(seeds)}

    true = {name: _limits(part["test_acc"]) for name, part in cells.groupby("dataset")}
    orders_by = variants.drop_duplicates("label").set_index("label")["orders_by"]
    scored = {key: _limits(part["shared_acc"]) for key, part in cells.groupby(cells["label"].map(orders_by))}
    outside = (cells["test_acc"] < cells["dataset"].map(lambda name: true[name][0])) | (
        cells["shared_acc"] < cells["label"].map(lambda label: scored[orders_by[label]][0])
    )
    gap = _GAP + (_LEFT if several else 0.0)
    width = max(2 * MARGIN + _LEFT + columns * panel[0] + (columns - 1) * gap, 5.2)
    text = wrap(_caption(frame, several, edge=bool(outside.any())), width - 2 * MARGIN, style.SMALL_SIZE)
    legend_columns = max(1, int((width - 2 * MARGIN - 1.9) / 0.75))
    legend_bottom = MARGIN + lines_height(text, style.SMALL_SIZE) + 0.08
    below = legend_bottom + 0.165 * -(-len(markers) // legend_columns) + 0.05 + _BELOW
    row_height = panel[1] + head + (_BELOW if own_axes else 0.0) + 0.12
    figure = Figure(figsize=(width, below + rows * row_height + 0.05))
    for number, (_, variant) in enumerate(variants.iterrows()):
        row, column = divmod(number, columns)
        left = MARGIN + _LEFT + column * (panel[0] + gap)
        axes = place(figure, left, below + (rows - 1 - row) * row_height, *panel)
        own = cells[(cells["dataset"] == variant["dataset"]) & (cells["label"] == variant["label"])]
        _draw_cells(axes, own, scored[variant["orders_by"]], true[variant["dataset"]], markers)
        lowest = own_axes or number + columns >= len(variants)
        axes.tick_params(labelsize=style.SMALL_SIZE, labelleft=column == 0 or several, labelbottom=lowest)
        if lowest:
            axes.set_xlabel(_axis(variant["orders_by"]), size=style.SMALL_SIZE)
        if column == 0:
            axes.set_ylabel("true test accuracy (%)", size=style.SMALL_SIZE)
        _write_above(axes, heads[number], words[number], panel[1])
    spacing = {"labelspacing": 0.35, "columnspacing": 1.2, "handletextpad": 0.3}
    legend(figure, _legend_handles(markers), MARGIN, legend_bottom, min(legend_columns, len(markers)) + 1, **spacing)
    caption(figure, text)
    return figure


def _axis(orders_by: str) -> str:
    return orders_by if orders_by == SHARED_WEIGHTS else f"rank by {orders_by}"


def _limits(accuracies: pd.Series[float]) -> tuple[float, float]:
    """Return the limits of an accuracy axis, which leaves out the few cells far below all others."""
    best, worst = float(accuracies.max()), float(accuracies.min())
    lowest = max(worst, best - 1.4 * (best - float(accuracies.quantile(0.05))))
    pad = 0.04 * max(best - lowest, 1.0)
    return lowest - pad, best + pad


def _draw_cells(
    axes: Axes,
    cells: pd.DataFrame,
    x_limits: tuple[float, float],
    y_limits: tuple[float, float],
    markers: Mapping[Any, Marker],
) -> None:
    axes.set(xlim=x_limits, ylim=y_limits)
    axes.grid(color=style.GRID, linewidth=0.5)
    axes.locator_params(nbins=5)
    cells = cells.assign(
        shared_acc=cells["shared_acc"].clip(lower=x_limits[0]), test_acc=cells["test_acc"].clip(lower=y_limits[0])
    )
    seeds = [(markers[seed], points) for seed, points in cells.groupby("seed")]
    dot: dict[str, Any] = {"linestyle": "", "clip_on": False}
    for part in range(2):  # in turns, so that no seed hides another
        for (marker, colour), points in seeds:
            half = points.iloc[part::2]
            look: dict[str, Any] = {"markersize": 2.4, "alpha": 0.5, "markeredgewidth": 0, "rasterized": True}
            axes.plot(half["shared_acc"], half["test_acc"], marker=marker, color=colour, **dot, **look)
    for (marker, _), points in seeds:
        first = points[points["shared_acc"] == points["shared_acc"].max()]
        if len(first) <= FIRST_LIMIT:
            ring: dict[str, Any] = {
                "markersize": 5,
                "markerfacecolor": "none",
                "markeredgecolor": style.INK,
                "zorder": 3,
            }
            axes.plot(first["shared_acc"], first["test_acc"], marker=marker, **dot, **ring)


def _title(label: str, dataset: str, inches: float) -> str:
    return wrap(f"{label}, {dataset}" if dataset else label, 0.9 * inches, style.SMALL_SIZE)


def _statistics(variant: pd.Series[Any], inches: float) -> str:
    lines = (
        f"tau: {statistic_text(variant, 'kendall')}",
        f"top {variant['k']}: {variant['top_k']:.2f}, regret: {plus_minus(variant['regret'], variant['regret_std'])}",
    )
    return "\n".join(wrap(line, inches, style.SMALL_SIZE) for line in lines)


def _write_above(axes: Axes, title: str, lines: str, height: float) -> None:
    """Write the title and the statistics above a panel."""
    up = 1 + (0.05 + lines_height(lines, style.SMALL_SIZE)) / height
    look: dict[str, Any] = {"size": style.SMALL_SIZE, "va": "bottom", "transform": axes.transAxes}
    axes.text(0, 1 + 0.04 / height, lines, **look)
    axes.text(0, up, title, weight="bold", **look)


def _legend_handles(markers: Mapping[Any, Marker]) -> list[Any]:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], linestyle="", marker=marker, color=colour, markersize=4, markeredgewidth=0, label=f"seed {seed}")
        for seed, (marker, colour) in markers.items()
    ]
    ring: dict[str, Any] = {"marker": "o", "markersize": 5, "markerfacecolor": "none", "markeredgecolor": style.INK}
    return [Line2D([], [], linestyle="", label="ranked first", **ring), *handles]


def _caption(frame: pd.DataFrame, several: bool, *, edge: bool) -> str:
    variants = frame[frame["row"] == "variant"]
    n, k = int(variants["cells"].iloc[0]), int(variants["k"].iloc[0])
    where = "" if several else f" Searched on {variants['dataset'].iloc[0]}."
    scores = set(variants["orders_by"]) - {SHARED_WEIGHTS}
    outside = " Cells below the start of an axis are at its edge." if edge else ""
    spread = " ±: standard deviation over seeds." if frame["seed"].nunique() > 1 else ""
    by = ", or by the rank of their score before training" if scores else ""
    return " ".join(
        [
            f"{n:,} cells: accuracy with the shared weights of a finished search{by}, against true test accuracy (as "
            f"Khodak & Li 2020, Figure 2). tau: Kendall's tau-b with its 95 % bootstrap interval; top {k}: share of "
            f"the best {k} found ({k / n:.2f} by chance); regret: points by which the cell "
            f"ranked first is below the best.{spread}{outside}{where} Details: `nbeval rank`.",
            *caption_notes(variants),
            *caption_cautions(variants),
        ]
    )
