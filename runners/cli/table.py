"""``nbeval table``: make the benchmark table, look at it, ask it. Loads no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from nasbench_eval.cell import N_CELLS, parse_cell
from nasbench_eval.errors import NbevalError
from nasbench_eval.table import Table, find_table
from nasbench_eval.table.locate import default_path
from nasbench_eval.table.schema import MEAN, Key

table_option = click.option(
    "--table",
    "table_path",
    type=click.Path(path_type=Path),
    help="The table file.  [default: NBEVAL_TABLE, else the user cache folder]",
)


@click.group()
def table() -> None:
    """Make, check and query the benchmark table."""


@table.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--mapping",
    type=click.Path(path_type=Path),
    help="TOML that names the file's columns.  [default: the shipped one that fits]",
)
@table_option
def import_(file: Path, mapping: Path | None, table_path: Path | None) -> None:
    """Make the table from a csv or Parquet FILE with one row a cell."""
    from nasbench_eval.table.flat import import_flat

    saved = import_flat(file, mapping).save(table_path or default_path())
    click.echo(
        f"wrote {saved.path}: {N_CELLS:,} cells, {len(saved.keys)} columns, {', '.join(saved.datasets)}"
    )
    for dataset in saved.datasets:
        if Key(dataset, 200, "test", "accuracy") in saved.keys:
            cell, accuracy = saved.best(dataset)
            click.echo(f"  {dataset}: best test accuracy {accuracy:.3f}, cell {cell.index}")


@table.command()
@table_option
def info(table_path: Path | None) -> None:
    """Say what the table holds and where it came from."""
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
        trained, evaluated = metadata.splits.get(key.dataset, {}).get(key.split, ("", ""))
        rows.append([*_key_words(key), f"{known:,}", span, _trials(opened, key), trained, evaluated])
    click.echo()
    click.echo(
        _format(
            rows,
            [
                "data set",
                "epochs",
                "split",
                "metric",
                "cells",
                "range",
                "trials",
                "trained on",
                "evaluated on",
            ],
        )
    )


@table.command()
@click.argument("cell", metavar="ARCH|INDEX")
@click.option("--dataset", help="Only this data set.")
@click.option("--split", help="Only this split.")
@click.option("--epochs", type=int, help="Only this schedule.")
@click.option("--trial", type=int, help="Only this trial's seed, instead of the mean and all trials.")
@table_option
def query(
    cell: str,
    dataset: str | None,
    split: str | None,
    epochs: int | None,
    trial: int | None,
    table_path: Path | None,
) -> None:
    """Print what the table knows of one cell, an architecture string or an official index."""
    opened = Table.open(find_table(table_path))
    chosen = parse_cell(cell)
    keys = [
        key
        for key in opened.keys
        if dataset in (None, key.dataset)
        and (split in (None, key.split))
        and (epochs in (None, key.epochs))
        and (trial is None or key.trial == str(trial))
    ]
    if not keys:
        asked = {"dataset": dataset, "split": split, "epochs": epochs, "trial": trial}
        words = ", ".join(f"--{name} {value}" for name, value in asked.items() if value is not None)
        raise NbevalError(f"the table has no column with {words}: `nbeval table info` lists what it has")
    groups: dict[Key, dict[str, float]] = {}
    for key in sorted(keys, key=_display_order(opened)):
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


@table.command()
@click.option("--dataset", help="Only this data set.  [default: all]")
@click.option("--split", default="test", show_default=True)
@click.option("--epochs", type=int, default=200, show_default=True)
@click.option("--top", type=click.IntRange(min=1), default=1, show_default=True, help="How many cells.")
@table_option
def best(dataset: str | None, split: str, epochs: int, top: int, table_path: Path | None) -> None:
    """Print the cells of highest mean accuracy."""
    opened = Table.open(find_table(table_path))
    rows = [
        [name, accuracy, cell.index, str(cell)]
        for name in ([dataset] if dataset is not None else opened.datasets)
        for cell, accuracy in opened.top(name, split, count=top, epochs=epochs)
    ]
    click.echo(_format(rows, ["data set", f"{split} accuracy", "index", "cell"], floats=".3f"))


def _display_order(opened: Table) -> Any:
    """Sort key: data sets as the table has them, costs of the network first, then by schedule."""
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
    return " ".join(
        f"{other.trial} ({int(np.sum(~np.isnan(opened.values(other)))):,})" for other in sorted(trials)
    )


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return "not run" if np.isnan(value) else f"{value:.6g}"


def _format(rows: list[list[Any]], headers: list[str], floats: str = "g") -> str:
    from tabulate import tabulate

    return tabulate(rows, headers, tablefmt="simple", floatfmt=floats, disable_numparse=[0, 1, 2])
