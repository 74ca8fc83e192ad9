"""Drawing a panel a method: the operations of its cells, and what one panel for all methods could not tell apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nasbench_eval.analysis.comparison import dataset_order
from nasbench_eval.analysis.figures import _style as style
from nasbench_eval.analysis.figures._layout import caption, key, lines_height, place, reduced_notes, titles, wrap
from nasbench_eval.cell import N_EDGES, OPS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Panel = tuple[str, Callable[[Axes], None]] | None

FEW = 12
"""So few values of a line are marked: one alone would not be seen."""

_MARGIN = 0.15
_LEFT = 0.42
_PANEL = (1.75, 1.2)
_GAPS = (0.4, 0.4)
_LEGEND = 0.2
_COLUMNS, _MOST_COLUMNS = 4, 6


def draw_operations(frame: pd.DataFrame) -> Figure:
    """Draw the frame of ``operations.operations``: a panel a variant, the operations stacked to the six edges."""
    from matplotlib.patches import Patch

    counts = frame.groupby("variant_id")["n"].max()
    seeds = f"{counts.min()}" if counts.nunique() == 1 else f"{counts.min()} to {counts.max()}"
    words = (
        "Operations on the six edges of the current cell after each epoch of the search, "
        f"mean over seeds (n = {seeds}). Searched on {', '.join(dataset_order(frame['search_dataset']))}."
    )
    several = frame["search_dataset"].nunique() > 1
    names = titles(frame)
    panels: list[Panel] = [
        (_title(names[str(label)], search if several else ""), partial(_stack, part=part))
        for (_, label, search), part in frame.groupby(["variant_id", "label", "search_dataset"], sort=False)
    ]
    keys = [Patch(color=style.OPERATIONS[op], label=op) for op in OPS]
    return _grid(panels, _COLUMNS, "edges", " ".join([words, *reduced_notes(frame)]), keys)


def draw_seeds(frame: pd.DataFrame, quantity: str, words: str, *, wide: bool = False) -> Figure:
    """Draw a frame of ``aggregate.per_step`` with a panel a variant and data set; one line a seed, equal scales.

    Args:
        frame: The frame.
        quantity: What the vertical axis says.
        words: The caption, without what was reduced.
        wide: Whether the values differ by orders of magnitude: the vertical axis turns logarithmic.
    """
    evaluated = dataset_order(frame["dataset"])
    diagonal = bool((frame["search_dataset"] == frame["dataset"]).all())
    several = frame["search_dataset"].nunique() > 1
    limits = {str(name): (part["value"].min(), part["value"].max()) for name, part in frame.groupby("dataset")}
    panels: list[Panel] = []
    names = titles(frame)
    for (label, search), rows in frame.groupby(["label", "search_dataset"], sort=False):
        title = _title(names[str(label)], search if several else "")
        for dataset in [str(search)] if diagonal else evaluated:
            part = rows[rows["dataset"] == dataset]
            if part.empty:
                panels.append(None)
                continue
            where = title if diagonal or len(evaluated) == 1 else f"{title}: {dataset}"
            panels.append((where, partial(_lines, part=part, limits=limits[dataset], wide=wide)))
    # A variant's data sets stand side by side; where they are few, two variants share a row.
    columns = _COLUMNS if diagonal else len(evaluated) * max(_MOST_COLUMNS // len(evaluated), 1)
    return _grid(panels, columns, quantity, " ".join([words, *reduced_notes(frame)]), [])


def _title(label: Any, search: Any) -> str:
    return f"{label}, searched on {search}" if search else f"{label}"


def _grid(panels: Sequence[Panel], columns: int, quantity: str, text: str, keys: list[Any]) -> Figure:
    from matplotlib.figure import Figure

    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    width = max(2 * _MARGIN + _LEFT + columns * _PANEL[0] + (columns - 1) * _GAPS[0], 5.2)
    # The titles are bold, hence wider than the measure of a wrapped text.
    heads = ["" if panel is None else wrap(panel[0], 0.85 * _PANEL[0], style.SMALL_SIZE) for panel in panels]
    text = wrap(text, width - 2 * _MARGIN, style.SMALL_SIZE)
    legend = _LEGEND if keys else 0.0
    below = _MARGIN + lines_height(text, style.SMALL_SIZE) + 0.1 + legend
    row_height = max(lines_height(title, style.SMALL_SIZE) for title in heads) + _PANEL[1] + _GAPS[1]
    figure = Figure(figsize=(width, below + rows * row_height + _MARGIN))
    for number, (panel, title) in enumerate(zip(panels, heads, strict=True)):
        if panel is None:
            continue
        row, column = divmod(number, columns)
        left = _MARGIN + _LEFT + column * (_PANEL[0] + _GAPS[0])
        axes = place(figure, left, below + (rows - 1 - row) * row_height + _GAPS[1], *_PANEL)
        panel[1](axes)
        axes.set_title(title, loc="left", size=style.SMALL_SIZE, weight="bold", pad=3)
        axes.tick_params(labelsize=style.SMALL_SIZE)
        axes.locator_params(axis="x", integer=True, nbins=5)
        if column == 0:
            axes.set_ylabel(quantity)
        if number + columns >= len(panels):
            axes.set_xlabel("epoch")
    if keys:
        key(figure, keys, _MARGIN, below - legend, len(keys), columnspacing=1.2, handlelength=1.2)
    caption(figure, text, _MARGIN, _MARGIN)
    return figure


def _stack(axes: Axes, part: pd.DataFrame) -> None:
    table = part.pivot(index="step", columns="operation", values="mean")
    steps = table.index.to_numpy(dtype=float)
    # An epoch is a bar from half before it to half after it: one epoch alone shows too.
    edges = np.append(steps - 0.5, steps[-1] + 0.5)
    floor = np.zeros(len(edges))
    for op in OPS:
        top = floor + np.append(table[op], table[op].iloc[-1])
        axes.fill_between(edges, floor, top, step="post", color=style.OPERATIONS[op], linewidth=0)
        floor = top
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, N_EDGES)
    axes.set_yticks(range(0, N_EDGES + 1, 2))


def widen(axes: Axes) -> None:
    """Make the vertical axis linear between -1 and 1, and logarithmic beyond."""
    from matplotlib.ticker import SymmetricalLogLocator

    axes.set_yscale("symlog", linthresh=1)
    locator = SymmetricalLogLocator(linthresh=1, base=10)
    locator.set_params(numticks=6)
    axes.yaxis.set_major_locator(locator)


def _lines(axes: Axes, part: pd.DataFrame, limits: tuple[float, float], wide: bool) -> None:
    few: dict[str, Any] = {"marker": "o", "markersize": 2} if part.groupby("seed")["value"].count().max() <= FEW else {}
    for number, (_, line) in enumerate(part.groupby("seed")):
        colour = style.LINES[number % len(style.LINES)]
        axes.plot(line["step"], line["value"], linewidth=0.8, alpha=0.85, color=colour, **few)
    low, high = limits
    if wide:
        widen(axes)
        axes.set_ylim(min(2 * low, -0.5), 2 * high)
    else:
        axes.set_ylim(low - 0.05 * (high - low or 1), high + 0.05 * (high - low or 1))
    axes.grid(color=style.FAINT, linewidth=0.4)
