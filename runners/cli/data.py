"""``nbeval data``: find and download image data sets."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from nasbench_eval.errors import NbevalError, unknown
from runners.cli.path_type import PathType

SPLITS = "splits"
"""What ``nbeval data fetch`` calls the official split files."""

_FOLDER = PathType(file_okay=False)


@click.group()
def data() -> None:
    """Find and download image data sets."""


@data.command()
@click.argument("names", nargs=-1, required=True, metavar="cifar10|cifar100|splits|all...")
@click.option(
    "--data", "root", type=_FOLDER, help="Folder to put them in.  [default: NBEVAL_DATA, else the user cache folder]"
)
def fetch(names: tuple[str, ...], root: Path | None) -> None:
    """Download the official archives, check their hashes and unpack them; what is already there is kept.

    `splits` are the official split files of NAS-Bench-201, for --split official. `all` is everything that has a public
    download, and says what has none.
    """
    from nasbench_eval.images.catalogue import DATASETS, LAYOUTS, how_to_get
    from nasbench_eval.images.download import Fetched, fetch_images, fetch_splits

    known = [*DATASETS, SPLITS]
    for name in names:
        if name not in [*known, "all"]:  # before the first of them is downloaded
            raise unknown("data set", name, [*known, "all"])
    progress = sys.stderr.isatty()

    def say(what: str, found: Fetched) -> None:
        click.echo(f"{what}: {'now' if found.new else 'already there,'} in {found.path}")

    if "all" in names:
        names = (SPLITS, *(name for name, layout in LAYOUTS.items() if layout.url))
        for name in LAYOUTS.keys() - set(names):
            click.echo(f"{name}: {how_to_get(name)}")
    for name in names:
        if name == SPLITS:
            for found in fetch_splits(root, progress=progress):
                say(found.path.name, found._replace(path=found.path.parent))
        else:
            say(name, fetch_images(name, root, progress=progress))


@click.command("fetch", short_help="Download what searches need: the table and the images.")
@click.argument("names", nargs=-1, required=True, metavar="cifar10|cifar100|imagenet16-120...")
@click.option(
    "--data", "root", type=_FOLDER, help="Folder of the images.  [default: NBEVAL_DATA, else the user cache folder]"
)
def fetch_all(names: tuple[str, ...], root: Path | None) -> None:
    """Download what searches on these data sets need: the benchmark table and the images.

    What is already there is kept. `nbeval table fetch` and `nbeval data fetch` get one of them, with more options.
    """
    from nasbench_eval.images.catalogue import DATASETS
    from nasbench_eval.table.locate import EMBEDDED
    from runners.needs import fetch, missing

    for name in names:
        if name not in DATASETS:
            raise unknown("data set", name, DATASETS)
    found = missing(names, data=root, table=bool(set(names) - EMBEDDED.keys()))
    if not found.words:
        click.echo("everything is there already")
    fetch(found, data=root, progress=sys.stderr.isatty(), say=click.echo)


@data.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--data",
    "root",
    type=_FOLDER,
    help="Folder to search.  [default: NBEVAL_DATA, TORCH_HOME, the user cache folder]",
)
def info(names: tuple[str, ...], root: Path | None) -> None:
    """Read data sets (by default all) and print where they are, the sizes of their parts, or what is missing.

    The exit code is 1 if a data set given by NAME cannot be read.
    """
    from nasbench_eval.images import DATASETS

    for name in names:
        if name not in DATASETS:
            raise unknown("data set", name, DATASETS)
    bad = False
    for name in names or DATASETS:
        try:
            click.echo(_describe(name, root))
        except NbevalError as error:
            bad = True
            click.echo(str(error).replace("\n", "\n  "))
    if names and bad:
        sys.exit(1)


def _describe(name: str, root: Path | None) -> str:
    """Return two lines about a data set that can be read."""
    from nasbench_eval.images import load_images
    from nasbench_eval.images.catalogue import LAYOUTS, find_images
    from nasbench_eval.utils.files import shortened

    images = load_images(name, root=root)
    where = find_images(name, root).path if name in LAYOUTS else "scikit-learn"
    parts = ", ".join(f"{len(getattr(images, part)):,} {part}" for part in ("train", "valid", "test"))
    shape = "x".join(str(size) for size in images.train.pixels.shape[1:])
    return f"{name}: {where}\n  {parts}; {shape}, {images.classes} classes; {images.split}; {shortened(images.digest)}"
