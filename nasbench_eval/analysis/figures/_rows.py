"""One row per method and one panel per data set: the layout that figure5, against and distribution share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nasbench_eval.analysis.figures import _style as style
from nasbench_eval.analysis.figures._layout import MARGIN, caption, legend, lines_height, place, text_width, wrap
from nasbench_eval.analysis.labels import brief
from nasbench_eval.analysis.order import dataset_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    DrawPanel = Callable[[Axes, str, pd.DataFrame], None]

ROW = 0.19
"""Inches: the height of a row, of which a line of text takes two thirds."""

_TITLE, _AFTER = 0.21, 0.08
"""Inches: the height of a section's title, and the gap after a section."""

_LABEL_WIDTH = 2.4
_INDENT = 0.1
_GAP = 0.16
_SMALL_GAP = 0.07
_LEGEND_COLUMN = 1.85
_LEGEND_ROW = 0.17
_X_LABELS = 0.45
_HEAD = 0.25


DOT_LIMIT = 30
"""Up to this many seeds are drawn as dots; of more, a bar shows the middle 80 %."""


def percentiles(values: Iterable[Sequence[float]]) -> tuple[list[float], list[float]]:
    """Return the 10th and the 90th percentile of each sequence of values; NaN if it is empty."""
    pairs = [np.percentile(each, [10, 90]) if len(each) else (np.nan, np.nan) for each in values]
    return [float(low) for low, _ in pairs], [float(high) for _, high in pairs]


def draw_seeds(axes: Axes, y: float, row: Mapping[Any, Any], colour: str, floor: float = -np.inf) -> None:
    """Draw one dot per seed, or of many seeds the middle 80 %.

    Args:
        axes: The panel.
        y: The height.
        row: With ``values``, one per seed, and their percentiles ``p10`` and ``p90``.
        colour: The colour of the method.
        floor: The start of the axis; a seed below is an arrow there.
    """
    values = np.asarray(row["values"], dtype=float)
    if len(values) > DOT_LIMIT:
        axes.barh(y, row["p90"] - row["p10"], 0.5 * ROW, left=row["p10"], color=style.tint(colour, 0.6), zorder=1.8)
    else:
        spread = y + ROW * (np.linspace(-0.22, 0.22, len(values)) if len(values) > 1 else np.zeros(1))
        below = values < floor
        for where, look in ((~below, {}), (below, {**BELOW, "markersize": 3})):
            if where.any():
                axes.plot(values[where].clip(floor), spread[where], **{**_SEED, **look})


BELOW: dict[str, Any] = {"marker": "<", "clip_on": False}
"""The look of what lies below the start of the axis."""


def seed_handles(values: pd.Series[Any]) -> list[Any]:
    """Return legend entries for what :func:`draw_seeds` draws of each row's values."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    seeds = values.map(len)
    handles: list[Any] = []
    if (seeds <= DOT_LIMIT).any():
        handles.append(Line2D([], [], label="one seed", **_SEED))
    if (seeds > DOT_LIMIT).any():
        pale = style.tint(style.BLOCK_COLOURS["weight sharing"], 0.6)
        handles.append(Patch(color=pale, label="middle 80 % of seeds"))
    return handles


def mean_marker(colour: str, reduced: bool) -> dict[str, Any]:
    """Return the look of a measured mean, which is pale for reduced runs."""
    face = style.tint(colour, 0.62) if reduced else colour
    edge = {"markeredgecolor": colour, "markeredgewidth": 0.9, "markerfacecolor": face}
    return {"linestyle": "", "marker": "o", "markersize": 4.6, "zorder": 4, **edge}


_SEED: dict[str, Any] = {
    **{"linestyle": "", "marker": "o", "markersize": 1.8, "color": style.INK, "markeredgewidth": 0, "zorder": 4.5}
}


def draw_optimum(axes: Axes, optimum: float, noise: float) -> None:
    """Draw the table's optimum as a line, and below it one standard deviation between trainings of a cell."""
    if not pd.isna(noise):
        axes.axvspan(optimum - noise, optimum, color=style.NOISE, linewidth=0, zorder=0.5)
    axes.axvline(optimum, color=style.OPTIMUM, linewidth=0.9, zorder=1.5)


def optimum_handles(noise: bool) -> list[Any]:
    """Return legend entries for what :func:`draw_optimum` draws."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    line = Line2D([], [], color=style.OPTIMUM, linewidth=0.9, label="optimum of the table")
    return [line, Patch(color=style.NOISE, label="noise: 1 std between trainings")] if noise else [line]


def with_sections(frame: pd.DataFrame, titles: Sequence[str]) -> pd.DataFrame:
    """Return a frame with the columns ``section`` and ``name``: reduced rows come last, under titles that say so.

    Args:
        frame: In drawing order, with the columns ``label`` and ``reduced``.
        titles: The title of the section of each row, without regard to reductions.
    """
    reduced = frame["reduced"].to_numpy(dtype=bool)
    short = brief(dict.fromkeys(frame["label"][reduced]))
    pairs = list(zip(frame["label"], titles, reduced, strict=True))
    frame = frame.assign(
        section=[f"REDUCED runs: {title}" if cut else title for _, title, cut in pairs],
        name=[short[label] if cut else label for label, _, cut in pairs],
    )
    return pd.concat([frame[~reduced], frame[reduced]])


def draw_rows(
    frame: pd.DataFrame,
    draw_panel: DrawPanel,
    *,
    text: str,
    handles: Sequence[Any] = (),
    panel: float = 1.75,
    head: tuple[float, DrawPanel] | None = None,
) -> Figure:
    """Draw one row per ``section`` and ``name``, and one panel per ``dataset``.

    Args:
        frame: In drawing order, with the columns ``section``, ``name``, ``dataset``; ``count``, a text left of the
            panels; ``side``, a text right of the panel.
        draw_panel: Draws the rows of a data set; the frame has their heights as ``y``.
        text: The caption.
        handles: Legend entries.
        panel: Width of a panel in inches; one that is alone is twice as wide.
        head: Height and drawing function of a panel above each panel, with the same x axis.
    """
    from matplotlib.figure import Figure

    datasets = dataset_order(frame["dataset"])
    rows = list(dict.fromkeys(zip(frame["section"], frame["name"], strict=True)))
    texts = {name: wrap(name, _LABEL_WIDTH, style.TEXT_SIZE) for _, name in rows}
    heights, titles, depth = _heights(rows, texts)
    frame = frame.assign(y=[heights[key] for key in zip(frame["section"], frame["name"], strict=True)])

    panel = panel if len(datasets) > 1 else 2 * panel
    count = max(text_width(word, style.SMALL_SIZE) for word in ["n", *frame["count"]]) + 2 * _SMALL_GAP
    side = max(text_width(word, style.SMALL_SIZE) for word in ["", *frame["side"]]) + 2 * _SMALL_GAP
    labels = _INDENT + max(text_width(name, style.TEXT_SIZE) for name in texts.values())
    left = (
        MARGIN + max(labels, *(text_width(title, style.TEXT_SIZE, "bold") + _GAP - count for title in titles)) + count
    )
    width = max(left + len(datasets) * (panel + side) + (len(datasets) - 1) * _GAP + MARGIN, 6.5)
    columns = max(int((width - 2 * MARGIN) / _LEGEND_COLUMN), 1)
    words = wrap(text, width - 2 * MARGIN, style.SMALL_SIZE)
    legend_bottom = MARGIN + lines_height(words, style.SMALL_SIZE) + 0.08
    below = legend_bottom + _LEGEND_ROW * -(-len(handles) // columns) + _X_LABELS
    above = _HEAD + (head[0] + 0.06 if head else 0.0)
    figure = Figure(figsize=(width, below + depth + above + MARGIN / 2))
    for number, dataset in enumerate(datasets):
        at = left + number * (panel + side + _GAP)
        part = frame[frame["dataset"] == dataset]
        axes = place(figure, at, below, panel, depth)
        axes.set(ylim=(depth, 0), yticks=[])
        axes.grid(axis="x", color=style.GRID, linewidth=0.5)
        draw_panel(axes, dataset, part)
        _write_beside(axes, part, panel)
        top = axes
        if head:
            top = place(figure, at, below + depth + 0.06, panel, head[0])
            head[1](top, dataset, part)
            top.set(xlim=axes.get_xlim(), xticks=[])
        top.set_title(dataset, loc="left", weight="bold", pad=5)
    _write_labels(figure, heights, titles, texts, below + depth)
    if (frame["count"] != "").any():
        _write_counts(figure, frame, left - _SMALL_GAP, below + depth)
    if handles:
        legend(figure, handles, MARGIN, legend_bottom, columns, columnspacing=1.4, handlelength=1.8)
    caption(figure, words)
    return figure


def _heights(
    rows: Sequence[tuple[str, str]], texts: dict[str, str]
) -> tuple[dict[tuple[str, str], float], dict[str, float], float]:
    """Return how far below the top each row and each title is, and the height of all, in inches."""
    heights: dict[tuple[str, str], float] = {}
    titles: dict[str, float] = {}
    depth = 0.0
    for section, name in rows:
        if section not in titles:
            depth += _AFTER if titles else 0.0
            titles[section] = depth + _TITLE / 2
            depth += _TITLE
        tall = max(ROW, lines_height(texts[name], style.TEXT_SIZE))
        heights[section, name] = depth + tall / 2
        depth += tall
    return heights, titles, depth + _AFTER


def _write_labels(
    figure: Figure,
    heights: dict[tuple[str, str], float],
    titles: dict[str, float],
    texts: dict[str, str],
    top: float,
) -> None:
    width, height = figure.get_size_inches()
    look: dict[str, Any] = {"size": style.TEXT_SIZE, "color": style.INK, "va": "center"}
    for title, y in titles.items():
        figure.text(MARGIN / width, (top - y) / height, title, weight="bold", **look)
    for (_, name), y in heights.items():
        figure.text((MARGIN + _INDENT) / width, (top - y) / height, texts[name], **look)


def _write_counts(figure: Figure, frame: pd.DataFrame, right: float, top: float) -> None:
    """Write the numbers of seeds before the first panel."""
    width, height = figure.get_size_inches()
    look: dict[str, Any] = {"size": style.SMALL_SIZE, "color": style.OTHER, "ha": "right", "va": "center"}
    for y, part in frame.groupby("y"):
        figure.text(right / width, (top - float(str(y))) / height, "/".join(dict.fromkeys(part["count"])), **look)
    figure.text(right / width, (top + 0.09) / height, "n", **look)


def _write_beside(axes: Axes, part: pd.DataFrame, panel: float) -> None:
    """Write the text at the right of each row."""
    for y, text in zip(part["y"], part["side"], strict=True):
        if text:
            axes.text(
                1 + _SMALL_GAP / panel,
                y,
                text,
                transform=axes.get_yaxis_transform(),
                va="center",
                size=style.SMALL_SIZE,
                color=style.INK,
            )
