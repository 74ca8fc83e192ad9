"""From what a user asks for to specs that can run: the same for the command and for ``nbeval.api``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nasbench_eval.errors import UsageError
from nasbench_eval.table import Table, find_table
from nasbench_eval.utils.files import sha256_of
from runners.context import Environment
from runners.lookup import TableTruth, require_known
from runners.spec import RunSpec

if TYPE_CHECKING:
    from nasbench_eval.images import ImageData
    from nasbench_eval.training.recipes import TrainingSettings

Truth = Literal["table", "train", "none"]


def split_hash(split_file: Path | None) -> str:
    """Return what a spec remembers of an official split file; empty without one.

    Raises:
        UsageError: If there is no such file.
    """
    if split_file is None:
        return ""
    if not split_file.is_file():
        raise UsageError(f"--split-file {split_file}: there is no such file")
    return sha256_of(split_file)


def image_loader(data: Path | None, split_file: Path | None) -> Callable[[str], ImageData]:
    """Return a function that loads a data set by name, each once."""

    @cache
    def images_of(name: str) -> ImageData:
        from nasbench_eval.images import load_images

        return load_images(name, root=data, split_file=split_file)

    return images_of


def environments(
    specs: Sequence[RunSpec],
    results: Path,
    *,
    device: str = "auto",
    truth: Truth = "table",
    table: Table | Path | None = None,
    scale: str = "full",
    workers: int = 1,
) -> dict[str, Environment]:
    """Return where the specs run, by search data set, and find what keeps them from running before the first starts.

    Args:
        specs: All runs to come.
        results: The results folder.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:n``.
        truth: Where true accuracies come from.
        table: The benchmark table, or its path; None: where ``find_table`` finds the one of each data set.
        scale: What cuts the training of the final cell, for ``train``.
        workers: How many searches run side by side.

    Raises:
        NbevalError: If a table is missing, or lacks what a search needs.
        UsageError: If the device, the table or the truth do not fit.
    """
    for spec in specs:
        _ = spec.run_id  # every setting is checked
    if truth != "table" and table is not None:
        raise UsageError(f"--table is of no use with --truth {truth}")
    tables = _tables(specs, table) if truth == "table" else {}
    training = _training(scale) if truth == "train" else None
    where = "cpu"
    if any(spec.implementation.needs == "images" for spec in specs):
        from runners.device import resolve_device

        where = resolve_device(device)
    made = {
        name: Environment(results=results, device=where, table=tables.get(name), training=training, workers=workers)
        for name in dict.fromkeys(spec.search_dataset for spec in specs)
    }
    for spec in {spec.variant_id: spec for spec in specs if spec.implementation.needs == "table"}.values():
        from runners.tabular import check

        check(spec, made[spec.search_dataset])
    return made


def _tables(specs: Iterable[RunSpec], table: Table | Path | None) -> dict[str, TableTruth]:
    found: dict[str, TableTruth] = {}
    for spec in specs:
        name = spec.search_dataset
        if name not in found:
            found[name] = TableTruth(table if isinstance(table, Table) else opened(find_table(table, name)))
        if spec.implementation.needs == "images":
            require_known(found[name], [name])
    return found


def opened(path: Path) -> Table:
    """Open a table; the same file, unchanged, is opened once a process."""
    return _opened(path, path.stat().st_mtime_ns if path.is_file() else 0)


@cache
def _opened(path: Path, changed: int) -> Table:
    return Table.open(path)


def _training(scale: str) -> TrainingSettings:
    from nasbench_eval.settings import build_settings
    from nasbench_eval.training.recipes import TrainingSettings
    from runners.presets import scaled

    return build_settings(TrainingSettings, scaled(vars(TrainingSettings()), scale, "truth"), owner="--truth train")
