"""``nbeval plot``: from run files to figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nasbench_eval.errors import NbevalError, unknown
from runners.cli.analysis import (
    PICTURES,
    RESULTS,
    datasets_option,
    nothing_in,
    picture_formats,
    results_option,
    with_results,
)
from runners.cli.options import TABLE_DEFAULT, names, where_option
from runners.cli.path_type import PathType

if TYPE_CHECKING:
    from nasbench_eval.runs.store import Run
    from nasbench_eval.table import Table


@click.command(short_help="Draw the figures: png, pdf, and the numbers behind them as csv.")
@click.argument("figures", nargs=-1, metavar="[FIGURE]...")
@results_option
@datasets_option
@where_option
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="NAME[,NAME]",
    help="Show only these methods, or all.  [default: all; of more than 12 variants, those of GAEA's Table 2 and your "
    "own]",
)
@click.option("--against", default="", metavar="METHOD", help="The method that the figure against compares with.")
@click.option(
    "--table",
    type=PathType(),
    help=f"The benchmark table, for the figure distribution.  {TABLE_DEFAULT}",
)
@click.option("--bars", is_flag=True, help="Draw figure5 with bars from zero, as Khodak & Li (2020) do.")
@click.option(
    "--plots",
    "folder",
    metavar="DIR",
    type=PathType(file_okay=False),
    default=Path("plots"),
    show_default=True,
    help="Folder to write to.",
)
@click.option(
    "--format",
    "formats",
    metavar="LIST",
    default="png,pdf",
    show_default=True,
    help=f"Picture formats: {', '.join(PICTURES)}.",
)
def plot(
    figures: tuple[str, ...],
    folders: tuple[Path, ...],
    datasets: tuple[str, ...],
    conditions: tuple[str, ...],
    methods: tuple[str, ...],
    against: str,
    table: Path | None,
    bars: bool,
    folder: Path,
    formats: str,
) -> None:
    """Draw FIGUREs, or all for which there are results, and print the paths written.

    \b
    figure5       accuracies of all methods beside the published ones, and the optimum
    against       each method's difference to one, with its interval and the table's noise (--against METHOD)
    distribution  all cells of the table by accuracy, and where the final cells are among them
    cost          accuracy against the cost of the search, measured or simulated
    cells         the final cells as graphs, and how many seeds ended on each
    curves        true test accuracy of the current cell over epochs
    entropy       entropy of the operation weights over epochs, mean over the edges
    gap           increase of the supernet's loss by discretisation to the derived cell, over epochs
    hessian       curvature of the valid loss in the architecture, over epochs, where it was recorded
    operations    number of edges of the current cell with each operation, over epochs
    rank          what orders cells (shared weights, scores) against true accuracy, for what `nbeval rank` scored
    anytime       true test accuracy of the incumbent of tabular searches over simulated seconds
    """  # noqa: D301 - click reads the control character: keep these lines as they are
    wanted = picture_formats(formats)

    from nasbench_eval.analysis.figures import FIGURES, NothingToDraw, View, draw_figure
    from nasbench_eval.analysis.filters import parse_condition, select
    from nasbench_eval.analysis.labels import distinct_runs, divergence_notes
    from nasbench_eval.analysis.selection import ALL, check_methods, methods_meant, selected, shown_failures
    from nasbench_eval.runs.failures import load_failures
    from nasbench_eval.runs.store import load_runs

    for name in figures:
        if name not in FIGURES:
            raise unknown("figure", name, list(FIGURES))
    # Without results the published numbers alone make a figure, but a folder given with --results must exist.
    places = folders or ((RESULTS,) if RESULTS.is_dir() else ())
    asked_for = [parse_condition(text) for text in conditions]
    found, failures = select(load_runs(places), load_failures(places), asked_for)
    runs, notes = distinct_runs(found)
    if not runs:
        notes.append(f"{nothing_in(folders or (RESULTS,))}: published numbers only")
    shown, asked = names(datasets), names(methods)
    with_results(shown, runs, shows_more=bool(runs))
    check_methods(asked, runs)
    also = methods_meant(against, runs)
    runs, left_out = selected(runs, asked, also)
    diverged = divergence_notes(shown_failures(failures, asked, also, left_out), runs)
    notes += diverged
    if left_out:
        notes.append(f"not shown: {', '.join(left_out)}; --method all shows all")
    for note in notes:
        click.echo(f"nbeval: {note}", err=True)
    wanted_figures = figures or tuple(FIGURES)
    opened = _table(table, runs) if "distribution" in wanted_figures else None
    view = View(shown, [] if ALL in asked else asked, diverged, bars, against, opened)
    drawn = False
    for name in wanted_figures:
        try:
            for path in draw_figure(name, runs, folder, wanted, view):
                click.echo(str(path))
            drawn = True
        except NothingToDraw as error:
            if figures:
                raise
            click.echo(f"nbeval: no figure {name}: {error}", err=True)
    if not drawn:
        raise NbevalError("there is nothing to draw: no figure was written")


def _table(path: Path | None, runs: Sequence[Run]) -> Table | None:
    """Open the table that is given, or the one that a run would use; None if there is none."""
    from nasbench_eval.analysis.order import dataset_order
    from nasbench_eval.table import Table, find_table

    datasets = dataset_order(run.record.search_dataset for run in runs)
    try:
        found = find_table(path, datasets[0] if datasets else None)
    except NbevalError:
        if path is not None:
            raise
        return None
    return Table.open(found)
