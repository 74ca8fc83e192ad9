"""What a figure says."""

from __future__ import annotations

from matplotlib.figure import Figure


def words(figure: Figure) -> str:
    """Return all text outside and inside the axes, except titles and axis labels."""
    texts = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        texts += [text.get_text() for text in axes.texts]
    return " ".join(" ".join(texts).split())
