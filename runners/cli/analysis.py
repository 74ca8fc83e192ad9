"""``nbeval compare`` and ``nbeval plot``: from run files to tables and figures."""

from __future__ import annotations

from pathlib import Path

import click

from nasbench_eval.errors import NbevalError, UsageError, unknown

RESULTS = Path("results/runs")
PICTURES = ("png", "pdf", "svg")

_results = click.option(
    "--results",
    "folders",
    multiple=True,
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"What `nbeval run --results` wrote to, or a folder below it; may be repeated.  [default: {RESULTS}]",
)
_datasets = click.option(
    "--dataset",
    "datasets",
    multiple=True,
    metavar="NAME[,NAME]",
    help="Show only the accuracies on these data sets.  [default: all that the runs know]",
)


def names(values: tuple[str, ...]) -> list[str]:
    """Return the names in comma-separated lists."""
    return [name.strip() for value in values for name in value.split(",") if name.strip()]


def picture_formats(text: str) -> list[str]:
    """Return the picture formats of a comma-separated list.

    Raises:
        UsageError: If there is none, or one is not known.
    """
    wanted = names((text,))
    if bad := [name for name in wanted if name not in PICTURES]:
        raise unknown("picture format", bad[0], PICTURES)
    if not wanted:
        raise UsageError(f"--format needs at least one of {', '.join(PICTURES)}")
    return wanted


def _nothing_in(folders: tuple[Path, ...]) -> str:
    return f"no complete run under {', '.join(map(str, folders))}"


@click.command(short_help="Compare methods over seeds, beside the published values.")
@_results
@_datasets
@click.option(
    "--protocol",
    type=click.Choice(["transfer", "direct"]),
    help="Only searches on one data set whose cell is looked up on all, or only a search on each data set.",
)
@click.option(
    "--format",
    "how",
    type=click.Choice(["text", "markdown", "latex", "csv"]),
    default="text",
    show_default=True,
)
@click.option(
    "--ddof",
    type=click.IntRange(0, 1),
    default=1,
    show_default=True,
    help="1: sample standard deviation over seeds. 0: the population's, as GAEA reports it.",
)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to this file instead of the terminal.",
)
def compare(
    folders: tuple[Path, ...],
    datasets: tuple[str, ...],
    protocol: str | None,
    how: str,
    ddof: int,
    output: Path | None,
) -> None:
    """Compare methods: true test accuracy (mean ± std over seeds), search cost, published value, optimum.

    Rows are methods, columns the data sets on which the found cells were looked up. The csv has one row a
    method and data set with everything known, also each seed's value and the 95 % t interval of the mean.
    """
    from nasbench_eval.analysis.tables import render, report, write_text
    from nasbench_eval.runs.store import load_runs

    folders = folders or (RESULTS,)
    runs = load_runs(folders)
    if not runs:
        raise NbevalError(f"{_nothing_in(folders)}: make some with `nbeval run`")
    text = render(report(runs, ddof=ddof, datasets=names(datasets), protocol=protocol), how)
    if output is None:
        click.echo(text, nl=False)
    else:
        write_text(output, text)
        click.echo(str(output))


@click.command(short_help="Draw the figures: png, pdf, and the numbers behind them as csv.")
@click.argument("figures", nargs=-1, metavar="[FIGURE]...")
@_results
@_datasets
@click.option(
    "--plots",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
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
    figures: tuple[str, ...], folders: tuple[Path, ...], datasets: tuple[str, ...], folder: Path, formats: str
) -> None:
    """Draw FIGUREs, or all that the results allow, and print the paths written.

    \b
    figure5     accuracies of all methods beside the optimum; published numbers where nothing was measured
    curves      true test accuracy of the current cell over epochs, each seed a line
    entropy     mean entropy of the edges' operation weights over epochs
    gap         by how much rounding to the derived cell raises the supernet's loss, over epochs
    operations  how many edges of the current cell have each operation, over epochs
    rank        shared-weight accuracy against true test accuracy of sampled cells, where `nbeval rank` scored them
    anytime     true test accuracy of the incumbent over simulated seconds, searches in the table
    """  # noqa: D301 - click reads the control character: keep these lines as they are
    wanted = picture_formats(formats)

    from nasbench_eval.analysis.figures import FIGURES, NothingToDraw, draw
    from nasbench_eval.analysis.labels import distinct_runs
    from nasbench_eval.runs.store import load_runs

    for name in figures:
        if name not in FIGURES:
            raise unknown("figure", name, list(FIGURES))
    # Without results the published numbers alone make a figure; a folder that was named has to be there.
    runs, notes = distinct_runs(load_runs(folders or ((RESULTS,) if RESULTS.is_dir() else ())))
    if not runs:
        notes.append(f"{_nothing_in(folders or (RESULTS,))}: published numbers only")
    for note in notes:
        click.echo(f"nbeval: {note}", err=True)
    for name in figures or FIGURES:
        try:
            for path in draw(name, runs, folder, wanted, names(datasets)):
                click.echo(str(path))
        except NothingToDraw as error:
            if figures:
                raise
            click.echo(f"nbeval: no figure {name}: {error}", err=True)
