"""Figure 5 of Khodak & Li (2020): accuracy of all methods, one row per method and one panel per data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nasbench_eval.analysis.comparison import COLUMNS, comparison, references, table_names
from nasbench_eval.analysis.figures import _style as style
from nasbench_eval.analysis.figures._layout import MARGIN, caption, legend, lines_height, place, text_width, wrap
from nasbench_eval.analysis.labels import caption_notes
from nasbench_eval.analysis.order import DATASETS, dataset_order, sort_rows
from nasbench_eval.analysis.published import published_instead
from nasbench_eval.analysis.tables import number_text, section_title
from nasbench_eval.runs.store import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Bar = dict[Any, Any]

DOT_LIMIT = 30
"""Up to this many seeds are drawn as dots; of more, a violin shows the distribution."""

_GAP = 0.22
_LABEL_WIDTH = 2.6
_LEGEND_COLUMN = 1.9
_LEGEND_ROW = 0.19
_BELOW = "◀"
"""Marks a value below the start of the axis."""


def data(runs: Sequence[Run], datasets: Sequence[str] = ()) -> pd.DataFrame:
    """Return the bars in drawing order: measured and published results, and the optimum of each table.

    Of searches whose cells are evaluated on other data sets too, only those on the first search data set in the papers'
    order are kept, as in the papers; all ``direct`` rows are kept.

    Args:
        runs: Runs, at most one per variant and seed.
        datasets: Evaluated data sets to keep; empty for all.

    Returns:
        A frame with ``comparison.COLUMNS``; ``source`` is ``measured``, ``published`` or ``table``.
    """
    measured = comparison(runs, datasets=datasets)
    measured = measured[measured["n"] > 0]
    transfers = measured["protocol"] == "transfer"
    first = dataset_order(measured["search_dataset"][transfers])[:1]
    measured = measured[~transfers | measured["search_dataset"].isin(first)]
    shown = list(datasets) or dataset_order(measured["dataset"]) or list(DATASETS)
    optima = _optima(references(runs, shown).dropna(subset=["optimum"]))
    published = published_instead(measured, shown)
    published = published[~((published["method"] == "optimal") & published["dataset"].isin(optima["dataset"]))]
    parts = [part.astype(object) for part in (measured, published, optima) if not part.empty]
    return sort_rows(pd.concat(parts, ignore_index=True)) if parts else measured


def _optima(tables: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the tables' optima, from ``comparison.references``."""
    several = tables["table_hash"].nunique() > 1
    optima = tables.assign(
        label=[f"optimum of {name}" if several else "optimum" for name in table_names(tables)],
        mean=tables["optimum"],
        block="reference",
        protocol="",
        method="optimal",
        title="optimum",
        source="table",
        search_dataset="",
        n=0,
        reduced=False,
    ).reindex(columns=list(COLUMNS))
    optima["values"] = [()] * len(optima)
    return optima


def axis_floor(means: Sequence[float], top: float) -> float:
    """Return the start of an accuracy axis that ends at ``top``, so that the upper four fifths of the bars differ.

    Bars far below would squeeze the others; they are drawn as an arrow with their value. The axis includes all bars if
    that makes it longer by less than half.
    """
    low, fifth = min(means), float(np.quantile(means, 0.2))
    span = max(1.3 * (top - fifth), 1.0)
    if top - low < 1.5 * span:
        span = max(1.12 * (top - low), 1.0)
    return max(top - span, 0.0)


def draw(frame: pd.DataFrame) -> Figure:
    """Draw the frame of :func:`data`."""
    from matplotlib.figure import Figure

    datasets = dataset_order(frame["dataset"])
    sections = _sections(frame)
    labels = {label: wrap(label, _LABEL_WIDTH, style.TEXT_SIZE) for s in sections.values() for label in s}
    left = MARGIN + 0.2 + max(text_width(text, style.TEXT_SIZE) for text in labels.values())
    left = max(left, MARGIN + 0.1 + max(text_width(title, style.TEXT_SIZE) * 1.15 for title in sections))
    values = 0.08 + max(text_width(_value(bar, low=True), style.SMALL_SIZE) for bar in frame.to_dict("records"))
    panel = 1.9 if len(datasets) > 1 else 3.6

    width = left + len(datasets) * (panel + values + _GAP) + MARGIN
    rows: list[tuple[float, str, dict[str, Bar] | None]] = []
    depth = 0.0
    for title, bars in sections.items():
        rows.append((depth + 0.5, title, None))
        depth += 1.0
        for label, by_dataset in bars.items():
            lines = labels[label].count("\n") + 1
            tall = max(1.0, lines * style.TEXT_SIZE * 1.3 / 72 / style.ROW_INCHES)
            rows.append((depth + tall / 2, label, by_dataset))
            depth += tall
        depth += 0.25
    handles = _legend_handles(frame)
    legend_columns = max(int(width / _LEGEND_COLUMN), 1)
    legend_height = _LEGEND_ROW * -(-len(handles) // legend_columns)
    text = wrap(_caption(frame), width - 2 * MARGIN, style.SMALL_SIZE)
    below = lines_height(text, style.SMALL_SIZE) + MARGIN + legend_height + 0.58
    height = below + depth * style.ROW_INCHES + 0.4
    figure = Figure(figsize=(width, height))
    for number, dataset in enumerate(datasets):
        at = left + number * (panel + values + _GAP)
        axes = place(figure, at, below, panel, depth * style.ROW_INCHES)
        bars_here = {y: bars[dataset] for y, _, bars in rows if bars and dataset in bars}
        _panel(axes, dataset, bars_here, depth)
        if number == 0:
            _label_rows(axes, rows, labels, left)
    spacing = {"borderpad": 0.4, "columnspacing": 1.4, "handlelength": 1.8}
    legend(figure, handles, MARGIN, below - 0.5 - legend_height, legend_columns, **spacing)
    caption(figure, text)
    return figure


def _sections(frame: pd.DataFrame) -> dict[str, dict[str, dict[str, Bar]]]:
    """Return section title -> label -> data set -> row, in the order of the frame."""
    sections: dict[str, dict[str, dict[str, Bar]]] = {}
    for row in frame.to_dict("records"):
        title = section_title(row["block"], row["protocol"], row["search_dataset"])
        sections.setdefault(title, {}).setdefault(row["label"], {})[row["dataset"]] = row
    return sections


def _value(bar: Bar, *, low: bool) -> str:
    text = number_text(bar["mean"], bar["std"]).strip()
    n = f" ({bar['n']})" if bar["n"] else ""
    return f"{_BELOW} {text}{n}" if low else f"{text}{n}"


def _label_rows(
    axes: Axes, rows: list[tuple[float, str, dict[str, Bar] | None]], labels: dict[str, str], left: float
) -> None:
    width = axes.get_position().width * axes.get_figure().get_size_inches()[0]  # type: ignore[union-attr]
    for y, text, bars in rows:
        section = bars is None
        axes.text(
            -(left - MARGIN - (0 if section else 0.1)) / width,
            y,
            text if section else labels[text],
            transform=axes.get_yaxis_transform(),
            ha="left",
            va="center",
            size=style.TEXT_SIZE,
            weight="bold" if section else "normal",
            color=style.INK,
        )


def _panel(axes: Axes, dataset: str, bars: dict[float, Bar], depth: float) -> None:
    means = [bar["mean"] for bar in bars.values()]
    highest = max([*means, *(value for bar in bars.values() for value in bar["values"])])
    floor = axis_floor(means, highest)
    top = highest + 0.04 * (highest - floor)
    axes.set(xlim=(floor, top), ylim=(depth, 0), yticks=[])
    axes.set_title(dataset, loc="left", weight="bold")
    axes.set_xlabel("test accuracy (%)" + (", axis cut" if floor else ""), size=style.SMALL_SIZE)
    axes.locator_params(axis="x", nbins=4, steps=[1, 2, 5, 10])
    axes.grid(axis="x", color=style.FAINT, linewidth=0.4)
    if floor:
        _break_mark(axes)
    optimum = [bar["mean"] for bar in bars.values() if bar["method"] == "optimal"]
    for value in optimum:
        axes.axvline(value, color=style.OPTIMUM, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1.5)
    for y, bar in bars.items():
        _bar(axes, y, bar, floor)


def _break_mark(axes: Axes) -> None:
    """Draw two slashes at the left end of the axis: it does not begin at zero."""
    from matplotlib.markers import MarkerStyle
    from matplotlib.path import Path

    slash = MarkerStyle(Path([(-0.35, -1.0), (0.35, 1.0)]))
    look: dict[str, Any] = {"linestyle": "", "markersize": 6, "markeredgecolor": style.INK, "zorder": 6}
    axes.plot([0.02, 0.042], [0, 0], marker=slash, transform=axes.transAxes, clip_on=False, **look)


def _bar(axes: Axes, y: float, bar: Bar, floor: float) -> None:
    from matplotlib.patheffects import withStroke

    colour = style.OPTIMUM if bar["method"] == "optimal" else style.block_colour(bar["block"])
    low = bar["mean"] < floor
    published = bar["source"] == "published" and bar["method"] != "optimal"
    axes.barh(y, max(bar["mean"] - floor, 0), style.BAR_HEIGHT, left=floor, zorder=2, **_fill(bar, colour))
    axes.text(
        1.035,
        y,
        _value(bar, low=low),
        transform=axes.get_yaxis_transform(),
        va="center",
        size=style.SMALL_SIZE,
        color=style.INK,
        style="italic" if published else "normal",
    )
    if low:
        face = "white" if published else _fill(bar, colour)["facecolor"]
        marker: dict[str, Any] = {"marker": "<", "markersize": 6, "markeredgecolor": colour, "markerfacecolor": face}
        axes.plot([floor], [y], clip_on=False, zorder=5, **marker)
    values = np.asarray(bar["values"], dtype=float)
    if len(values) > DOT_LIMIT:
        _violin(axes, y, values)
    elif len(values):
        _dots(axes, y, values, floor, cut=not low)
    if bar["std"] > 0:
        # A violin hides the end of the bar: a dot marks the mean.
        look = {"marker": "o", "markersize": 2.5, "zorder": 5} if len(values) > DOT_LIMIT else {"zorder": 3}
        whisker: dict[str, Any] = {"color": style.INK, "elinewidth": 0.9, "capsize": 2, "capthick": 0.9, **look}
        lines = axes.errorbar(bar["mean"], y, xerr=bar["std"], **whisker)
        for part in (*lines[1], *lines[2]):
            part.set_path_effects([withStroke(linewidth=2.2, foreground="white")])


def _violin(axes: Axes, y: float, values: np.ndarray) -> None:
    """Draw the density of the values over a bar."""
    import seaborn as sns

    sns.violinplot(
        x=values,
        y=np.full(len(values), y),
        orient="y",
        native_scale=True,
        ax=axes,
        width=style.BAR_HEIGHT,
        cut=0,
        inner=None,
        color="white",
        linecolor=style.INK,
        linewidth=0.6,
        saturation=1,
        zorder=4,
    )


def _dots(axes: Axes, y: float, values: np.ndarray, floor: float, *, cut: bool) -> None:
    """Draw one dot per seed, and an arrow for each seed below the start of the axis if ``cut``."""
    spread = y + (np.linspace(-0.26, 0.26, len(values)) if len(values) > 1 else np.zeros(1))
    dot: dict[str, Any] = {"s": 9, "facecolor": "white", "edgecolor": style.INK, "linewidth": 0.5, "zorder": 4}
    axes.scatter(values, spread, **dot)
    if cut and (below := values < floor).any():
        axes.scatter(np.full(below.sum(), floor), spread[below], **{**dot, "marker": "<", "clip_on": False})


def _fill(bar: Bar, colour: str) -> dict[str, Any]:
    """Return the fill of a bar: solid if measured, pale with a dashed edge if reduced, hatched if published."""
    if bar["method"] == "optimal":
        return {"facecolor": style.OPTIMUM, "edgecolor": style.OPTIMUM, "linewidth": 0.8}
    if bar["source"] == "published":
        return {"facecolor": "white", "edgecolor": colour, "hatch": "/////", "linewidth": 0.8}
    if bar["reduced"]:
        return {"facecolor": style.tint(colour, 0.62), "edgecolor": colour, "linestyle": "--", "linewidth": 0.9}
    return {"facecolor": colour, "edgecolor": colour, "linewidth": 0.8}


def _legend_handles(frame: pd.DataFrame) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    bars = frame[frame["method"] != "optimal"]
    measured = bars[bars["source"] == "measured"]
    handles: list[Any] = []
    for block, colour in style.BLOCK_COLOURS.items():
        for kind, rows in (
            ("", measured[~measured["reduced"].astype(bool)]),
            (", reduced", measured[measured["reduced"].astype(bool)]),
            (", published", bars[bars["source"] == "published"]),
        ):
            inside = rows[rows["block"] == block]
            if not inside.empty:
                handles.append(Patch(label=f"{block}{kind}", **_fill(inside.iloc[0].to_dict(), colour)))
    if (frame["method"] == "optimal").any():
        handles.append(Patch(label="optimum of the table", facecolor=style.OPTIMUM))
    seeds = measured["values"].map(len)
    if (seeds > DOT_LIMIT).any():
        look: dict[str, Any] = {"facecolor": "white", "edgecolor": style.INK, "linewidth": 0.6}
        handles.append(Patch(label="distribution over seeds", **look))
    if (seeds <= DOT_LIMIT).any():
        dot: dict[str, Any] = {"marker": "o", "markersize": 3, "markerfacecolor": "white", "markeredgewidth": 0.5}
        handles.append(Line2D([], [], linestyle="", color=style.INK, label="one seed", **dot))
    if (bars["std"] > 0).any():
        handles.append(Line2D([], [], color=style.INK, linewidth=0.9, label="± 1 std over seeds"))
    return handles


def _caption(frame: pd.DataFrame) -> str:
    bars = frame[frame["method"] != "optimal"]
    measured = bars[bars["source"] == "measured"]
    published = bars[bars["source"] == "published"]
    parts = ["Test accuracy of the final cell: mean ± std over seeds, number of seeds in brackets."]
    if not measured.empty:
        parts.append(f"Measured: {'sample' if (measured['ddof'] == 1).all() else 'population'} std.")
        truth = " | ".join(dict.fromkeys(text for text in measured["truth_note"] if text))
        parts += [f"Truth: {truth}."] if truth else []
    if not published.empty:
        papers = " | ".join(dict.fromkeys(published["published_source"]))
        parts.append(f"Hatched, in italics: not measured here but published in {papers}.")
    parts += caption_notes(measured)
    protocols = set(bars["protocol"])
    if "direct" in protocols:
        parts.append("Direct: one search per data set.")
    parts.append(f"Axes may be cut; {_BELOW} marks values below the start of the axis.")
    hashes = {key for key in measured["table_hash"] if key}
    if len(hashes) > 1:
        parts.append("CAUTION: the accuracies come from different tables: only compare bars of the same table.")
    return " ".join(parts)
