"""``nbeval table``: check and query the benchmark table. What is defined here loads no torch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click
import numpy as np

from nasbench_eval.cell import Cell, parse_cell
from nasbench_eval.errors import NbevalError, UsageError, unknown
from nasbench_eval.table import Table, find_table
from nasbench_eval.table.schema import MEAN, Key
from runners.cli.analysis import PICTURES
from runners.cli.options import names
from runners.cli.path_type import PathType
from runners.cli.table_make import build, fetch, import_, table_option
from runners.cli.table_train import train

_SHOWN = 5
"""Number of cells that ``whois`` prints of each column."""


@click.group()
def table() -> None:
    """Make, check and query the benchmark table."""


for _command in (import_, build, fetch, train):
    table.add_command(_command)


@table.command()
@click.option("--against", type=PathType(), help="Also compare with this table.")
@click.option(
    "--tolerance",
    type=float,
    default=0.001,
    show_default=True,
    help="By how much values of two tables may differ, in the unit of each column.",
)
@click.option(
    "--top", type=click.IntRange(min=1), default=10, show_default=True, help="Number of lines to show per check."
)
@table_option
def verify(against: Path | None, tolerance: float, top: int, table_path: Path | None) -> None:
    """Check the table; the exit code is 1 if it is unsound.

    Checks cells, ranges, means, known optima, trials, provenance and content.
    """
    from nasbench_eval.table.verify import verify as run_checks

    if not 0 <= tolerance < math.inf:
        raise UsageError(f"--tolerance is a number from 0; got {tolerance}")
    opened = Table.open(find_table(table_path))
    wrong = 0
    for check in run_checks(opened):
        click.echo(f"{'bad' if check.problems else 'ok':4} {check.name}: {check.detail}")
        for problem in check.problems[:top]:
            click.echo(f"     {problem}")
        if len(check.problems) > top:
            click.echo(f"     and {len(check.problems) - top} more like it (--top shows more)")
        for note in check.notes:
            click.echo(f"     note: {note}")
        wrong += len(check.problems)
    differing = _compare(opened, Table.open(find_table(against)), tolerance, top) if against is not None else 0
    if wrong or differing:
        found = [f"{wrong} problems" if wrong else "", f"{differing} columns differ" if differing else ""]
        raise NbevalError(f"{opened.path}: {' and '.join(filter(None, found))}")


@table.command()
@table_option
def info(table_path: Path | None) -> None:
    """Print what the table holds and where it came from."""
    opened = Table.open(find_table(table_path))
    metadata = opened.metadata
    click.echo(f"{opened.path}\n{metadata.name}, schema {metadata.schema}, written {metadata.created}")
    click.echo(f"content {metadata.content_hash}")
    for name, value in metadata.source.items():
        click.echo(f"source {name}: {value}")
    rows = []
    for key in sorted({key._replace(trial=MEAN) for key in opened.keys}, key=_display_order(opened)):
        values = opened.values(key)
        known = int(np.sum(~np.isnan(values)))
        span = f"{np.nanmin(values):.4g} to {np.nanmax(values):.4g}" if known else ""
        rows.append([*_key_words(key), f"{known:,}", span, _trials(opened, key)])
    click.echo()
    click.echo(_format(rows, ["data set", "epochs", "split", "metric", "cells", "range", "trials (cells)"]))
    click.echo()
    splits = {(key.dataset, key.split) for key in opened.keys}
    rows = [
        [dataset, split, *words]
        for dataset in opened.datasets
        for split, words in metadata.splits.get(dataset, {}).items()
        if (dataset, split) in splits
    ]
    click.echo(_format(rows, ["data set", "split", "trained on", "evaluated on"]))


@table.command()
@click.argument("cells", metavar="[ARCH|INDEX]...", nargs=-1)
@click.option("--cells-from", type=PathType(), help="A text file of more cells, one a line; - is stdin.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "csv"]),
    help="csv has one row per cell, and the columns of the table.  [default: text for one cell, csv for several]",
)
@click.option("--dataset", help="Only this data set.")
@click.option("--split", help="Only this split.")
@click.option("--epochs", type=int, help="Only this schedule.")
@click.option("--trial", type=int, help="Only the trial with this seed, instead of the mean and all trials.")
@click.option("--curve", is_flag=True, help="Print accuracy and loss after each epoch, as csv.")
@table_option
def query(
    cells: tuple[str, ...],
    cells_from: Path | None,
    form: str | None,
    dataset: str | None,
    split: str | None,
    epochs: int | None,
    trial: int | None,
    curve: bool,
    table_path: Path | None,
) -> None:
    """Print what the table knows about cells.

    A cell is given by its architecture string or its official index.

    \b
        nbeval table query 6111
        nbeval table query 6111 9930 857 --dataset cifar10 --epochs 200 > cells.csv
        nbeval table query --cells-from cells.txt --split test > cells.csv
    """  # noqa: D301 - click reads the control character: keep these lines as they are
    asked = [*map(parse_cell, cells), *(_cells_in(cells_from) if cells_from is not None else [])]
    if not asked:
        raise UsageError("which cell? Give architecture strings or indices, or a file of them with --cells-from")
    opened = Table.open(find_table(table_path, dataset))
    if curve:
        if len(asked) > 1 or form == "text":
            raise UsageError("--curve prints the curve of one cell, as csv")
        if dataset is None or split is None or epochs is None:
            raise UsageError("--curve needs --dataset, --split and --epochs")
        accuracy, loss = (
            opened.curve(asked[0], dataset, split, epochs=epochs, metric=metric, trial=trial)
            for metric in ("accuracy", "loss")
        )
        click.echo("epoch,accuracy,loss")
        for epoch, values in enumerate(zip(accuracy, loss, strict=True), start=1):
            click.echo(",".join([str(epoch), *("" if np.isnan(v) else f"{v:.6g}" for v in values)]))
        return
    keys = [
        key
        for key in opened.keys
        if dataset in (None, key.dataset)
        and (split in (None, key.split))
        and (epochs in (None, key.epochs))
        and (trial is None or key.trial == str(trial))
    ]
    if not keys:
        options = {"dataset": dataset, "split": split, "epochs": epochs, "trial": trial}
        words = ", ".join(f"--{name} {value}" for name, value in options.items() if value is not None)
        if dataset is not None and dataset not in opened.datasets:
            raise unknown("data set in the table", dataset, opened.datasets)
        hint = opened.hint(dataset, split, epochs) or "`nbeval table info` lists what it has"
        raise NbevalError(f"the table has no column with {words}: {hint}")
    keys.sort(key=_display_order(opened))
    if form == "csv" or (form is None and len(asked) > 1):
        _print_csv(opened, asked, keys)
        return
    for number, cell in enumerate(asked):
        if number:
            click.echo()
        _print_cell(opened, cell, keys)


@table.command()
@click.option("--dataset", help="Only this data set.  [default: all]")
@click.option("--split", default="test", show_default=True)
@click.option("--epochs", type=int, help="Length of the schedule.  [default: the longest]")
@click.option("--top", type=click.IntRange(min=1), default=1, show_default=True, help="Number of cells.")
@table_option
def best(dataset: str | None, split: str, epochs: int | None, top: int, table_path: Path | None) -> None:
    """Print the cells with the highest mean accuracy."""
    opened = Table.open(find_table(table_path, dataset))
    rows = [
        [name, f"{accuracy:.3f}", cell.index, str(cell)]
        for name in ([dataset] if dataset is not None else opened.tested if split == "test" else opened.datasets)
        for cell, accuracy in opened.top(name, split, count=top, epochs=epochs)
    ]
    click.echo(_format(rows, ["data set", f"{split} accuracy", "index", "cell"]))


@table.command()
@click.option("--published", is_flag=True, help="Also the share of cells that beats each published mean.")
@click.option("--draw", "picture", metavar="FILE", type=PathType(), help="Draw it: .png, .pdf or .svg.")
@table_option
def summary(published: bool, picture: Path | None, table_path: Path | None) -> None:
    """Print statistics of the whole space: accuracies, noise, cells near the optimum, correlation of data sets.

    Accuracies are true ones: test, after the longest schedule, means over trials.
    """
    from nasbench_eval.analysis import space

    if picture is not None and picture.suffix[1:] not in PICTURES:
        endings = ", ".join(f".{name}" for name in PICTURES)
        raise UsageError(f"the name of the picture must end in one of {endings}; got {picture}")
    opened = Table.open(find_table(table_path))
    frame = space.true_accuracies(opened)
    found = space.distribution(frame)
    rows = [
        [name, *(f"{value:.2f}" for value in row[:-1]), str(int(row[-1]))]
        for name, row in zip(found.index, found.to_numpy(), strict=True)
    ]
    click.echo("test accuracy of all cells in percent: quantiles, the best, and its cell")
    click.echo(_format(rows, ["data set", *found.columns]))
    near = space.near_optimum(opened, frame)
    rows = [
        [name, row["split"], _number(row["noise"]), f"{row['cells']:,}", f"{row['outside_best']:.2f}"]
        if row["split"]
        else [name, "no trials", "-", "-", "-"]
        for name, row in near.iterrows()
    ]
    click.echo("\nnoise: standard deviation between trainings of one cell, and the cells within it of the best one")
    click.echo(_format(rows, ["data set", "trials of", "noise", "cells within", "the next is below the best by"]))
    click.echo("\nrank correlation (Spearman) between data sets over all cells")
    matrix = space.correlation(frame)
    rows = [
        [name, *(f"{value:.3f}" for value in row)] for name, row in zip(matrix.index, matrix.to_numpy(), strict=True)
    ]
    click.echo(_format(rows, ["", *matrix.columns]))
    if published:
        shares = space.published_shares(frame)
        click.echo("\npublished means: the share of all cells that is better, and the distance to the best one")
        rows = [
            [
                r["title"],
                f"{r['protocol']}, {r['search_dataset']}",
                r["dataset"],
                f"{r['mean']:.2f}",
                f"{r['better']:.1f} %",
                f"{r['to_optimum']:.2f}",
            ]
            for r in shares.to_dict("records")
        ]
        click.echo(_format(rows, ["method", "search", "data set", "mean", "cells better", "below best"]))
    if picture is not None:
        from nasbench_eval.analysis.figures.space import draw_space

        draw_space(opened, picture)
        click.echo(f"\n{picture}")


@table.command()
@click.argument("accuracies", metavar="ACCURACY...", nargs=-1, required=True)
@click.option(
    "--dataset", "datasets", help="Data sets of the accuracies, comma-separated.  [default: those of the table]"
)
@click.option("--trials", is_flag=True, help="Look at single trials too, not only at means.")
@table_option
def whois(accuracies: tuple[str, ...], datasets: str | None, trials: bool, table_path: Path | None) -> None:
    """Print the cells that have these accuracies: which cell is behind a published number?

    Accuracies are in percent, as printed: 94.36 stands for every value that rounds to it. They are those of the data
    sets of the table, in its order; a single one may be of any. The exit code is 1 if no cell has them.

    \b
        nbeval table whois 94.36 73.51 46.34
        nbeval table whois 71.04 --dataset cifar100
    """  # noqa: D301 - click reads the control character: keep these lines as they are
    from nasbench_eval.table.whois import nearest
    from nasbench_eval.table.whois import whois as find

    named = names((datasets or "",))
    opened = Table.open(find_table(table_path, named[0] if named else None))
    for name in named:
        if name not in opened.datasets:
            raise unknown("data set in the table", name, opened.datasets)
    matches = find(opened, accuracies, named, trials=trials)
    for match in matches:
        trial = "mean over trials" if match.trial == MEAN else f"trial {match.trial}"
        count = f"{len(match.cells)} cells" if len(match.cells) > 1 else "one cell"
        click.echo(f"{', '.join(match.datasets)}: {match.split} after {match.epochs} epochs, {trial}: {count}")
        for cell in match.cells[:_SHOWN]:
            click.echo(f"  {cell.index:5} {cell}")
        if len(match.cells) > _SHOWN:
            click.echo(f"  and {len(match.cells) - _SHOWN} more")
    if not matches:
        near = ""
        if len(accuracies) > 1 or named:
            cell, gap = nearest(opened, accuracies, named or opened.datasets[: len(accuracies)])
            near = f"; the nearest true accuracies are those of cell {cell.index}, {gap:.2f} away at most"
        raise NbevalError(f"no cell of the table has {' / '.join(accuracies)}{near}")


def _cells_in(path: Path) -> list[Cell]:
    """Read a file of cells: one per line, blank lines and lines that begin with # left out."""
    try:
        with click.open_file(str(path), encoding="utf-8-sig") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the cells in {path}: {getattr(error, 'strerror', None) or error}") from None
    cells = []
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.strip().startswith("#"):
            try:
                cells.append(parse_cell(line))
            except UsageError as error:
                raise UsageError(f"{path}, line {number}: {error}") from None
    return cells


def _print_csv(opened: Table, cells: list[Cell], keys: list[Key]) -> None:
    """Print one row per cell; a value that was not run is empty."""
    columns = [opened.values(key) for key in keys]
    click.echo(",".join(["index", "arch", *map(str, keys)]))
    for cell in cells:
        values = [column[cell.index] for column in columns]
        # The shortest text that reads back as the same float32.
        texts = ["" if np.isnan(value) else np.format_float_positional(value, trim="-") for value in values]
        click.echo(",".join([str(cell.index), str(cell), *texts]))


def _print_cell(opened: Table, chosen: Cell, keys: list[Key]) -> None:
    """Print the values of one cell as a table for reading."""
    groups: dict[Key, dict[str, float]] = {}
    for key in keys:
        value = float(opened.values(key)[chosen.index])
        groups.setdefault(key._replace(trial=MEAN), {})[key.trial] = value
    click.echo(f"cell {chosen.index}  {chosen}")
    click.echo()
    rows = [
        [
            *_key_words(key),
            _number(values.get(MEAN)),
            "  ".join(f"{seed}: {_number(value)}" for seed, value in values.items() if seed != MEAN),
        ]
        for key, values in groups.items()
    ]
    click.echo(_format(rows, ["data set", "epochs", "split", "metric", "mean", "trials"]))


def _compare(opened: Table, other: Table, tolerance: float, top: int) -> int:
    """Print the largest differences, and return the number of columns that differ."""
    from nasbench_eval.table.verify import compare

    differences = compare(opened, other, tolerance=tolerance)
    if not differences:
        raise NbevalError(f"{opened.path} and {other.path} have no column in common: there is nothing to compare")
    rows = [
        [str(d.key), _number(d.largest), d.index, *map(_number, d.values), f"{d.cells:,}", f"{d.lone:,}"]
        for d in differences[:top]
    ]
    both = len(differences)
    click.echo()
    click.echo(
        f"against {other.path}: {both} columns in both, {len(opened.keys) - both} only here, "
        f"{len(other.keys) - both} only there; the largest differences:"
    )
    headers = ["column", "difference", "cell", "here", "there", "cells that differ", "cells in one only"]
    click.echo(_format(rows, headers))
    return sum(difference.cells > 0 or difference.lone > 0 for difference in differences)


def _display_order(opened: Table) -> Any:
    """Return a sort key: data sets in the order of the table, costs of the network first, then by schedule."""
    datasets = opened.datasets
    return lambda key: (
        datasets.index(key.dataset),
        key.epochs or 0,
        key.split,
        key.metric,
        key.trial != MEAN,
        key.trial,
    )


def _key_words(key: Key) -> list[str]:
    return [key.dataset, "" if key.epochs is None else str(key.epochs), key.split.strip("-"), key.metric]


def _trials(opened: Table, key: Key) -> str:
    trials = [other for other in opened.keys if other._replace(trial=MEAN) == key and other.trial != MEAN]
    return " ".join(f"{other.trial} ({int(np.sum(~np.isnan(opened.values(other)))):,})" for other in sorted(trials))


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return "not run" if np.isnan(value) else f"{value:.6g}"


def _format(rows: list[list[Any]], headers: list[str]) -> str:
    from tabulate import tabulate

    return tabulate(rows, headers, tablefmt="simple", disable_numparse=True)
