"""Two arrangements of panels: one panel per variant, or one per data set with all variants in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import pandas as pd

from nasbench_eval.analysis.figures import _style as style
from nasbench_eval.analysis.figures._layout import MARGIN, caption, legend, lines_height, place, text_width, wrap
from nasbench_eval.analysis.labels import caption_notes
from nasbench_eval.analysis.order import dataset_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Panel = tuple[str, Callable[[Axes], None]]
    Styles = Mapping[str, Mapping[str, Any]]

_SMALL_PANEL = (1.75, 1.2)
_SMALL_GAPS = (0.4, 0.4)
_SMALL_LEFT = 0.42
_PANEL = (2.9, 2.1)
_GAPS = (0.62, 0.78)
_AXIS_LABELS = 0.5
_LEGEND_ROW = 0.165
_MIN_WIDTH = 5.2


def panel_title(label: str, search_dataset: str) -> str:
    """Return the title of a variant's panel; an empty search data set is left out."""
    return f"{label}, searched on {search_dataset}" if search_dataset else label


def variant_grid(
    panels: Sequence[Panel | None],
    columns: int,
    ylabel: str,
    text: str,
    handles: Sequence[Any] = (),
    above: float = 0.0,
) -> Figure:
    """Draw small panels row by row, each with a title; the x axis is the epoch.

    Args:
        panels: Title and drawing function of each panel; None leaves a gap.
        columns: Panels per row.
        ylabel: Label of the y axis.
        text: The caption.
        handles: Legend entries, drawn in one row.
        above: Height in inches to leave free above the panels.
    """
    from matplotlib.figure import Figure

    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    width = max(2 * MARGIN + _SMALL_LEFT + columns * _SMALL_PANEL[0] + (columns - 1) * _SMALL_GAPS[0], _MIN_WIDTH)
    # The titles are bold and therefore wider than `wrap` measures.
    titles = ["" if panel is None else wrap(panel[0], 0.85 * _SMALL_PANEL[0], style.SMALL_SIZE) for panel in panels]
    text = wrap(text, width - 2 * MARGIN, style.SMALL_SIZE)
    legend_bottom = MARGIN + lines_height(text, style.SMALL_SIZE) + 0.1
    below = legend_bottom + (0.2 if handles else 0.0)
    row_height = max(lines_height(title, style.SMALL_SIZE) for title in titles) + _SMALL_PANEL[1] + _SMALL_GAPS[1]
    figure = Figure(figsize=(width, below + rows * row_height + above + MARGIN))
    for number, (panel, title) in enumerate(zip(panels, titles, strict=True)):
        if panel is None:
            continue
        row, column = divmod(number, columns)
        left = MARGIN + _SMALL_LEFT + column * (_SMALL_PANEL[0] + _SMALL_GAPS[0])
        axes = place(figure, left, below + (rows - 1 - row) * row_height + _SMALL_GAPS[1], *_SMALL_PANEL)
        panel[1](axes)
        axes.set_title(title, loc="left", size=style.SMALL_SIZE, weight="bold", pad=3)
        axes.tick_params(labelsize=style.SMALL_SIZE)
        axes.locator_params(axis="x", integer=True, nbins=5)
        if column == 0:
            axes.set_ylabel(ylabel)
        if number + columns >= len(panels):
            axes.set_xlabel("epoch")
    if handles:
        legend(figure, handles, MARGIN, legend_bottom, len(handles), columnspacing=1.2, handlelength=1.2)
    caption(figure, text)
    return figure


def dataset_grid(
    frame: pd.DataFrame, draw_panel: Callable[[Axes, pd.DataFrame, Styles], None], ylabel: str, text: str
) -> Figure:
    """Draw one panel per search data set (rows) and evaluated data set (columns), with all variants in each.

    A quantity of the search itself, whose two data sets are always the same, has a single row of panels.

    Args:
        frame: With the columns ``label``, ``search_dataset``, ``dataset``, ``reduced`` and ``reductions``.
        draw_panel: Draws the rows of one panel; the last argument is the line style of each label.
        ylabel: Label of the y axis.
        text: The caption, to which the search data sets and the reductions are added.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    styles = _line_styles(dict.fromkeys(frame["label"]))
    searched, evaluated = dataset_order(frame["search_dataset"]), dataset_order(frame["dataset"])
    diagonal = bool((frame["search_dataset"] == frame["dataset"]).all())
    n_rows, n_columns = (1, len(evaluated)) if diagonal else (len(searched), len(evaluated))

    width = max(MARGIN + n_columns * (_PANEL[0] + _GAPS[0]), _MIN_WIDTH)
    key_width = 0.55 + max(text_width(label, style.SMALL_SIZE) for label in styles)
    key_columns = max(int((width - 2 * MARGIN) / key_width), 1)
    key_rows = -(-len(styles) // key_columns)
    text = " ".join([text, f"Searched on {', '.join(searched)}.", *caption_notes(frame)])
    text = wrap(text, width - 2 * MARGIN, style.SMALL_SIZE)
    legend_bottom = MARGIN + lines_height(text, style.SMALL_SIZE) + 0.1
    below = legend_bottom + _LEGEND_ROW * key_rows + 0.1
    figure = Figure(figsize=(width, below + n_rows * (_PANEL[1] + _GAPS[1])))
    for search, dataset in product(searched, evaluated):
        part = frame[(frame["search_dataset"] == search) & (frame["dataset"] == dataset)]
        if part.empty:
            continue
        row, column = 0 if diagonal else searched.index(search), evaluated.index(dataset)
        axes = place(
            figure,
            MARGIN + _AXIS_LABELS + column * (_PANEL[0] + _GAPS[0]),
            below + (n_rows - 1 - row) * (_PANEL[1] + _GAPS[1]) + _AXIS_LABELS,
            *_PANEL,
        )
        draw_panel(axes, part, styles)
        axes.set_title(dataset, loc="left", weight="bold")
        if not diagonal and len(searched) > 1:
            axes.set_title(f"searched on {search}", loc="right", size=style.SMALL_SIZE)
        axes.set_ylabel(ylabel)
        axes.grid(color=style.FAINT, linewidth=0.4)
    handles = [Line2D([], [], linewidth=1.4, label=label, **look) for label, look in styles.items()]
    legend(figure, handles, MARGIN, legend_bottom, key_columns, labelspacing=0.35, columnspacing=1.2)
    caption(figure, text)
    return figure


def _line_styles(labels: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return colour and dashes of each label, different ones for up to 32 labels."""
    colours, dashes = style.LINES, style.DASHES
    return {
        label: {"color": colours[i % len(colours)], "linestyle": dashes[i // len(colours) % len(dashes)]}
        for i, label in enumerate(labels)
    }
