"""Placement and text: measured widths, wrapped labels, legends and captions. All lengths are in inches."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from nasbench_eval.analysis.figures import _style as style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARGIN = 0.15
"""Empty margin around a figure."""

CAPTION = "caption"
"""The ``gid`` of captions, by which a web page finds them: it shows them as text below the drawing."""


@cache
def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Return the width of the widest line of a text."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family=style.RC["font.family"], size=size, weight=weight)
    lines = [line for line in text.split("\n") if line.strip()]
    return max((text_to_path.get_text_width_height_descent(line, font, False)[0] / 72 for line in lines), default=0.0)


def wrap(text: str, width: float, size: float) -> str:
    """Break a text into lines that fit a width."""
    mean_char = text_width("the mean width of one character", size) / 31
    arrow, kept = " -> ", "\N{NO-BREAK SPACE}->\N{NO-BREAK SPACE}"  # a reduction stays on one line
    lines = textwrap.wrap(text.replace(arrow, kept), max(int(width / mean_char), 12))
    return "\n".join(lines).replace(kept, arrow)


def seed_counts(counts: Iterable[int]) -> str:
    """Return the numbers of seeds in words of a caption: ``3``, or ``1 to 3`` where they differ."""
    n = sorted(set(counts))
    return str(n[0]) if len(n) == 1 else f"{n[0]} to {n[-1]}"


def lines_height(text: str, size: float) -> float:
    """Return the height of a text."""
    return (text.count("\n") + 1) * size * 1.3 / 72 if text else 0.0


def place(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Add axes at a position measured from the lower left corner."""
    axes = figure.add_axes((0, 0, 1, 1))
    move(figure, axes, left, bottom, width, height)
    return axes


def move(figure: Figure, axes: Axes, left: float, bottom: float, width: float, height: float) -> None:
    """Move axes to a position measured from the lower left corner."""
    total_width, total_height = figure.get_size_inches()
    axes.set_position((left / total_width, bottom / total_height, width / total_width, height / total_height))


def legend(figure: Figure, handles: Sequence[Any], left: float, bottom: float, columns: int, **spacing: float) -> None:
    """Draw a legend without padding whose lower left corner is given."""
    width, height = figure.get_size_inches()
    figure.legend(
        handles=list(handles),
        loc="lower left",
        bbox_to_anchor=(left / width, bottom / height),
        ncol=columns,
        borderaxespad=0,
        **{"borderpad": 0, **spacing},
    )


def caption(figure: Figure, text: str) -> None:
    """Write a caption in the lower left corner."""
    width, height = figure.get_size_inches()
    figure.text(
        MARGIN / width,
        MARGIN / height,
        text,
        size=style.SMALL_SIZE,
        color=style.INK,
        va="bottom",
        ha="left",
        linespacing=1.25,
        gid=CAPTION,
    )
