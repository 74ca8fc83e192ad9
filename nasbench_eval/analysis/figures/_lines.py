"""Quantities over the epochs of a search, one line per seed: the drawing that curves, entropy and gap share."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from nasbench_eval.analysis.figures import _style as style
from nasbench_eval.analysis.figures._grid import dataset_grid, panel_title, variant_grid
from nasbench_eval.analysis.labels import caption_notes, panel_titles
from nasbench_eval.analysis.order import dataset_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from nasbench_eval.analysis.figures._grid import Panel, Styles

MARKER_LIMIT = 12
"""Lines of up to this many values have markers: a single value would otherwise be invisible."""

SHARED_PANEL_LIMIT = 6
"""Up to this many variants share a panel; more have a panel each."""

_COLUMNS, _MAX_COLUMNS = 4, 6


def draw_seed_lines(frame: pd.DataFrame, ylabel: str, text: str, *, symlog: bool = False) -> Figure:
    """Draw a frame of ``steps.per_step``, one line per seed.

    Args:
        frame: The frame.
        ylabel: Label of the y axis.
        text: The caption, to which the search data sets and the reductions are added.
        symlog: Whether the y axis is logarithmic beyond -1 and 1, for values of different orders of magnitude.
    """
    if frame["label"].nunique() <= SHARED_PANEL_LIMIT:
        return dataset_grid(frame, partial(_all_variants, symlog=symlog), ylabel, text)
    return _variant_panels(frame, ylabel, text, symlog)


def _variant_panels(frame: pd.DataFrame, ylabel: str, text: str, symlog: bool) -> Figure:
    """Draw one panel per variant and data set; panels of a data set have the same y axis."""
    evaluated, searched = dataset_order(frame["dataset"]), dataset_order(frame["search_dataset"])
    diagonal = bool((frame["search_dataset"] == frame["dataset"]).all())
    limits = {str(name): (part["value"].min(), part["value"].max()) for name, part in frame.groupby("dataset")}
    panels: list[Panel | None] = []
    titles = panel_titles(frame)
    for (label, search), rows in frame.groupby(["label", "search_dataset"], sort=False):
        title = panel_title(titles[str(label)], str(search) if len(searched) > 1 else "")
        for dataset in [str(search)] if diagonal else evaluated:
            part = rows[rows["dataset"] == dataset]
            if part.empty:
                panels.append(None)
                continue
            full_title = title if diagonal or len(evaluated) == 1 else f"{title}: {dataset}"
            panels.append((full_title, partial(_one_variant, part=part, limits=limits[dataset], symlog=symlog)))
    # The data sets of a variant are side by side; if they are few, two variants share a row.
    columns = _COLUMNS if diagonal else len(evaluated) * max(_MAX_COLUMNS // len(evaluated), 1)
    text = " ".join([text, f"Searched on {', '.join(searched)}.", *caption_notes(frame)])
    return variant_grid(panels, columns, ylabel, text)


def _all_variants(axes: Axes, part: pd.DataFrame, styles: Styles, *, symlog: bool) -> None:
    for (label, _), line in part.groupby(["label", "seed"], sort=False):
        marker: dict[str, Any] = {"marker": "o", "markersize": 2.5} if line["value"].count() <= MARKER_LIMIT else {}
        axes.plot(line["step"], line["value"], linewidth=0.9, alpha=0.8, **styles[str(label)], **marker)
    axes.set_xlabel("epoch")
    axes.tick_params(labelsize=style.SMALL_SIZE)
    axes.locator_params(axis="x", integer=True)
    if symlog:
        _set_symlog(axes)


def _one_variant(axes: Axes, part: pd.DataFrame, limits: tuple[float, float], symlog: bool) -> None:
    longest = part.groupby("seed")["value"].count().max()
    marker: dict[str, Any] = {"marker": "o", "markersize": 2} if longest <= MARKER_LIMIT else {}
    for number, (_, line) in enumerate(part.groupby("seed")):
        colour = style.LINES[number % len(style.LINES)]
        axes.plot(line["step"], line["value"], linewidth=0.8, alpha=0.85, color=colour, **marker)
    low, high = limits
    if symlog:
        _set_symlog(axes)
        axes.set_ylim(min(2 * low, -0.5), 2 * high)
    else:
        pad = 0.05 * (high - low or 1)
        axes.set_ylim(low - pad, high + pad)
    axes.grid(color=style.FAINT, linewidth=0.4)


def _set_symlog(axes: Axes) -> None:
    from matplotlib.ticker import SymmetricalLogLocator

    axes.set_yscale("symlog", linthresh=1)
    locator = SymmetricalLogLocator(linthresh=1, base=10)
    locator.set_params(numticks=6)
    axes.yaxis.set_major_locator(locator)
