"""Rows of panels: on the left the title and the line of each variant, beside them one panel per data set."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from nasbench_eval.analysis.figures import _style as style
from nasbench_eval.analysis.figures._layout import MARGIN, caption, lines_height, move, place, text_width, wrap
from nasbench_eval.analysis.labels import brief, caption_notes
from nasbench_eval.analysis.order import dataset_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Styles = Mapping[str, Mapping[str, Any]]
    DrawPanel = Callable[[Axes, pd.DataFrame, Styles], None]

_PANEL = (2.1, 1.4)
_Y_LABELS, _X_LABELS, _TITLE, _GAP = 0.42, 0.42, 0.22, 0.16
_MAX_WIDTH = 9.5
_Y_LABEL = 0.2
"""Of the room for y labels, what is not for the numbers at the ticks, which may be long: 0.9998."""
_KEY_TEXT = 1.7
_KEY_LINE = 0.26
"""Length of a line in the key, and the gap behind it."""


def panel_rows(
    frame: pd.DataFrame,
    rows: Sequence[tuple[str, pd.DataFrame]],
    draw_panel: DrawPanel,
    *,
    xlabel: str,
    ylabel: str,
    text: str,
) -> Figure:
    """Draw rows of panels; if there is room, several rows stand beside each other.

    Args:
        frame: With the columns ``label``, ``method``, ``search_dataset``, ``dataset``, ``reduced`` and ``reductions``.
        rows: For each row of panels its title, which may be empty, and its part of the frame.
        draw_panel: Draws the part of one data set; the last argument is the line style of each label.
        xlabel: Label of the x axes.
        ylabel: Label of the y axes.
        text: The caption, to which the search data sets and the reductions are added.
    """
    from matplotlib.figure import Figure

    names = brief(dict.fromkeys(frame["label"])) if frame["reduced"].all() else {}
    datasets, searched = dataset_order(frame["dataset"]), dataset_order(frame["search_dataset"])
    texts = {label: wrap(names.get(label, label), _KEY_TEXT, style.SMALL_SIZE) for label in frame["label"].unique()}
    heads = [text_width(title, style.SMALL_SIZE, "bold") for title, _ in rows]
    key = max([*(_KEY_LINE + text_width(name, style.SMALL_SIZE) for name in texts.values()), *heads]) + 0.1
    drawn: dict[tuple[int, int], Axes] = {}
    figure = Figure(figsize=_PANEL)  # each panel fills it until the numbers at all ticks are known
    looks = [line_styles(part) for _, part in rows]
    for number, (_, part) in enumerate(rows):
        for panel, dataset in enumerate(datasets):
            inside = part[part["dataset"] == dataset]
            if inside.empty:
                continue
            axes = drawn[number, panel] = place(figure, 0, 0, *_PANEL)
            axes.grid(color=style.GRID, linewidth=0.5)
            axes.tick_params(labelsize=style.SMALL_SIZE)
            draw_panel(axes, inside, looks[number])
    y_labels = max([_Y_LABELS, *(_Y_LABEL + _tick_width(axes) for axes in drawn.values())])
    row_width = key + len(datasets) * (y_labels + _PANEL[0] + _GAP)
    across = max(1, min(len(rows), int(_MAX_WIDTH / row_width)))
    down = -(-len(rows) // across)
    width = 2 * MARGIN + across * row_width
    text = " ".join([text, f"Searched on {', '.join(searched)}.", *caption_notes(frame)])
    text = wrap(text, width - 2 * MARGIN, style.SMALL_SIZE)
    below = MARGIN + lines_height(text, style.SMALL_SIZE) + 0.1
    height = _TITLE + _PANEL[1] + _X_LABELS
    figure.set_size_inches(width, below + down * height + MARGIN)
    for number, (title, _) in enumerate(rows):
        row, column = divmod(number, across)
        left = MARGIN + column * row_width
        bottom = below + (down - 1 - row) * height + _X_LABELS
        _key(figure, left, bottom + _PANEL[1], title, {texts[label]: look for label, look in looks[number].items()})
        for panel, dataset in enumerate(datasets):
            if (number, panel) not in drawn:
                continue
            axes = drawn[number, panel]
            move(figure, axes, left + key + y_labels + panel * (y_labels + _PANEL[0] + _GAP), bottom, *_PANEL)
            if len(datasets) > 1 and number < across:
                axes.set_title(dataset, loc="left", size=style.SMALL_SIZE, weight="bold", pad=3)
            axes.set_ylabel(ylabel if panel == 0 else "", size=style.SMALL_SIZE)
            axes.set_xlabel(xlabel if number + across >= len(rows) else "", size=style.SMALL_SIZE)
    caption(figure, text)
    return figure


def _tick_width(axes: Axes) -> float:
    """Return the width of the widest number at a tick of the y axis; powers of ten are short."""
    numbers = axes.yaxis.get_major_formatter().format_ticks(list(axes.yaxis.get_majorticklocs()))
    return max((text_width(text, style.SMALL_SIZE) for text in numbers if "$" not in text), default=0.0)


def line_styles(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return colour and dashes of each label: purples for GAEA, other colours for all others."""
    looks: dict[bool, Iterator[tuple[Any, str]]] = {
        ours: itertools.cycle(itertools.product(style.DASHES, colours))
        for ours, colours in ((True, style.GAEA_LINES), (False, style.OTHER_LINES))
    }
    styles = {}
    for label, method in frame.drop_duplicates("label")[["label", "method"]].itertuples(index=False):
        dashes, colour = next(looks[str(method).startswith("gaea")])
        styles[str(label)] = {"color": colour, "linestyle": dashes}
    return styles


def _key(figure: Figure, left: float, top: float, title: str, styles: Styles) -> None:
    """Write a title, and below it the line of each variant; ``top`` is the upper end of the panels."""
    from matplotlib.lines import Line2D

    width, height = figure.get_size_inches()
    look: dict[str, Any] = {"size": style.SMALL_SIZE, "color": style.INK}
    figure.text(left / width, (top + 0.04) / height, title, weight="bold", va="bottom", **look)
    line_height = lines_height("x", style.SMALL_SIZE)
    for text, line in styles.items():
        y = (top - line_height / 2) / height
        ends = [left / width, (left + _KEY_LINE - 0.06) / width]
        figure.add_artist(Line2D(ends, [y, y], linewidth=1.5, transform=figure.transFigure, **line))
        figure.text((left + _KEY_LINE) / width, top / height, text, va="top", linespacing=1.2, **look)
        top -= lines_height(text, style.SMALL_SIZE) + 0.03
