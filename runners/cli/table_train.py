"""``nbeval table train``: make a custom tabular benchmark."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nasbench_eval.errors import InUseError, UsageError
from nasbench_eval.utils.checks import parse_whole_number
from nasbench_eval.utils.processes import usable_cores
from runners.cli.path_type import PathType

if TYPE_CHECKING:
    from nasbench_eval.images import ImageData
    from nasbench_eval.training.records import Records


@click.command()
@click.option("--dataset", default="digits", show_default=True, help="A data set known to nbeval.")
@click.option(
    "--images",
    type=PathType(),
    help="Your own images: a folder with one folder per class, or an .npz with x_train, y_train, x_test, y_test.",
)
@click.option("--trials", default="3", show_default=True, help="A number of trials (3), or a list of seeds (0,3,7).")
@click.option("--cells", help="Only these cells: indices, comma-separated.  [default: all]")
@click.option("--workers", type=click.IntRange(min=1), help="Processes of one thread each.  [default: one per core]")
@click.option("--share", metavar="I/N", default="1/1", help="Train the Ith of N shares of the work, one per machine.")
@click.option("--out", type=PathType(), help="The table file.  [default: NAME-table.parquet here]")
@click.option("--merge", is_flag=True, help="Train nothing: merge the records beside the TABLES into --out.")
@click.option("--force", is_flag=True, help="Replace a fuller table, or a file that is no table.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting of the schedule.")
@click.argument("tables", nargs=-1, type=PathType())
def train(
    dataset: str,
    images: Path | None,
    trials: str,
    cells: str | None,
    workers: int | None,
    share: str,
    out: Path | None,
    merge: bool,
    force: bool,
    changes: tuple[str, ...],
    tables: tuple[Path, ...],
) -> None:
    """Train every distinct cell and make a table of the results.

    Of the cells that compute the same function, one is trained. After an interruption, the same command continues from
    the cells already trained. The table is written at the end; after Ctrl-C it holds the cells trained so far.

    \b
        nbeval table train --dataset digits --trials 3
        nbeval table train --images photos/ --trials 1 --out photos.parquet
        nbeval table train --share 1/2 --out a.parquet     # and 2/2 elsewhere, then
        nbeval table train --merge a.parquet b.parquet --out whole.parquet
    """  # noqa: D301 - click reads the control character: keep these lines as they are
    from nasbench_eval.table.replace import require_no_loss
    from nasbench_eval.table.sources.trained import require_none_diverged
    from nasbench_eval.training.records import Records, records_path

    if merge and not tables:
        raise UsageError("--merge needs the tables to merge: --merge A.parquet B.parquet")
    if tables and not merge:
        raise UsageError("tables are only given with --merge: --merge A.parquet B.parquet")
    if merge:
        if out is None:
            raise UsageError("--merge needs --out, the table to write")
        _merge([records_path(path) for path in tables], out, force)
        return
    from nasbench_eval.images.custom import data_set_name
    from nasbench_eval.settings import build_settings
    from nasbench_eval.training.recipes import Schedule
    from runners.spec import parse_overrides, parse_seeds
    from runners.train_table import train_cells

    load = functools.partial(_load, dataset, images)
    out = out or Path(f"{dataset if images is None else data_set_name(images)}-table.parquet")
    if images is not None and images.resolve() in out.resolve().parents:
        raise UsageError(f"{out} would be among the images in {images}: give --out with a place outside of that folder")
    path = records_path(out)
    if not force and not path.exists():  # hours before the table is written
        require_no_loss(out, cells=0)
    try:
        records = train_cells(
            load,
            build_settings(Schedule, parse_overrides(changes), owner="the schedule"),
            path,
            trials=parse_seeds(trials),
            cells=None if cells is None else _indices(cells),
            workers=workers or usable_cores(),
            share=_share(share),
        )
    except KeyboardInterrupt:
        if path.exists():
            _save(Records.read(path), out, force)
        raise
    _save(records, out, force)
    require_none_diverged(records)


def _merge(paths: list[Path], out: Path, force: bool) -> None:
    """Merge records into those of a table, and write both; trainings that are there already are kept."""
    from nasbench_eval.table.sources.trained import require_none_diverged
    from nasbench_eval.training.records import merge_records, records_path
    from runners.locks import Lock

    path = records_path(out)
    with Lock(path.parent, path.name, f"cells for {path}") as lock:
        if (owner := lock.take()) is not None:
            raise InUseError(f"{owner.words} is at work on {owner.what}: wait for it, or give another --out")
        records = merge_records([*([path] if path.exists() and path not in paths else []), *paths])
        _save(records, out, force)
        records.write(path)
    require_none_diverged(records)


def _load(dataset: str, images: Path | None) -> ImageData:
    from nasbench_eval.images import load_images
    from nasbench_eval.images.custom import load_custom_images

    if images is not None:
        return load_custom_images(images)
    return load_images(dataset)


def _save(records: Records, out: Path, force: bool) -> None:
    from nasbench_eval.table.sources.trained import trained_table, write_curves

    if not records.lines:
        return
    saved = trained_table(records).save(out, force=force)
    write_curves(records, saved)
    click.echo(f"wrote {out}: {saved.metadata.source['trained']}")
    click.echo(f"  {saved.metadata.source['seconds']}")
    if "diverged" in saved.metadata.source:
        click.echo(f"  diverged: {saved.metadata.source['diverged']}")


def _indices(text: str) -> list[int]:
    from nasbench_eval.cell import N_CELLS

    found = [index for part in text.split(",") if (index := parse_whole_number(part)) is not None and index < N_CELLS]
    if len(found) != text.count(",") + 1:
        raise UsageError(f"--cells is a list of cell indices, 0 to {N_CELLS - 1}; got {text!r}")
    return found


def _share(text: str) -> tuple[int, int]:
    first, _, second = text.partition("/")
    share, shares = parse_whole_number(first), parse_whole_number(second)
    if share is None or shares is None or not 1 <= share <= shares:
        raise UsageError(f"--share is I/N with I from 1 to N, such as 1/2; got {text!r}")
    return share, shares
