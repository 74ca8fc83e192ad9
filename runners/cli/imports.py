"""``nbeval import``: final cells that other code found, beside the runs of nbeval. Needs no torch."""

from __future__ import annotations

from pathlib import Path

import click

from runners.cli.options import TABLE_DEFAULT
from runners.cli.path_type import PathType
from runners.imports import NOT_STATED


@click.command(name="import", short_help="Compare final cells that other code found.")
@click.argument("cells", type=PathType(dir_okay=False))
@click.option("--name", required=True, help="A short name of the method; results call it imported:NAME.")
@click.option("--dataset", required=True, help="The data set that was searched on.")
@click.option("--source", required=True, help="Where the cells come from: a paper, or a repository and its commit.")
@click.option("--title", default="", help="Its name in tables and figures.  [default: NAME]")
@click.option("--split", default=NOT_STATED, show_default=True, help="Which images trained weights and architecture.")
@click.option("--batch-norm", default=NOT_STATED, show_default=True, help="The BatchNorm mode of the supernet.")
@click.option("--device", default=NOT_STATED, show_default=True, help="What measured the cost.")
@click.option(
    "--reduced", multiple=True, metavar="TEXT", help="What is smaller than published: 'channels 16 -> 4'; repeatable."
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A hyperparameter to record; repeatable.")
@click.option("--table", "table_path", type=PathType(), help=f"The benchmark table.  {TABLE_DEFAULT}")
@click.option(
    "--results", "results_dir", type=PathType(), default=Path("results"), show_default=True, help="Results folder."
)
def import_(
    cells: Path,
    name: str,
    dataset: str,
    source: str,
    title: str,
    split: str,
    batch_norm: str,
    device: str,
    reduced: tuple[str, ...],
    settings: tuple[str, ...],
    table_path: Path | None,
    results_dir: Path,
) -> None:
    """Look up final cells that other code found, and put them beside the runs of nbeval.

    CELLS is a csv file with one row per search: a column `cell` (architecture string or official index) and, if known,
    `seed` and `search_seconds`. A list of one cell a line will do, too. Tables and figures mark these runs as imported:
    what nbeval cannot know of them is what you state here.

    \b
        nbeval import cells.csv --name my_nas --dataset cifar10 \\
            --source "github.com/me/my_nas, commit 1a2b3c4" --split "25,000 train, 25,000 architecture"
        nbeval compare --against imported:my_nas
    """  # noqa: D301 - click reads the control character: keep these lines as they are
    from nasbench_eval.cell import Cell
    from nasbench_eval.table import Table
    from nasbench_eval.table.locate import find_table
    from runners.imports import Origin, import_cells, read_cells
    from runners.lookup import TableLookup
    from runners.spec import parse_overrides

    stated = (split, batch_norm, device, reduced, parse_overrides(settings))
    origin = Origin(name, dataset, source, title, *stated)
    found = read_cells(cells)
    truth = TableLookup(Table.open(find_table(table_path, dataset)))
    results = import_cells(found, origin, truth, results_dir)
    new = sum(is_new for _, is_new in results)
    before = f", {len(results) - new} already there" if new < len(results) else ""
    click.echo(f"{results_dir / 'runs'}: {new} imported{before}")
    for run, _ in results:
        accuracies = ", ".join(f"{name} {accuracy:.2f}" for name, accuracy in run.test_acc.items())
        click.echo(f"  seed {run.record.seed}: cell {Cell.parse(run.steps['cell'].iloc[-1]).index}, {accuracies}")
