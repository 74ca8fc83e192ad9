"""All cells of the space by their true accuracy, and where each method's final cells are among them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nasbench_eval.analysis import space
from nasbench_eval.analysis.comparison import comparison
from nasbench_eval.analysis.figures import _style as style
from nasbench_eval.analysis.figures._rows import (
    draw_optimum,
    draw_rows,
    draw_seeds,
    mean_marker,
    optimum_handles,
    percentiles,
    seed_handles,
    with_sections,
)
from nasbench_eval.analysis.figures._view import EVERYTHING, NothingToDraw, View
from nasbench_eval.analysis.labels import caption_notes
from nasbench_eval.analysis.truths import caption_cautions, table_key
from nasbench_eval.runs.store import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 60
"""Bins of the histogram, between the worst accuracy shown and the best."""

COLUMNS = (
    *("row", "dataset", "label", "block", "method", "search_dataset", "reduced", "reductions"),
    *("n", "mean", "values", "p10", "p90", "better", "optimum", "noise", "low", "high", "cells"),
    *("truths", "table_hash"),
)
"""Columns of :func:`data`."""

_LOWEST = 0.05
_HEIGHT = 0.75


def data(runs: Sequence[Run], view: View = EVERYTHING) -> pd.DataFrame:
    """Return the histogram of the space, and the accuracies of each variant's final cells.

    Args:
        runs: Runs, at most one per variant and seed.
        view: What to show of them; ``view.table`` is the space.

    Returns:
        A frame with ``COLUMNS`` and two kinds of ``row``. ``bin``: how many ``cells`` are between ``low`` and ``high``
        percent. ``variant``: the final cells; ``better`` is the share of all cells in percent that is better than their
        mean. ``optimum`` and ``noise`` are those of the table. Cells far below all others are in no bin.

    Raises:
        NothingToDraw: If there is no table, or it knows none of the data sets that the runs have accuracies on.
    """
    if view.table is None:
        raise NothingToDraw("it needs the benchmark table: give it with --table")
    accuracies = space.true_accuracies(view.table)
    noise = space.near_optimum(view.table, accuracies)["noise"]
    measured = comparison(runs, datasets=view.datasets).drop_duplicates(["variant_id", "dataset"])
    known = measured[measured["n"] > 0]
    measured = known[known["dataset"].isin(accuracies.columns)]
    if measured.empty:
        if len(known):
            raise NothingToDraw(space.not_looked_up(known, view.table))
        return pd.DataFrame(columns=list(COLUMNS))
    means = list(zip(measured["dataset"], measured["mean"], strict=True))
    p10, p90 = percentiles(measured["values"])
    better = [100 * float((accuracies[name].dropna() > mean).mean()) for name, mean in means]
    variants = measured.assign(row="variant", p10=p10, p90=p90, better=better)
    variants = variants.assign(optimum=variants["dataset"].map(accuracies.max()), noise=variants["dataset"].map(noise))
    bins = []
    for name, part in variants.groupby("dataset"):
        lowest = min(float(accuracies[name].quantile(_LOWEST)), *(min(values) for values in part["values"]))
        cells, edges = np.histogram(accuracies[name], bins=BINS, range=(lowest, float(accuracies[name].max())))
        part = pd.DataFrame({"low": edges[:-1], "high": edges[1:], "cells": cells})
        content = view.table.metadata.content_hash
        part["truths"] = [(table_key(content),)] * len(part)
        bins.append(part.assign(row="bin", dataset=name, table_hash=content))
    return pd.concat([variants.astype(object), *bins]).reindex(columns=list(COLUMNS)).reset_index(drop=True)


def draw(frame: pd.DataFrame) -> Figure:
    """Draw the frame of :func:`data`: the histogram above, one row per variant below."""
    variants, bins = frame[frame["row"] == "variant"], frame[frame["row"] == "bin"]
    titles = [
        f"{block}, search on {name}" for block, name in zip(variants["block"], variants["search_dataset"], strict=True)
    ]
    rows = with_sections(variants, titles)
    rows = rows.assign(count=[str(n) for n in rows["n"]], side=[f"top {_percent(x)}" for x in rows["better"]])
    text = [
        "Above: all cells by true test accuracy. Below: the final cell of each seed, and their mean; at the right the "
        "share of all cells that is better than it.",
        *caption_notes(variants),
    ]
    text += caption_cautions(frame)
    return draw_rows(
        rows,
        partial(_panel, bins=bins),
        text=" ".join(text),
        handles=_legend_handles(variants),
        head=(_HEIGHT, partial(_histogram, bins=bins)),
    )


def _percent(share: float) -> str:
    return f"{share:.0f} %" if share >= 9.95 else f"{share:.1f} %" if share >= 0.1 else f"{share:.2f} %"


def _panel(axes: Axes, dataset: str, rows: pd.DataFrame, *, bins: pd.DataFrame) -> None:
    here = bins[bins["dataset"] == dataset]
    low, high = float(here["low"].min()), float(here["high"].max())
    axes.set_xlim(low, high + 0.04 * (high - low))
    axes.set_xlabel(f"test accuracy (%), from {low:.0f}", size=style.SMALL_SIZE)
    axes.locator_params(axis="x", nbins=4, steps=[1, 2, 5, 10])
    draw_optimum(axes, rows["optimum"].iloc[0], rows["noise"].iloc[0])
    for row in rows.to_dict("records"):
        colour = style.block_colour(row["block"])
        draw_seeds(axes, row["y"], row, colour)
        axes.plot([row["mean"]], [row["y"]], **mean_marker(colour, row["reduced"]))


def _histogram(axes: Axes, dataset: str, rows: pd.DataFrame, *, bins: pd.DataFrame) -> None:
    here = bins[bins["dataset"] == dataset]
    edges = [*here["low"], here["high"].iloc[-1]]
    axes.stairs(here["cells"].to_numpy(dtype=float), edges, fill=True, color=style.FAINT)
    axes.axvline(rows["optimum"].iloc[0], color=style.OPTIMUM, linewidth=0.9)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _legend_handles(variants: pd.DataFrame) -> list[Any]:
    from matplotlib.lines import Line2D

    purple = style.BLOCK_COLOURS["weight sharing"]
    handles: list[Any] = []
    for word, reduced in (("mean", False), ("mean of reduced runs", True)):
        if (variants["reduced"].astype(bool) == reduced).any():
            handles.append(Line2D([], [], label=word, **mean_marker(purple, reduced)))
    return [*handles, *seed_handles(variants["values"]), *optimum_handles(bool(variants["noise"].notna().any()))]
