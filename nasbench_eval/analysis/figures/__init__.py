"""The figures, one module each: ``data`` makes the data frame, ``draw`` draws it. ``FIGURES`` lists them.

``draw`` computes nothing but the layout: every number that it shows is in the frame, which is saved beside the picture
as csv. Figures are made without pyplot, so nothing here keeps state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from nasbench_eval.analysis.figures import (
    _style,
    against,
    anytime,
    cells,
    cost,
    curves,
    distribution,
    entropy,
    figure5,
    gap,
    hessian,
    operations,
    rank,
)
from nasbench_eval.analysis.figures._save import save
from nasbench_eval.analysis.figures._view import EVERYTHING, NothingToDraw, View
from nasbench_eval.analysis.layout import to_csv, with_values, write_text
from nasbench_eval.analysis.order import dataset_order
from nasbench_eval.runs.store import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


__all__ = ["EVERYTHING", "FIGURES", "FigureModule", "NothingToDraw", "View", "draw_figure", "figure_frame"]


class FigureModule(Protocol):
    """What a module of this package provides."""

    def data(self, runs: Sequence[Run], view: View = EVERYTHING) -> pd.DataFrame:
        """Return everything that the figure shows; empty if the runs do not have it.

        Args:
            runs: Runs, at most one per variant and seed.
            view: What to show of them.
        """

    def draw(self, frame: pd.DataFrame) -> Figure:
        """Draw the frame of ``data``."""


FIGURES: dict[str, FigureModule] = {
    "figure5": figure5,
    "against": against,
    "distribution": distribution,
    "cost": cost,
    "cells": cells,
    "curves": curves,
    "entropy": entropy,
    "gap": gap,
    "hessian": hessian,
    "operations": operations,
    "rank": rank,
    "anytime": anytime,
}
"""The module of each figure."""

OF_THE_SEARCH = ("entropy", "gap", "hessian", "operations", "rank")
"""Figures of what the search itself observed: ``View.datasets`` names the data sets that were searched on."""


def figure_frame(name: str, runs: Sequence[Run], view: View = EVERYTHING) -> pd.DataFrame:
    """Return the data frame of a figure, ready to be drawn.

    Args:
        name: A name in ``FIGURES``.
        runs: Runs, at most one per variant and seed.
        view: What to show of them.

    Raises:
        NothingToDraw: If the runs do not have what the figure shows.
    """
    frame = FIGURES[name].data(runs, view)
    if _drawable(frame).empty:
        raise NothingToDraw(_nothing_for(name, runs, view))
    frame.attrs["notes"] = tuple(view.notes)
    return frame


def _drawable(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[np.isfinite(frame["value"])] if len(frame) and "value" in frame else frame


def _nothing_for(name: str, runs: Sequence[Run], view: View) -> str:
    """Return that the runs have no data for a figure, and on which other data sets they have some."""
    if not view.datasets:
        return f"the runs have no data for {name}"
    asked = ", ".join(view.datasets)
    rest = _drawable(FIGURES[name].data(runs, replace(view, datasets=())))
    column = "dataset" if "dataset" in rest else "search_dataset"  # the same, for what the search observed
    there = ", ".join(dataset_order(rest[column])) if column in rest else ""
    if name not in OF_THE_SEARCH:
        return f"the runs on {asked} have no data for {name}" + (f", those on {there} have" if there else "")
    have = f"those on {there} have" if there else "nor have others"
    return f"no searches on {asked} have data for {name}, {have}: here --dataset names the data set searched on"


def drawn(name: str, frame: pd.DataFrame) -> Figure:
    """Draw a data frame; labels stand as they are, as matplotlib takes what is between two ``$`` for a formula."""
    shown = with_values(frame, _literal)
    shown.attrs["notes"] = tuple(map(_literal, frame.attrs["notes"]))
    return FIGURES[name].draw(shown)


def _literal(value: Any) -> Any:
    return value.replace("$", r"\$") if isinstance(value, str) else value


def draw_figure(
    name: str, runs: Sequence[Run], folder: Path, formats: Sequence[str], view: View = EVERYTHING
) -> list[Path]:
    """Write a figure in each format, and its numbers as csv, and return the paths.

    Args:
        name: A name in ``FIGURES``.
        runs: Runs, at most one per variant and seed.
        folder: The folder to write to.
        formats: Picture formats, such as ``png``.
        view: What to show of them.

    Raises:
        NothingToDraw: If the runs do not have what the figure shows.
    """
    from matplotlib import rc_context

    frame = figure_frame(name, runs, view)
    paths = [folder / f"{name}.{suffix}" for suffix in formats]
    with rc_context(_style.RC):  # type: ignore[arg-type]  # the stub lists every key as a literal
        figure = drawn(name, frame)
        for path in paths:
            save(figure, path)
    write_text(folder / f"{name}.csv", to_csv(frame))
    return [*paths, folder / f"{name}.csv"]
