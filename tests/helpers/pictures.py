"""What a figure says, and whether it can be read."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.text import Text

from nasbench_eval.analysis.figures import _style as style


def words(figure: Figure) -> str:
    """Return all text outside and inside the axes, except titles and axis labels."""
    texts = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        texts += [text.get_text() for text in axes.texts]
    return " ".join(" ".join(texts).split())


def readable(module: Any, frame: pd.DataFrame) -> Figure:
    """Draw a figure as it is saved, and check that all text is on the page and does not overlap other text or axes."""
    with rc_context(style.RC):  # type: ignore[arg-type]
        figure: Figure = module.draw(frame)
        figure.draw_without_rendering()
    outside: list[tuple[str, Any]] = [(t.get_text(), t.get_window_extent()) for t in figure.texts]
    outside += [("a legend", each.get_window_extent()) for each in figure.legends]
    labels: list[tuple[str, Any]] = []
    for axes in figure.axes:
        inside: list[Text] = [*axes.texts, axes.xaxis.label, axes.yaxis.label]
        for axis in (axes.xaxis, axes.yaxis) if axes.axison else ():
            low, high = sorted(axis.get_view_interval())
            ticks = zip(axis.get_majorticklocs(), axis.get_ticklabels(), strict=False)  # labels may be hidden
            inside += [label for place, label in ticks if low <= place <= high]
        inside += [axes.title, axes._left_title, axes._right_title]  # type: ignore[attr-defined]
        labels += [(text.get_text(), text.get_window_extent()) for text in inside if text.get_visible()]
    boxes = [(name, box) for name, box in (*outside, *labels) if name.strip() and box.width]
    for i, (name, box) in enumerate(boxes):
        page = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        assert page, f"{name!r} leaves the page"
        covered = [other for other, its in boxes[:i] if box.overlaps(its)]
        assert not covered, f"{name!r} and {covered[0]!r} overlap"
    for name, box in outside:
        assert not any(box.overlaps(axes.get_window_extent()) for axes in figure.axes), f"{name!r} is over a panel"
    return figure
