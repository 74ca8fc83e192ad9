"""Every variant's difference to one method, with its interval, the table's noise and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nasbench_eval.analysis.against import against
from nasbench_eval.analysis.figures import _style as style
from nasbench_eval.analysis.figures._rows import draw_rows, mean_marker, with_sections
from nasbench_eval.analysis.figures._view import EVERYTHING, NeedsOption, View
from nasbench_eval.analysis.labels import caption_notes
from nasbench_eval.runs.store import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def data(runs: Sequence[Run], view: View = EVERYTHING) -> pd.DataFrame:
    """Return the differences to the method ``view.against``: the frame of ``analysis.against.against``.

    Args:
        runs: Runs, at most one per variant and seed.
        view: What to show of them.

    Raises:
        NeedsOption: If ``view.against`` names no method.
        NbevalError: If there is no run of the method, or several variants of it.
    """
    if not view.against:
        raise NeedsOption("name the method to compare with: --against METHOD")
    return against(runs, view.against, datasets=view.datasets)


def draw(frame: pd.DataFrame) -> Figure:
    """Draw the frame of :func:`data`."""
    titles = [f"{block}, search on {name}" for block, name in zip(frame["block"], frame["search_dataset"], strict=True)]
    rows = with_sections(frame, titles)
    sides = [f"{gap:+.2f} {word}" for gap, word in zip(rows["difference"], rows["word"], strict=True)]
    rows = rows.assign(count=[str(n) for n in rows["n"]], side=sides)
    limits = {str(name): _limits(part) for name, part in frame.groupby("dataset")}
    names = " | ".join(dict.fromkeys(frame["label_against"]))
    counts = "/".join(dict.fromkeys(str(n) for n in frame["n_against"]))
    ends = [limits[name] for name in frame["dataset"]]
    beyond = any(
        row["low"] < start or row["high"] > end or not start < row["difference"] < end
        for row, (start, end) in zip(frame.to_dict("records"), ends, strict=True)
    )
    text = [
        f"Test accuracy minus that of {names} (n = {counts}), with Welch's 95 % interval. Better or worse: p < 0.05 "
        "after Holm's correction; equivalent: within the table's noise; else undecided.",
        *(["Arrows: beyond the axis; intervals are cut at its ends."] if beyond else []),
        *caption_notes(frame),
        *(f"CAUTION: {why}: nothing is decided." for why in dict.fromkeys(frame["why"]) if why),
    ]
    return draw_rows(rows, partial(_panel, limits=limits), text=" ".join(text), handles=_legend_handles(frame))


def _limits(part: pd.DataFrame) -> tuple[float, float]:
    """Return the ends of the axis, which shows zero, the noise, and all but differences far beyond the others."""
    most = max(3 * float(part["difference"].abs().quantile(0.75, interpolation="lower")), 0.5)
    around = 1.5 * float(part["noise"].fillna(0.0).max())
    low = max(min(float(part["difference"].min()), float(np.nan_to_num(part["low"].min())), -around), -most)
    high = min(max(float(part["difference"].max()), float(np.nan_to_num(part["high"].max())), around), most)
    pad = 0.05 * (high - low or 1.0)
    return low - pad, high + pad


def _panel(axes: Axes, dataset: str, rows: pd.DataFrame, *, limits: dict[str, tuple[float, float]]) -> None:
    start, end = limits[dataset]
    axes.set_xlim(start, end)
    axes.set_xlabel("difference (points)", size=style.SMALL_SIZE)
    axes.locator_params(axis="x", nbins=5)
    noise = rows["noise"].max()
    if not pd.isna(noise):
        axes.axvspan(-noise, noise, color=style.NOISE, linewidth=0, zorder=0.5)
    axes.axvline(0, color=style.INK, linewidth=0.9, zorder=1.5)
    for row in rows.to_dict("records"):
        colour = style.block_colour(row["block"])
        decided = row["word"] in ("better", "worse")
        axes.plot([row["low"], row["high"]], [row["y"]] * 2, color=colour, linewidth=1.8 if decided else 0.9)
        look = mean_marker(colour, row["reduced"])
        if not start < row["difference"] < end:
            look |= {"marker": "<" if row["difference"] < 0 else ">", "markersize": 5, "clip_on": False}
        axes.plot([min(max(row["difference"], start), end)], [row["y"]], **look)


def _legend_handles(frame: pd.DataFrame) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    purple = style.BLOCK_COLOURS["weight sharing"]
    handles: list[Any] = []
    for word, reduced in (("difference", False), ("difference of reduced runs", True)):
        if (frame["reduced"].astype(bool) == reduced).any():
            handles.append(Line2D([], [], label=word, **mean_marker(purple, reduced)))
    handles.append(Line2D([], [], color=purple, linewidth=1.8, label="interval, better or worse"))
    handles.append(Line2D([], [], color=purple, linewidth=0.9, label="interval, otherwise"))
    if frame["noise"].notna().any():
        handles.append(Patch(color=style.NOISE, label="noise: 1 std between trainings"))
    return handles
