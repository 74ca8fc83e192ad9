"""Quantities over the epochs of a search, one row of panels per group of methods: curves, entropy and gap."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nasbench_eval.analysis.figures._layout import seed_counts
from nasbench_eval.analysis.figures._panels import panel_rows
from nasbench_eval.analysis.order import GROUPS, dataset_order, group

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from nasbench_eval.analysis.figures._panels import Styles

MARKER_LIMIT = 3
"""Lines of up to this many values have markers: a single value would otherwise be invisible."""

TOGETHER = 6
"""Up to this many variants share a panel; more have a row of panels per group of methods."""

LONGER = 3
"""Variants do not share a panel either if one has more than this many times the epochs of another."""

SEED_LIMIT = 6
"""Up to this many seeds are drawn as thin lines; of more, a band goes from the lowest to the highest."""


def draw_steps(frame: pd.DataFrame, ylabel: str, text: str, *, symlog: bool = False) -> Figure:
    """Draw a frame of ``steps.per_step``: the mean over seeds as a thick line, and the seeds.

    Args:
        frame: The frame.
        ylabel: Label of the y axis.
        text: The caption, to which the search data sets and the reductions are added.
        symlog: Whether the y axis is logarithmic beyond -1 and 1, for values of different orders of magnitude.
    """
    if np.isinf(frame["value"]).any():
        frame = frame.replace([np.inf, -np.inf], np.nan)
        text = f"{text} Infinite values are not drawn."
    frame = frame[frame["value"].notna()]  # lines go on over epochs without a value
    limits = {str(name): (part["value"].min(), part["value"].max()) for name, part in frame.groupby("dataset")}
    draw_panel = partial(_draw_panel, limits=limits, symlog=symlog)
    counts = frame.groupby("variant_id")["seed"].nunique()
    each = ["thin: each seed"] * bool(counts.min() <= SEED_LIMIT)
    if counts.max() > SEED_LIMIT:
        few = f" of more than {SEED_LIMIT}" if each else ""
        each.append(f"band: lowest to highest seed{few}")
    words = f"{text} Thick: mean over seeds (n = {seed_counts(counts)}); {'; '.join(each)}."
    if (frame.groupby(["variant_id", "dataset", "seed"])["step"].max().groupby(level=[0, 1]).nunique() > 1).any():
        keeps = frame["mean"].notna().all()
        ended = "a seed that has ended keeps its cell" if keeps else "no mean where a seed has ended"
        words = f"{words} Seeds of different lengths: {ended}."
    return panel_rows(frame, _groups(frame), draw_panel, xlabel="epoch", ylabel=ylabel, text=words)


def _groups(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return title and rows of each group and search data set; few variants are shown together."""
    lengths = frame.groupby("label")["step"].max()
    together = len(lengths) <= TOGETHER and lengths.max() <= LONGER * lengths.min()
    groups = frame["method"].map(lambda method: "" if together else group(method))
    # A quantity of the search itself has one panel per search data set, in one row.
    own = bool((frame["search_dataset"] == frame["dataset"]).all())
    searched = dataset_order(frame["search_dataset"])
    parts = []
    for name in ["", *GROUPS, group("")]:
        for search in [""] if own else searched:
            part = frame[(groups == name) & (own | (frame["search_dataset"] == search))]
            if not part.empty:
                parts.append((f"{name}, on {search}".strip(", ") if len(searched) > 1 and not own else name, part))
    return parts


def _draw_panel(
    axes: Axes, part: pd.DataFrame, styles: Styles, *, limits: Mapping[str, tuple[float, float]], symlog: bool
) -> None:
    for label, rows in part.groupby("label", sort=False):
        look, seeds = styles[str(label)], rows["seed"].nunique()
        mean = rows.drop_duplicates("step").sort_values("step")
        if seeds > SEED_LIMIT:
            axes.fill_between(mean["step"], mean["low"], mean["high"], color=look["color"], alpha=0.15, linewidth=0)
        elif seeds > 1:
            for _, line in rows.groupby("seed", sort=False):
                axes.plot(line["step"], line["value"], linewidth=0.5, alpha=0.5, color=look["color"])
        marker: dict[str, Any] = {"marker": "o", "markersize": 2.5} if mean["mean"].count() <= MARKER_LIMIT else {}
        axes.plot(mean["step"], mean["mean"], linewidth=1.3, **look, **marker)
    axes.locator_params(axis="x", integer=True, nbins=5)
    low, high = limits[str(part["dataset"].iloc[0])]
    if symlog:
        _set_symlog(axes)
        axes.set_ylim(min(2 * low, -0.5), 2 * high)
    else:
        pad = 0.05 * (high - low or 1)
        axes.set_ylim(low - pad, high + pad)
        axes.locator_params(axis="y", nbins=5)


def _set_symlog(axes: Axes) -> None:
    from matplotlib.ticker import SymmetricalLogLocator

    axes.set_yscale("symlog", linthresh=1)
    locator = SymmetricalLogLocator(linthresh=1, base=10)
    locator.set_params(numticks=6)
    axes.yaxis.set_major_locator(locator)
