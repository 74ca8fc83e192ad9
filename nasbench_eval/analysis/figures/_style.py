"""Colours, sizes and fonts of all figures.

Blue, purple and black are those of Khodak & Li (2020), Figure 5. The blue is light and the purple dark, so that they
can be told apart in greyscale and with every kind of colour blindness; published and reduced bars also differ by
outline and hatching.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

BLOCK_COLOURS = {
    "standard HPO": "#5aa5e0",
    "weight sharing": "#6a2c91",
    "training-free": "#2f8f6b",
    "other code": "#b5651d",
    "reference": "#8c8c8c",
}
OPTIMUM = "#000000"
OTHER = "#8c8c8c"
INK = "#222222"
FAINT = "#b8b8b8"
GRID = "#e8e8e8"
NOISE = "#cfcfcf"

GAEA_LINES = ("#6a2c91", "#cc79a7")
OTHER_LINES = ("#0072b2", "#d55e00", "#009e73", "#e69f00", "#56b4e9", "#000000")
"""Line colours: those of Okabe & Ito, with purples for GAEA; further lines differ by :data:`DASHES`."""
LINES = (GAEA_LINES[0], *OTHER_LINES[:3], GAEA_LINES[1], *OTHER_LINES[3:])
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (6, 1.5, 1, 1.5)))

OPERATIONS = {
    "none": "#d4d4d4",
    "skip_connect": "#d55e00",
    "nor_conv_1x1": "#56b4e9",
    "nor_conv_3x3": "#0072b2",
    "avg_pool_3x3": "#f0e442",
}
"""Colours of the operations (Okabe & Ito): convolutions blue, parameter-free operations warm, ``none`` grey."""

TITLE_SIZE = 9.5
TEXT_SIZE = 8.0
SMALL_SIZE = 7.0
DPI = 200

RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that pictures are the same on every machine
    "font.size": TEXT_SIZE,
    "axes.titlesize": TITLE_SIZE,
    "axes.titley": 1.0,  # fixed: finding the height above tick labels takes a tenth of the time of a figure
    "axes.labelsize": TEXT_SIZE,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.labelsize": SMALL_SIZE,
    "ytick.labelsize": TEXT_SIZE,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.fontsize": SMALL_SIZE,
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "nbeval",
}

METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": "nbeval"},
    "pdf": {"Creator": "nbeval", "Producer": "matplotlib", "CreationDate": None},
    "svg": {"Creator": "nbeval", "Date": None},
}
"""File metadata without dates and versions, so that equal numbers give equal files."""


def block_colour(block: str) -> str:
    """Return the colour of a block."""
    return BLOCK_COLOURS.get(block, OTHER)


def tint(colour: str, amount: float) -> tuple[float, float, float]:
    """Return a colour mixed with white; an ``amount`` of 1 is white."""
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(colour)
    return (red + (1 - red) * amount, green + (1 - green) * amount, blue + (1 - blue) * amount)


def shades() -> Colormap:
    """Return shades from nearly white to the purple of weight sharing."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("purples", ["#f3f1f5", BLOCK_COLOURS["weight sharing"]])
