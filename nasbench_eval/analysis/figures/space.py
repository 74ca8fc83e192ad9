"""The whole cell space: the distribution of true accuracies, and what share of cells beats each published mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from nasbench_eval.analysis import space
from nasbench_eval.analysis.figures import _style as style
from nasbench_eval.analysis.figures._layout import MARGIN, caption, lines_height, place, text_width, wrap
from nasbench_eval.analysis.figures._save import save
from nasbench_eval.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, TOP, ROW = 10.5, 1.6, 0.17
"""Inches: the whole width, the height of the histograms, and the height of a row."""

BINS = 80


def draw_space(table: Table, path: Path) -> None:
    """Draw the space of a table, and write the picture in the format of the suffix, such as ``.png``.

    Raises:
        NbevalError: If the file cannot be written.
    """
    from matplotlib import rc_context

    frame = space.true_accuracies(table)
    shares = space.published_shares(frame)
    with rc_context(style.RC):  # type: ignore[arg-type]  # the stub lists every key as a literal
        figure = draw(frame, space.near_optimum(table, frame), shares, table.metadata.name)
        save(figure, path)


def draw(frame: pd.DataFrame, near: pd.DataFrame, shares: pd.DataFrame, name: str) -> Figure:
    """Draw one column per data set: a histogram of all cells above, a row per published mean below.

    Args:
        frame: As from ``space.true_accuracies``.
        near: As from ``space.near_optimum``.
        shares: As from ``space.published_shares``.
        name: The name of the benchmark, for the caption.
    """
    from matplotlib.figure import Figure

    shares = shares[shares["protocol"] != ""]  # not the references
    shares = shares.assign(row=shares["title"] + " (" + shares["protocol"] + ")")
    rows = list(dict.fromkeys(shares["row"]))
    words = wrap(
        f"Above: test accuracies of all {len(frame):,} cells of {name}; the dotted line is the best cell, the grey "
        "band the standard deviation between trainings of one cell below it. Below: the share of all cells that is "
        "better than a published mean; transfer: searched on cifar10, direct: searched on the same data set. Further "
        "left is better; shares below 0.01 % are drawn at 0.01 %.",
        WIDTH - 2 * MARGIN,
        style.SMALL_SIZE,
    )
    left = MARGIN + max((text_width(row, style.SMALL_SIZE) for row in rows), default=0.0) + 0.15
    bottom = MARGIN + lines_height(words, style.SMALL_SIZE) + 0.45
    below = max(len(rows), 1) * ROW
    figure = Figure(figsize=(WIDTH, bottom + below + 0.65 + TOP + 0.3))
    step = (WIDTH - left - MARGIN) / len(frame.columns)
    for column, dataset in enumerate(map(str, frame)):
        x = left + column * step
        axes = place(figure, x, bottom + below + 0.65, step - 0.5, TOP)
        axes.hist(frame[dataset], bins=BINS, color=style.BLOCK_COLOURS["weight sharing"])
        best, noise = float(frame[dataset].max()), float(near["noise"].to_dict()[dataset])
        axes.axvline(best, color=style.OPTIMUM, linestyle=":", linewidth=1)
        if noise == noise:
            axes.axvspan(best - noise, best, color=style.FAINT, zorder=0)
        axes.set_title(dataset, loc="left", fontweight="bold")
        axes.set(xlabel="test accuracy (%)", ylabel="cells" if column == 0 else "")
        lower = place(figure, x, bottom, step - 0.5, below)
        here = shares[shares["dataset"] == dataset]
        lower.scatter(
            here["better"].clip(lower=0.01),
            [rows.index(row) for row in here["row"]],
            s=14,
            color=style.BLOCK_COLOURS["weight sharing"],
        )
        lower.set_xscale("log")
        lower.set(xlim=(0.008, 120), ylim=(len(rows) - 0.5, -0.5), xlabel="cells that are better (%)")
        lower.set_yticks(range(len(rows)), rows if column == 0 else [""] * len(rows), size=style.SMALL_SIZE)
        lower.grid(axis="both", color=style.FAINT, linewidth=0.4)
    caption(figure, words)
    return figure
