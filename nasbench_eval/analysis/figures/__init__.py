"""The figures. ``FIGURES`` lists them: what makes a figure's data frame, and what draws it.

A drawing function computes nothing but its layout: every number in it is in the frame, which is saved beside the
picture as csv. Nothing here keeps state: figures are made without pyplot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from nasbench_eval.analysis import comparison, rank_correlation
from nasbench_eval.analysis.figures import _grid, _lines, _style, anytime, figure5, operations, rank
from nasbench_eval.analysis.tables import to_csv, write_text
from nasbench_eval.errors import NbevalError
from nasbench_eval.runs.store import Run
from nasbench_eval.utils.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    DataFunction = Callable[[Sequence[Run], Sequence[str]], pd.DataFrame]
    DrawingFunction = Callable[[pd.DataFrame], Figure]


class NothingToDraw(NbevalError):
    """The results at hand do not make this figure."""


FIGURES: dict[str, tuple[DataFunction, DrawingFunction]] = {
    "figure5": (comparison.figure5, figure5.draw),
    "curves": (comparison.curves, _lines.draw_curves),
    "entropy": (comparison.entropy, _lines.draw_entropy),
    "gap": (comparison.gap, _lines.draw_gap),
    "operations": (operations.operations, _grid.draw_operations),
    "rank": (rank_correlation.rank, rank.draw_rank),
    "anytime": (anytime.anytime, _lines.draw_anytime),
}
"""Figures by name, each a data function and a drawing function."""


def draw(
    name: str, runs: Sequence[Run], folder: Path, formats: Sequence[str], datasets: Sequence[str] = ()
) -> list[Path]:
    """Write a figure in each format, and its numbers as csv, and return the paths.

    Args:
        name: A name of ``FIGURES``.
        runs: Runs, at most one a variant and seed.
        folder: Where to write.
        formats: Picture formats, such as ``png``.
        datasets: Data sets to show; empty for all.

    Raises:
        NothingToDraw: If the runs do not have what the figure shows.
    """
    from matplotlib import rc_context

    make, paint = FIGURES[name]
    frame = make(runs, datasets)
    if frame.empty:
        where = f" on {', '.join(datasets)}" if datasets else ""
        raise NothingToDraw(f"the runs{where} have nothing that {name} shows")
    paths = [folder / f"{name}.{suffix}" for suffix in formats]
    with rc_context(_style.RC):  # type: ignore[arg-type]  # the stub lists every key as a literal
        figure = paint(frame)
        for path, suffix in zip(paths, formats, strict=True):
            with atomic_write(path) as temporary:
                figure.savefig(temporary, format=suffix, dpi=_style.DPI, metadata=_style.METADATA[suffix])
    write_text(folder / f"{name}.csv", to_csv(frame))
    return [*paths, folder / f"{name}.csv"]
