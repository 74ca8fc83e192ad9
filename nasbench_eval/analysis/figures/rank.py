"""Rank disorder: what orders cells in a search against their true accuracy, one panel per variant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from nasbench_eval.analysis.figures import _style as style
from nasbench_eval.analysis.figures._layout import MARGIN, caption, legend, lines_height, place, wrap
from nasbench_eval.analysis.labels import caption_notes, panel_titles
from nasbench_eval.analysis.rank_correlation import rank_frame
from nasbench_eval.analysis.rank_notes import rank_notes, statistic_text
from nasbench_eval.runs.rank_scores import SHARED_WEIGHTS
from nasbench_eval.runs.store import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Marker = tuple[str, str]

_LEFT, _BELOW, _ABOVE = 0.42, 0.42, 0.05
_GAPS = (0.5, 0.2)
_LINE = lines_height("x", style.SMALL_SIZE)
_MAX_COLUMNS = 4

FIRST_LIMIT = 5
"""Cells ranked first are marked unless more than this many are tied."""

_MARKERS = "o^sDvPX*"
"""Markers of the seeds, used in turn together with the colours of ``style.LINES``."""


def data(runs: Iterable[Run], datasets: Sequence[str] = ()) -> pd.DataFrame:
    """Return rank statistics and the cells behind them: ``rank_correlation.rank_frame``."""
    return rank_frame(runs, datasets)


def draw(frame: pd.DataFrame) -> Figure:
    """Draw the frame of :func:`data`."""
    from matplotlib.figure import Figure

    variants = frame[frame["row"] == "variant"]
    n_rows = -(-len(variants) // _MAX_COLUMNS)
    n_columns = -(-len(variants) // n_rows)
    panel = (1.85, 1.6) if n_columns > 2 else (2.6, 2.1) if n_columns > 1 else (4.0, 2.8)
    several = variants["dataset"].nunique() > 1
    names = panel_titles(variants)
    heads = [_title(names[v["label"]], v["dataset"] if several else "", panel[0]) for _, v in variants.iterrows()]
    head = _ABOVE + 4 * _LINE + 0.05 + max(lines_height(title, style.TEXT_SIZE) for title in heads)
    seeds = sorted(set(frame["seed"].dropna()))
    markers = {s: (_MARKERS[i % len(_MARKERS)], style.LINES[i % len(style.LINES)]) for i, s in enumerate(seeds)}

    width = MARGIN + n_columns * (panel[0] + _GAPS[0]) + 0.1
    text = wrap(_caption(frame, several), width - 2 * MARGIN, style.SMALL_SIZE)
    legend_columns = max(1, int((width - 2 * MARGIN - 1.9) / 0.75))
    legend_rows = -(-len(markers) // legend_columns)
    legend_bottom = MARGIN + lines_height(text, style.SMALL_SIZE) + 0.12
    below = legend_bottom + 0.165 * legend_rows + 0.15
    row_height = _BELOW + panel[1] + head + _GAPS[1]
    height = below + n_rows * row_height
    figure = Figure(figsize=(width, height))
    for number, (_, variant) in enumerate(variants.iterrows()):
        row, column = divmod(number, n_columns)
        left = MARGIN + _LEFT + column * (panel[0] + _GAPS[0])
        axes = place(figure, left, below + (n_rows - 1 - row) * row_height + _BELOW, *panel)
        cells = frame[(frame["row"] == "cell") & (frame["dataset"] == variant["dataset"])]
        _draw_cells(axes, cells[cells["label"] == variant["label"]], _limits(cells["test_acc"]), markers)
        axes.set_xlabel(_axis(variant["orders_by"]))
        if column == 0 or several:
            axes.set_ylabel("true test accuracy (%)")
        _write_above(axes, heads[number], "\n".join(_statistics(variant)), panel[1])
    columns = min(legend_columns, len(markers)) + 1
    spacing = {"labelspacing": 0.35, "columnspacing": 1.2, "handletextpad": 0.3}
    legend(figure, _legend_handles(markers), MARGIN, legend_bottom, columns, **spacing)
    caption(figure, text)
    return figure


def _axis(orders_by: str) -> str:
    return orders_by if orders_by == SHARED_WEIGHTS else f"rank by {orders_by}"


def _limits(accuracies: pd.Series[float]) -> tuple[float, float]:
    """Return the limits of the accuracy axis, which leaves out the few cells far below all others."""
    best, worst = float(accuracies.max()), float(accuracies.min())
    lowest = max(worst, best - 1.4 * (best - float(accuracies.quantile(0.05))))
    pad = 0.04 * max(best - lowest, 1.0)
    return lowest - pad, best + pad


def _some_below(frame: pd.DataFrame) -> bool:
    accuracies = [part["test_acc"] for _, part in frame[frame["row"] == "cell"].groupby("dataset")]
    return any(each.min() < _limits(each)[0] for each in accuracies)


def _draw_cells(axes: Axes, cells: pd.DataFrame, limits: tuple[float, float], markers: Mapping[Any, Marker]) -> None:
    seeds = [(markers[seed], points) for seed, points in cells.groupby("seed")]
    for part in range(8):  # in turns, so that no seed hides another
        for (marker, colour), points in seeds:
            subset = points.iloc[part::8]
            axes.scatter(
                subset["shared_acc"],
                subset["test_acc"].clip(lower=limits[0]),
                s=6,
                marker=marker,
                color=colour,
                alpha=0.5,
                linewidths=0,
                clip_on=False,
                rasterized=True,
            )
    for (marker, _), points in seeds:
        first = points[points["shared_acc"] == points["shared_acc"].max()]
        if len(first) > FIRST_LIMIT:
            continue
        axes.scatter(
            first["shared_acc"],
            first["test_acc"].clip(lower=limits[0]),
            s=28,
            marker=marker,
            facecolors="none",
            edgecolors=style.INK,
            linewidths=0.9,
            clip_on=False,
            zorder=3,
        )
    axes.set_ylim(*limits)
    axes.grid(color=style.FAINT, linewidth=0.4)
    axes.locator_params(nbins=5)


def _title(label: str, dataset: str, inches: float) -> str:
    name, bracket, rest = label.partition(" [")
    lines = [f"{name}, {dataset}" if dataset else name, *([f"[{rest}"] if bracket else [])]
    return "\n".join(wrap(line, inches, style.TEXT_SIZE) for line in lines)


def _statistics(variant: pd.Series[Any]) -> list[str]:
    spread = "" if pd.isna(variant["regret_std"]) else f" ± {variant['regret_std']:.2f}"
    return [
        *(f"{word} {statistic_text(variant, name)}" for name, word in (("kendall", "tau:"), ("spearman", "rho:"))),
        f"top {variant['k']}: {statistic_text(variant, 'top_k')}",
        f"first: {variant['first_acc']:.2f}, regret: {variant['regret']:.2f}{spread}",
    ]


def _write_above(axes: Axes, title: str, lines: str, height: float) -> None:
    """Write the title and the statistics above a panel."""
    up = 1 + (_ABOVE + lines_height(lines, style.SMALL_SIZE) + 0.05) / height
    axes.text(0, 1 + _ABOVE / height, lines, size=style.SMALL_SIZE, va="bottom", transform=axes.transAxes)
    axes.text(0, up, title, size=style.TEXT_SIZE, weight="bold", va="bottom", transform=axes.transAxes)


def _legend_handles(markers: Mapping[Any, Marker]) -> list[Any]:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], linestyle="", marker=marker, color=colour, markersize=4, markeredgewidth=0, label=f"seed {seed}")
        for seed, (marker, colour) in markers.items()
    ]
    ring: dict[str, Any] = {"marker": "o", "markersize": 5, "markerfacecolor": "none", "markeredgecolor": style.INK}
    return [Line2D([], [], linestyle="", label="ranked first", **ring), *handles]


def _caption(frame: pd.DataFrame, several: bool) -> str:
    variants = frame[frame["row"] == "variant"]
    where = "" if several else f" Searched on {variants['dataset'].iloc[0]}."
    scores = set(variants["orders_by"]) - {SHARED_WEIGHTS}
    by = ", or by the rank of their score before training" if scores else ""
    return " ".join(
        [
            f"Rank disorder: cells by their accuracy with the shared weights of a finished search{by}, against their "
            f"true test accuracy (as Khodak & Li 2020, Figure 2, measured).{where}",
            *rank_notes(frame),
            *(["Points on the lower edge of a panel are below its range."] if _some_below(frame) else []),
            *caption_notes(variants),
        ]
    )
