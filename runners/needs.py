"""What searches need from elsewhere, the benchmark table and images: what is missing, and getting it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nasbench_eval.errors import NbevalError
from nasbench_eval.images.catalogue import LAYOUTS, find_images, how_to_get
from nasbench_eval.images.splits import OFFICIAL, chosen_split, find_split
from nasbench_eval.table.locate import EMBEDDED, default_path, output_path
from nasbench_eval.utils.paths import exists
from runners.context import Inputs
from runners.spec import RunSpec


@dataclass(frozen=True)
class Missing:
    """What is not on this machine.

    Attributes:
        table: Whether the benchmark table is missing.
        images: The data sets whose images are missing.
        splits: The data sets whose official split file is missing.
    """

    table: bool = False
    images: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()

    @property
    def by_hand(self) -> list[str]:
        """The data sets among them that have no public download."""
        return [name for name in self.images if not LAYOUTS[name].url]

    @property
    def words(self) -> list[str]:
        """Each missing thing, with its size where it can be downloaded."""
        found = ["the benchmark table (8 MB)"] if self.table else []
        for name in self.images:
            size = how_to_get(name) if name in self.by_hand else f"{LAYOUTS[name].megabytes} MB"
            found.append(f"the images of {name} ({size})")
        return found + ([f"the official halves of {' and '.join(self.splits)} (under 1 MB)"] if self.splits else [])


def missing_for(specs: Iterable[RunSpec], inputs: Inputs) -> Missing:
    """Return what some runs need and this machine lacks; what the user named is not looked for elsewhere."""
    specs = list(specs)
    known = {spec.search_dataset for spec in specs if inputs.truth == "table" or spec.is_tabular} - EMBEDDED.keys()
    searched = dict.fromkeys(spec.search_dataset for spec in specs if not spec.is_tabular)
    table = bool(known) and inputs.table is None
    return missing(searched, data=inputs.data, table=table, split_file=inputs.split_file)


def missing(
    names: Iterable[str], *, data: Path | None = None, table: bool = True, split_file: Path | None = None
) -> Missing:
    """Return which images and official split files are missing.

    With ``table`` also whether the table is where it is looked for by default.
    """
    known = [name for name in names if name in LAYOUTS]
    images = tuple(name for name in known if not _found(find_images, name, data))
    official = [name for name in known if chosen_split(name, split_file) == OFFICIAL]
    splits = tuple(name for name in official if not _found(find_split, name, data))
    return Missing(table and not exists(default_path()), images, splits)


def _found(find: Callable[[str, Path | None], object], name: str, data: Path | None) -> bool:
    try:
        find(name, data)
    except NbevalError:
        return False
    return True


def require(found: Missing, names: Sequence[str]) -> None:
    """Raise one error if several things are missing; the error of a single one is better where it is met.

    Raises:
        NbevalError: It names all of them, and the one command that gets them.
    """
    if len(found.words) > 1:
        *first, last = found.words
        raise NbevalError(
            f"this machine lacks {', '.join(first)} and {last}: `nbeval fetch {' '.join(names)}` downloads what has a "
            "public address, and so does the same command with --fetch; or name yours with --table and --data"
        )


def fetch(found: Missing, *, data: Path | None, progress: bool, say: Callable[[str], None]) -> None:
    """Download what is missing, one after the other.

    Args:
        found: What is missing.
        data: Where images go; None: ``default_root``.
        progress: Whether to show progress bars on stderr.
        say: Called with one sentence for each thing.

    Raises:
        NbevalError: If a transfer fails or a file cannot be written; what was complete is kept.
    """
    from nasbench_eval.images.download import fetch_images, fetch_splits
    from nasbench_eval.table.sources.public import fetch_table

    for name in found.by_hand:
        say(f"{name}: {how_to_get(name)}")
    if found.table:
        table = fetch_table(output_path(None), progress=progress)
        say(f"the benchmark table: now {table.path}, from public files; `nbeval table info` says where they are from")
    if found.splits:
        folders = dict.fromkeys(str(file.path.parent) for file in fetch_splits(data, progress=progress) if file.new)
        say(f"the official halves of the images: now in {', '.join(folders)}")
    for name in found.images:
        if name not in found.by_hand:
            say(f"{name}: now in {fetch_images(name, data, progress=progress).path}")
