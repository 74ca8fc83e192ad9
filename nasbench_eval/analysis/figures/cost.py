"""Accuracy against the cost of the search; measured and simulated seconds are told apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nasbench_eval.analysis.comparison import comparison
from nasbench_eval.analysis.figures import _style as style
from nasbench_eval.analysis.figures._layout import (
    MARGIN,
    caption,
    legend,
    lines_height,
    place,
    seed_counts,
    text_width,
    wrap,
)
from nasbench_eval.analysis.figures._rows import mean_marker
from nasbench_eval.analysis.figures._view import EVERYTHING, View
from nasbench_eval.analysis.labels import brief, caption_notes
from nasbench_eval.analysis.order import dataset_order
from nasbench_eval.analysis.truths import caption_cautions
from nasbench_eval.runs import IMPORTED
from nasbench_eval.runs.store import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = (
    *("label", "variant_id", "method", "block", "search_dataset", "dataset", "reduced", "reductions"),
    *("cost_kind", "device", "search_seconds", "n", "mean", "ci95_low", "ci95_high", "optimum", "truths"),
)
"""Columns of :func:`data`."""

KINDS = {"measured": "measured seconds", "simulated": "simulated seconds, from the table"}
"""The label of the x axis for each kind of cost."""

_PANEL = (2.9, 2.3)
_KEY_NUMBER = 0.18
_LEFT, _BELOW, _GAP, _HEAD = 0.5, 0.42, 0.2, 0.25


def data(runs: Sequence[Run], view: View = EVERYTHING) -> pd.DataFrame:
    """Return mean accuracy and mean search cost of each variant, one row per (variant, evaluated data set).

    Args:
        runs: Runs, at most one per variant and seed.
        view: What to show of them.

    Returns:
        A frame with ``COLUMNS``, as from ``comparison.comparison``, for the data set that was searched on or, if it was
        not evaluated, for all.
    """
    frame = comparison(runs, datasets=view.datasets).drop_duplicates(["variant_id", "dataset"])
    frame = frame[(frame["n"] > 0) & frame["search_seconds"].notna()]  # of imported runs the cost may not be known
    if (frame["search_seconds"] <= 0).all():
        frame = frame.iloc[:0]  # the axis is logarithmic
    own = frame["dataset"] == frame["search_dataset"]
    # The cost does not depend on where the cell is evaluated: other data sets only if they are asked for.
    return (frame[own] if own.any() and not view.datasets else frame)[list(COLUMNS)].reset_index(drop=True)


def draw(frame: pd.DataFrame) -> Figure:
    """Draw the frame of :func:`data`: one row of panels per data set, one column per kind of cost."""
    from matplotlib.figure import Figure

    text = _caption(frame)
    frame = frame[frame["search_seconds"] > 0]
    datasets = dataset_order(frame["dataset"])
    kinds = [kind for kind in KINDS if kind in set(frame["cost_kind"])]
    names = brief(dict.fromkeys(frame["label"]))  # pale marks are reduced
    numbers = {label: str(number) for number, label in enumerate(dict.fromkeys(frame["label"]), 1)}
    key = 2 * MARGIN + _KEY_NUMBER + max(text_width(names[label], style.SMALL_SIZE) for label in numbers)
    width = MARGIN + _LEFT + len(kinds) * _PANEL[0] + (len(kinds) - 1) * _GAP + key
    width = max(width, 5.2)
    words = wrap(text, width - 2 * MARGIN, style.SMALL_SIZE)
    legend_bottom = MARGIN + lines_height(words, style.SMALL_SIZE) + 0.08
    below = legend_bottom + 0.22
    row_height = _HEAD + _PANEL[1] + _BELOW
    key_height = len(numbers) * 1.15 * lines_height("x", style.SMALL_SIZE) + _HEAD
    figure = Figure(figsize=(width, below + max(len(datasets) * row_height, key_height) + MARGIN / 2))
    top = figure.get_size_inches()[1] - MARGIN / 2
    for row, dataset in enumerate(datasets):
        part = frame[frame["dataset"] == dataset]
        limits = _limits(part)
        for column, kind in enumerate(kinds):
            own = part[part["cost_kind"] == kind]
            if own.empty:
                continue
            bottom = top - (row + 1) * row_height + _BELOW
            axes = place(figure, MARGIN + _LEFT + column * (_PANEL[0] + _GAP), bottom, *_PANEL)
            _panel(axes, own, numbers, limits)
            axes.set_xlabel(KINDS[kind], size=style.SMALL_SIZE)
            first = kind == next(each for each in kinds if each in set(part["cost_kind"]))
            axes.tick_params(labelsize=style.SMALL_SIZE, labelleft=first)
            if first:
                axes.set_title(dataset, loc="left", size=style.TEXT_SIZE, weight="bold", pad=4)
                axes.set_ylabel("test accuracy (%)", size=style.SMALL_SIZE)
    _key(figure, width - key + MARGIN, top - _HEAD, {number: names[label] for label, number in numbers.items()})
    legend(figure, _legend_handles(frame), MARGIN, legend_bottom, 4, columnspacing=1.4)
    caption(figure, words)
    return figure


def _limits(part: pd.DataFrame) -> tuple[float, float]:
    low, high = float(part["mean"].min()), float(part["mean"].max())
    best = float(part["optimum"].max())
    high = best if best == best else high
    pad = 0.07 * (high - low or 1.0)
    return low - pad, high + pad


def _intervals(frame: pd.DataFrame) -> Iterator[tuple[str, float, float]]:
    """Yield the data set and the interval of each row."""
    return zip(frame["dataset"], frame["ci95_low"], frame["ci95_high"], strict=True)


def _panel(axes: Axes, part: pd.DataFrame, numbers: dict[str, str], limits: tuple[float, float]) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set(xscale="log", ylim=limits)
    axes.grid(color=style.GRID, linewidth=0.5)
    axes.axhline(part["optimum"].max(), color=style.OPTIMUM, linewidth=0.9)
    for row in part.to_dict("records"):
        colour = style.block_colour(row["block"])
        seconds, mean = row["search_seconds"], row["mean"]
        axes.plot([seconds, seconds], [row["ci95_low"], row["ci95_high"]], color=colour, linewidth=0.9)
        axes.plot([seconds], [mean], **mean_marker(colour, row["reduced"]))
    low, high = float(part["search_seconds"].min()), float(part["search_seconds"].max())
    axes.set_xlim(low / 1.6, high * 1.6)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=6))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    _number_points(axes, part, numbers, limits)


def _number_points(axes: Axes, part: pd.DataFrame, numbers: dict[str, str], limits: tuple[float, float]) -> None:
    """Write each variant's number beside its point, where no other point and no other number is."""
    start, end = np.log(axes.get_xlim())
    x = (np.log(part["search_seconds"].to_numpy(dtype=float)) - start) / (end - start) * _PANEL[0]
    y = (part["mean"].to_numpy(dtype=float) - limits[0]) / (limits[1] - limits[0]) * _PANEL[1]
    taken = list(zip(x, y, strict=True))
    for label, at in zip(part["label"], list(taken), strict=True):
        angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        around = [(at[0] + r * np.cos(a), at[1] + r * np.sin(a)) for r in (0.13, 0.22) for a in angles]
        free = [min(np.hypot(p[0] - q[0], p[1] - q[1]) for q in taken) for p in around]
        place_x, place_y = around[next((i for i, room in enumerate(free) if room > 0.12), int(np.argmax(free)))]
        taken.append((place_x, place_y))
        axes.text(
            place_x / _PANEL[0],
            place_y / _PANEL[1],
            numbers[label],
            transform=axes.transAxes,
            ha="center",
            va="center",
            size=style.SMALL_SIZE,
            color=style.INK,
        )


def _key(figure: Figure, left: float, top: float, names: dict[str, str]) -> None:
    width, height = figure.get_size_inches()
    for number, name in names.items():
        look: dict[str, Any] = {"size": style.SMALL_SIZE, "color": style.INK, "va": "top"}
        figure.text((left + _KEY_NUMBER - 0.06) / width, top / height, number, ha="right", **look)
        figure.text((left + _KEY_NUMBER) / width, top / height, name, **look)
        top -= 1.15 * lines_height("x", style.SMALL_SIZE)


def _legend_handles(frame: pd.DataFrame) -> list[Any]:
    from matplotlib.lines import Line2D

    handles: list[Any] = []
    for block, colour in style.BLOCK_COLOURS.items():
        for word, reduced in (("", False), (", reduced", True)):
            if ((frame["block"] == block) & (frame["reduced"].astype(bool) == reduced)).any():
                handles.append(Line2D([], [], label=f"{block}{word}", **mean_marker(colour, reduced)))
    if frame["optimum"].notna().any():
        handles.append(Line2D([], [], color=style.OPTIMUM, linewidth=0.9, label="optimum of the table"))
    return handles


def _caption(frame: pd.DataFrame) -> str:
    measured = frame[(frame["cost_kind"] == "measured") & (frame["block"] != IMPORTED)]
    devices = dict.fromkeys(measured["device"])
    n = seed_counts(frame["n"])
    parts = [f"Mean test accuracy over seeds (n = {n}) with its 95 % t interval against the mean cost of one search."]
    drawn = frame[frame["search_seconds"] > 0]
    ends = {name: _limits(part) for name, part in drawn.groupby("dataset")}
    if any(low < ends[name][0] or high > ends[name][1] for name, low, high in _intervals(drawn)):
        parts.append("Intervals are cut at the ends of the axis.")
    if free := dict.fromkeys(frame["label"][frame["search_seconds"] <= 0]):
        parts.append(f"Not drawn, as a search cost 0 s: {', '.join(brief(free)[label] for label in free)}.")
    if devices:
        where = next(iter(devices)) if len(devices) == 1 else f"{len(devices)} devices, which the csv names"
        parts.append(f"Measured on {where}.")
    return " ".join([*parts, *caption_notes(frame), *caption_cautions(frame)])
