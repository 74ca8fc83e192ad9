"""Figure 5 of Khodak & Li (2020): accuracy of all methods, one row per method and one panel per data set."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nasbench_eval.analysis.comparison import COLUMNS, comparison, references, table_names
from nasbench_eval.analysis.figures import _style as style
from nasbench_eval.analysis.figures._rows import (
    BELOW,
    ROW,
    draw_optimum,
    draw_rows,
    draw_seeds,
    mean_marker,
    optimum_handles,
    percentiles,
    seed_handles,
    with_sections,
)
from nasbench_eval.analysis.figures._view import EVERYTHING, View
from nasbench_eval.analysis.labels import caption_notes
from nasbench_eval.analysis.order import DATASETS, dataset_order, sort_rows
from nasbench_eval.analysis.published import published_instead
from nasbench_eval.analysis.statistics import interval_of_mean
from nasbench_eval.analysis.tables import section_title
from nasbench_eval.analysis.truths import caption_cautions
from nasbench_eval.runs.store import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Row = dict[Any, Any]

_SHIFT = 0.15
"""How far a published value is below a measured one of the same row, as a share of the row."""


def data(runs: Sequence[Run], view: View = EVERYTHING) -> pd.DataFrame:
    """Return the rows in drawing order: measured and published results, and the optimum of each table.

    Of searches whose cells are evaluated on other data sets too, only those on the first search data set in the papers'
    order are kept, as in the papers, and of variants that searched on others alone the accuracy on these, as ``direct``
    rows; all ``direct`` rows are kept.

    Args:
        runs: Runs, at most one per variant and seed.
        view: What to show of them.

    Returns:
        A frame with ``comparison.COLUMNS``; ``source`` is ``measured``, ``published`` or ``table``. ``p10`` and ``p90``
        are percentiles over seeds, ``published_low`` and ``published_high`` the 95 % t interval of a published mean,
        where the paper says of how many runs.
    """
    measured = comparison(runs, datasets=view.datasets)
    measured = measured[measured["n"] > 0]
    transfers = measured["protocol"] == "transfer"
    first = dataset_order(measured["search_dataset"][transfers])[:1]
    kept = measured[~transfers | measured["search_dataset"].isin(first)]
    # Of a variant with other search data sets alone, what it has on these is shown.
    others = measured[~measured["variant_id"].isin(kept["variant_id"])]
    own = others[others["dataset"] == others["search_dataset"]].assign(protocol="direct")
    measured = kept if own.empty else sort_rows(pd.concat([kept, own]))
    shown = list(view.datasets) or dataset_order(measured["dataset"]) or list(DATASETS)
    optima = _optima(references(runs, shown).dropna(subset=["optimum"]))
    published = published_instead(measured, shown)
    published = published[~((published["method"] == "optimal") & published["dataset"].isin(optima["dataset"]))]
    if view.methods:
        published = published[published["method"].isin([*view.methods, "optimal"])]
    parts = [part.astype(object) for part in (measured, published, optima) if not part.empty]
    if not parts:
        return measured
    frame = _with_intervals(sort_rows(pd.concat(parts, ignore_index=True)))
    frame.attrs["bars"] = view.bars
    return frame


def _with_intervals(frame: pd.DataFrame) -> pd.DataFrame:
    """Add the percentiles over seeds, and the intervals of published means beside measured ones or instead of them."""
    p10, p90 = percentiles(frame["values"])
    instead = frame["source"] == "published"
    theirs = {
        name: frame[f"published_{name}"].where(~instead, frame[own]).astype(float)
        for name, own in (("mean", "mean"), ("std", "std"), ("ddof", "ddof"), ("runs", "n"))
    }
    changed = frame["reduced"].astype(bool) | ~frame["overrides"].isin(["", np.nan])
    theirs["mean"] = theirs["mean"].where(~changed)
    mean, std, n, ddof = (np.asarray(theirs[name], dtype=np.float64) for name in ("mean", "std", "runs", "ddof"))
    low, high = interval_of_mean(mean, std, n, ddof)
    return frame.assign(
        p10=p10,
        p90=p90,
        published_mean=mean,
        published_low=low,
        published_high=high,
    )


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
    """Return the start of an accuracy axis that ends at ``top``, so that the upper four fifths of the means differ.

    Means far below would squeeze the others; they are drawn as an arrow with their value. The axis includes all if that
    makes it longer by less than half. The start is rounded down to a tenth, so that its label can say it.
    """
    low, fifth = min(means), float(np.quantile(means, 0.2))
    span = max(1.3 * (top - fifth), 1.0)
    if top - low < 1.5 * span:
        span = max(1.12 * (top - low), 1.0)
    return max(float(np.floor(10 * (top - span) + 1e-6)) / 10, 0.0)


def draw(frame: pd.DataFrame) -> Figure:
    """Draw the frame of :func:`data`; with ``frame.attrs["bars"]`` as bars from zero, as in the post."""
    bars = bool(frame.attrs.get("bars"))
    rows = frame[frame["method"] != "optimal"]
    titles = [section_title(*key) for key in rows[["block", "protocol", "search_dataset"]].itertuples(index=False)]
    rows = with_sections(rows, titles)
    rows = rows.assign(
        count=[str(n) if n else "" for n in rows["n"]],
        side=[f"{mean:.2f}" for mean in rows["mean"]],
    )
    optima = frame[frame["method"] == "optimal"]
    draw_panel = partial(_panel, optima=optima, bars=bars)
    return draw_rows(rows, draw_panel, text=_caption(frame, bars), handles=_legend_handles(rows, optima))


def _panel(axes: Axes, dataset: str, rows: pd.DataFrame, *, optima: pd.DataFrame, bars: bool) -> None:
    best = optima[optima["dataset"] == dataset]
    means = [*rows["mean"], *rows["published_mean"].dropna(), *best["mean"]]
    highest = max([*means, *(value for values in rows["values"] for value in values)])
    floor = 0.0 if bars else axis_floor(means, highest)
    axes.set_xlim(floor, highest + 0.04 * (highest - floor))
    axes.set_xlabel("test accuracy (%)" + (f", from {floor:g}" if floor else ""), size=style.SMALL_SIZE)
    axes.locator_params(axis="x", nbins=4, steps=[1, 2, 5, 10])
    for optimum, noise in zip(best["mean"], best["noise"], strict=True):
        draw_optimum(axes, optimum, noise)
    for row in rows.to_dict("records"):
        _row(axes, row, floor, bars)


def _row(axes: Axes, row: Row, floor: float, bars: bool) -> None:
    colour = style.block_colour(row["block"])
    measured = row["source"] == "measured"
    beside = measured and not pd.isna(row["published_mean"])
    y = row["y"] - (_SHIFT * ROW if beside and not bars else 0)
    if bars:
        axes.barh(y, row["mean"], 0.7 * ROW, zorder=1, **_bar_look(row))
    if measured:
        draw_seeds(axes, y, row, colour, floor)
        axes.plot([row["ci95_low"], row["ci95_high"]], [y, y], color=style.INK if bars else colour, linewidth=1.3)
        _mark(axes, row["mean"], y, floor, mean_marker(colour, row["reduced"]))
    if beside or not measured:
        y = row["y"] + (_SHIFT * ROW if beside and not bars else 0)
        axes.plot([row["published_low"], row["published_high"]], [y, y], color=colour, linewidth=0.7, zorder=2)
        _mark(axes, row["published_mean"], y, floor, _published_marker(colour))


def _mark(axes: Axes, value: float, y: float, floor: float, look: dict[str, Any]) -> None:
    """Draw a mean, or an arrow at the start of the axis if it is below."""
    if value < floor:
        look = {**look, **BELOW, "markersize": 5}
    axes.plot([max(value, floor)], [y], **look)


def _published_marker(colour: str) -> dict[str, Any]:
    edge = {"markeredgecolor": colour, "markeredgewidth": 0.9, "markerfacecolor": "white"}
    return {"linestyle": "", "marker": "D", "markersize": 3.8, "zorder": 3.5, **edge}


def _bar_look(row: Row) -> dict[str, Any]:
    """Return the fill of a bar: solid if measured, pale if reduced, hatched if published."""
    colour = style.block_colour(row["block"])
    if row["source"] == "published":
        return {"facecolor": "white", "edgecolor": colour, "linewidth": 0.8, "hatch": "/////"}
    face = style.tint(colour, 0.62) if row["reduced"] else colour
    return {"facecolor": face, "edgecolor": colour, "linewidth": 0.8}


def _legend_handles(rows: pd.DataFrame, optima: pd.DataFrame) -> list[Any]:
    from matplotlib.lines import Line2D

    purple = style.BLOCK_COLOURS["weight sharing"]
    measured = rows[rows["source"] == "measured"]
    handles: list[Any] = []
    for word, reduced in (("measured mean", False), ("mean of reduced runs", True)):
        if (measured["reduced"].astype(bool) == reduced).any():
            handles.append(Line2D([], [], label=word, **mean_marker(purple, reduced)))
    if measured["ci95_low"].notna().any():
        handles.append(Line2D([], [], color=purple, linewidth=1.3, label="95 % t interval of it"))
    handles += seed_handles(measured["values"])
    if rows["published_mean"].notna().any():
        handles.append(Line2D([], [], label="published mean", **_published_marker(purple)))
    return handles + (optimum_handles(bool(optima["noise"].notna().any())) if not optima.empty else [])


def _caption(frame: pd.DataFrame, bars: bool) -> str:
    rows = frame[frame["method"] != "optimal"]
    measured = rows[rows["source"] == "measured"]
    parts = ["Test accuracy of the final cell, mean over n seeds."]
    if sources := dict.fromkeys(rows["published_source"][rows["published_mean"].notna()]):
        parts.append(f"Published: {' | '.join(sources)}.")
    parts += caption_notes(measured)
    if "direct" in set(rows["protocol"]):
        parts.append("Direct: one search per data set.")
    if not bars:
        parts.append("Arrows: below the start of the axis; intervals are cut at its ends.")
    parts += caption_cautions(measured)
    return " ".join(parts)
