"""A figure as SVG inside a web page: its caption as text, no fixed font, and no name that another figure has too."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import pandas as pd

from nasbench_eval.analysis.figures import FIGURES, _style, drawn, figure_frame
from nasbench_eval.analysis.figures._layout import CAPTION, MARGIN
from nasbench_eval.analysis.figures._view import EVERYTHING, View
from nasbench_eval.runs.store import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 110
"""Resolution of the parts that are drawn as pixels, such as clouds of points."""


@dataclass(frozen=True)
class InlineFigure:
    """A figure for a web page.

    Attributes:
        name: A name in ``FIGURES``.
        title: What it shows, in one line.
        caption: Its caption; empty if it has none.
        svg: The ``<svg>`` element, without its caption.
        width: Its natural width in CSS pixels.
        frame: The numbers that it draws.
    """

    name: str
    title: str
    caption: str
    svg: str
    width: int
    frame: pd.DataFrame


def inline_figure(name: str, runs: Sequence[Run], view: View = EVERYTHING) -> InlineFigure:
    """Draw a figure for a web page.

    Args:
        name: A name in ``FIGURES``.
        runs: Runs, at most one per variant and seed.
        view: What to show of them.

    Raises:
        NothingToDraw: If the runs do not have what the figure shows.
    """
    from matplotlib import rc_context

    frame = figure_frame(name, runs, view)
    title = (FIGURES[name].__doc__ or name).strip().partition("\n")[0].rstrip(".")
    with rc_context(_style.RC):  # type: ignore[arg-type]  # the stub lists every key as a literal
        figure = drawn(name, frame)
        caption, bottom = _take_caption(figure)
        svg = _svg(figure, bottom)
    return InlineFigure(name, title, caption, _cleaned(svg, name, title), round(96 * figure.get_figwidth()), frame)


def _take_caption(figure: Figure) -> tuple[str, float]:
    """Remove the caption and return its text, and the height in inches below which the figure is now empty."""
    found = [text for text in figure.texts if text.get_gid() == CAPTION]
    if not found:
        return "", 0.0
    top = max(text.get_window_extent().y1 for text in found) / figure.dpi
    for text in found:
        text.remove()
    lines = "\n".join(text.get_text() for text in found).replace(r"\$", "$")
    # Lines were broken at spaces, and at hyphens too.
    return re.sub(r"(?<=\w-)\n|(?<=-)\n(?=>)", "", lines).replace("\n", " "), max(top - MARGIN, 0.0)


def _svg(figure: Figure, bottom: float) -> str:
    from matplotlib.transforms import Bbox

    width, height = figure.get_size_inches()
    content = io.BytesIO()
    box = Bbox([[0, bottom], [width, height]])
    figure.savefig(content, format="svg", dpi=_DPI, metadata=_style.METADATA["svg"], bbox_inches=box)
    return content.getvalue().decode()


def _cleaned(svg: str, name: str, title: str) -> str:
    """Return only the ``<svg>`` element of a file of matplotlib's, shorter and fit to stand in a page.

    Names that nothing refers to are left out, the others get the name of the figure in front. Texts take the font of
    the page. Rules of style that would hold for the whole page are left out: the page has them for its figures.
    """
    svg = svg[svg.index("<svg") :].rstrip()
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg))
    names = {each for pair in used for each in pair if each}
    svg = re.sub(r' id="([^"]*)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in names else "", svg)
    svg = re.sub(r'xlink:href="(#?)', lambda m: f'href="#{name}-' if m[1] else 'href="', svg)
    svg = svg.replace("url(#", f"url(#{name}-")
    svg = re.sub(r"<[^>]+>", _shortened, svg)
    svg = re.sub(r">\s+<", "><", svg)
    return svg.replace("<svg", '<svg role="img"', 1).replace(">", f"><title>{escape(title)}</title>", 1)


def _shortened(tag: re.Match[str]) -> str:
    """Shorten one tag: two decimals, a hundredth of a point, are more than a screen shows."""
    text = " ".join(tag[0].split())
    text = re.sub(r" (width|height)=\"[\d.]+pt\"| xmlns(:xlink)?=\"[^\"]*\"| version=\"1.1\"", "", text)
    text = re.sub(r' transform="rotate\(-0 [^"]*"', "", text)
    text = re.sub(r"font-family: [^;\"]*;? ?|(?<=px) '[^;\"]*", "", text)
    return re.sub(r"-?\d+\.\d{3,}", lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), text)
