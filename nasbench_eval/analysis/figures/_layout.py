"""Text in figures: measured widths, wrapped labels and captions; lengths in inches."""

from __future__ import annotations

import textwrap
from functools import cache
from typing import TYPE_CHECKING, Any

from nasbench_eval.analysis.figures import _style as style
from nasbench_eval.analysis.labels import brief, cuts

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@cache
def text_width(text: str, size: float) -> float:
    """Return the width of the widest line of a text in inches."""
    from matplotlib.textpath import TextPath

    return max(
        (TextPath((0, 0), line, size=size).get_extents().width / 72 for line in text.split("\n") if line.strip()),
        default=0.0,
    )


def wrap(text: str, inches: float, size: float, indent: str = "") -> str:
    """Break a text into lines that fit a width."""
    mean_char = text_width("the mean width of one character", size) / 31
    return "\n".join(textwrap.wrap(text, max(int(inches / mean_char), 12), subsequent_indent=indent))


def lines_height(text: str, size: float) -> float:
    """Return the height of a text in inches."""
    return (text.count("\n") + 1) * size * 1.3 / 72 if text else 0.0


def place(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Add axes at a place given in inches from the lower left corner."""
    total_width, total_height = figure.get_size_inches()
    return figure.add_axes((left / total_width, bottom / total_height, width / total_width, height / total_height))


def key(figure: Figure, handles: list[Any], left: float, bottom: float, columns: int, **spacing: float) -> None:
    """Draw a key without a frame's padding, its lower left corner given in inches."""
    width, height = figure.get_size_inches()
    figure.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(left / width, bottom / height),
        ncol=columns,
        borderaxespad=0,
        borderpad=0,
        **spacing,
    )


def caption(figure: Figure, text: str, left: float, bottom: float) -> None:
    """Write a caption whose lower left corner is given in inches."""
    width, height = figure.get_size_inches()
    figure.text(
        left / width,
        bottom / height,
        text,
        size=style.SMALL_SIZE,
        color=style.INK,
        va="bottom",
        ha="left",
        linespacing=1.25,
    )


def reduced_notes(frame: pd.DataFrame) -> list[str]:
    """Say for a caption what was reduced; of which rows, where not all that were reduced share a reduction."""
    reduced = frame[frame["reduced"].astype(bool)]
    words = cuts(zip(reduced["label"], reduced["reductions"], strict=True), frame["label"])
    return [f"REDUCED runs, not the published setting: {words}."] if words else []


def titles(frame: pd.DataFrame) -> dict[str, str]:
    """Return what panels call the variants of a frame: where all are reduced, the caption says it for them."""
    names = [str(label) for label in dict.fromkeys(frame["label"])]
    return brief(names) if frame["reduced"].all() else {name: name for name in names}
