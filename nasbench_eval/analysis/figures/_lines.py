"""Drawing quantities over a search: over epochs one line a seed, over simulated time a mean and its interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from nasbench_eval.analysis.comparison import dataset_order
from nasbench_eval.analysis.figures import _style as style
from nasbench_eval.analysis.figures._grid import FEW, draw_seeds, widen
from nasbench_eval.analysis.figures._layout import caption, key, lines_height, place, reduced_notes, text_width, wrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Painter = Callable[[Axes, pd.DataFrame, Mapping[str, Mapping[str, Any]]], None]

WIDE = 30.0
"""A larger discretisation gap than this is drawn on an axis that turns logarithmic."""

MANY = 6
"""More methods than this have a panel each where every seed is a line."""

_MARGIN = 0.15
_PANEL = (2.9, 2.1)
_GAPS = (0.62, 0.78)


def draw_curves(frame: pd.DataFrame) -> Figure:
    """Draw the frame of ``aggregate.curves``: panels searched on (rows) x looked up on (columns)."""
    return _draw_seeds(
        frame,
        "test accuracy (%)",
        "True test accuracy of the current cell after each epoch of the search; one line a seed "
        "(as Li et al. 2021, appendix Figure 4).",
    )


def draw_entropy(frame: pd.DataFrame) -> Figure:
    """Draw the frame of ``aggregate.entropy``."""
    return _draw_seeds(
        frame,
        "entropy / largest",
        "Entropy of the operation weights, mean over the edges, as a share of the largest there is, ln N for N "
        "operations (ln 5 with none, ln 4 without): 1 is uniform, 0 is one operation an edge; one line a seed "
        "(as Khodak & Li 2020, Figure 4, there in nats, which are in the csv).",
    )


def draw_gap(frame: pd.DataFrame) -> Figure:
    """Draw the frame of ``aggregate.gap``."""
    wide = bool(frame["value"].abs().max() > WIDE)
    return _draw_seeds(
        frame,
        "loss after - before",
        "Discretisation gap: loss of the supernet on the valid part with the one-hot weights of the cell chosen, minus "
        "its loss with the weights it trains with; one line a seed (as Khodak & Li 2020, Figure 3, measured)."
        + (" The axis is linear between -1 and 1 and logarithmic beyond." if wide else ""),
        wide=wide,
    )


def draw_anytime(frame: pd.DataFrame) -> Figure:
    """Draw the frame of ``anytime.anytime``: panels searched on (rows) x looked up on (columns)."""
    counts = frame.groupby("label", sort=False)["n"].max()
    runs = (
        f"{counts.iloc[0]} runs"
        if counts.nunique() == 1
        else "runs (" + ", ".join(f"{label}: {n}" for label, n in counts.items()) + ")"
    )
    return _draw(
        frame,
        _means,
        "test accuracy (%)",
        f"True test accuracy of the incumbent, mean over {runs}; band: 95 % t interval of the mean. A curve is a step "
        "function that begins when all runs have an incumbent. Dotted: the table's optimum.",
    )


def _draw_seeds(frame: pd.DataFrame, quantity: str, words: str, *, wide: bool = False) -> Figure:
    if frame["label"].nunique() > MANY:
        searched = ", ".join(dataset_order(frame["search_dataset"]))
        return draw_seeds(frame, quantity, f"{words} Searched on {searched}.", wide=wide)
    return _draw(frame, partial(_seeds, wide=wide), quantity, words)


def _seeds(axes: Axes, part: pd.DataFrame, looks: Mapping[str, Mapping[str, Any]], *, wide: bool) -> None:
    for (label, _), line in part.groupby(["label", "seed"], sort=False):
        few: dict[str, Any] = {"marker": "o", "markersize": 2.5} if line["value"].count() <= FEW else {}
        axes.plot(line["step"], line["value"], linewidth=0.9, alpha=0.8, **looks[str(label)], **few)
    axes.set_xlabel("epoch")
    axes.tick_params(labelsize=style.SMALL_SIZE)
    axes.locator_params(axis="x", integer=True)
    if wide:
        widen(axes)


def _means(axes: Axes, part: pd.DataFrame, looks: Mapping[str, Mapping[str, Any]]) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    for label, line in part.groupby("label", sort=False):
        look = looks[str(label)]
        axes.plot(line["seconds"], line["mean"], linewidth=1.1, drawstyle="steps-post", **look)
        axes.fill_between(
            line["seconds"],
            line["ci95_low"],
            line["ci95_high"],
            step="post",
            color=look["color"],
            alpha=0.2,
            linewidth=0,
        )
    best = part["optimum"].max()
    axes.axhline(best, color=style.OPTIMUM, linewidth=0.8, linestyle=":")
    # The first queries are far below all that the curves differ in.
    final = part.groupby("label")["mean"].max().min()
    lowest = max(final - 2.2 * (best - final), part[["mean", "ci95_low"]].min(axis=None))
    axes.set_ylim(lowest, best + 0.12 * (best - final))
    axes.set_xscale("log")
    axes.set_xlim(part["seconds"][part["mean"] >= lowest].min(), None)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("simulated seconds")


def _draw(frame: pd.DataFrame, paint: Painter, quantity: str, words: str) -> Figure:
    from matplotlib.figure import Figure

    looks = {
        label: {
            "color": style.LINES[i % len(style.LINES)],
            "linestyle": style.DASHES[i // len(style.LINES) % len(style.DASHES)],
        }
        for i, label in enumerate(dict.fromkeys(frame["label"]))
    }
    searched, evaluated = dataset_order(frame["search_dataset"]), dataset_order(frame["dataset"])
    # A quantity of the search itself has one panel a search data set: one row of them.
    diagonal = bool((frame["search_dataset"] == frame["dataset"]).all())
    n_rows, n_columns = (1, len(evaluated)) if diagonal else (len(searched), len(evaluated))

    width = max(_MARGIN + n_columns * (_PANEL[0] + _GAPS[0]), 5.2)
    key_inches = 0.55 + max(text_width(label, style.SMALL_SIZE) for label in looks)
    key_columns = max(int((width - 2 * _MARGIN) / key_inches), 1)
    key_rows = -(-len(looks) // key_columns)
    text = wrap(_caption(frame, words, searched), width - 2 * _MARGIN, style.SMALL_SIZE)
    below = _MARGIN + lines_height(text, style.SMALL_SIZE) + 0.1 + 0.165 * key_rows + 0.1
    height = below + n_rows * (_PANEL[1] + _GAPS[1])
    figure = Figure(figsize=(width, height))
    for number, ((search, dataset), part) in enumerate(_panels(frame, searched, evaluated, diagonal)):
        row, column = (0, number) if diagonal else (searched.index(search), evaluated.index(dataset))
        axes = place(
            figure,
            _MARGIN + 0.45 + column * (_PANEL[0] + _GAPS[0]),
            below + (n_rows - 1 - row) * (_PANEL[1] + _GAPS[1]) + 0.45,
            *_PANEL,
        )
        paint(axes, part, looks)
        axes.set_title(dataset, loc="left", weight="bold")
        if not diagonal and len(searched) > 1:
            axes.set_title(f"searched on {search}", loc="right", size=style.SMALL_SIZE)
        axes.set_ylabel(quantity)
        axes.grid(color=style.FAINT, linewidth=0.4)
    bottom = below - 0.1 - 0.165 * key_rows
    key(figure, _keys(looks), _MARGIN, bottom, key_columns, labelspacing=0.35, columnspacing=1.2)
    caption(figure, text, _MARGIN, _MARGIN)
    return figure


def _panels(
    frame: pd.DataFrame, searched: list[str], evaluated: list[str], diagonal: bool
) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    pairs = [(d, d) for d in evaluated] if diagonal else [(s, d) for s in searched for d in evaluated]
    found = [((s, d), frame[(frame["search_dataset"] == s) & (frame["dataset"] == d)]) for s, d in pairs]
    return [(pair, part) for pair, part in found if not part.empty]


def _keys(looks: dict[str, dict[str, Any]]) -> list[Any]:
    from matplotlib.lines import Line2D

    return [Line2D([], [], linewidth=1.4, label=label, **look) for label, look in looks.items()]


def _caption(frame: pd.DataFrame, words: str, searched: list[str]) -> str:
    return " ".join([words, f"Searched on {', '.join(searched)}.", *reduced_notes(frame)])
