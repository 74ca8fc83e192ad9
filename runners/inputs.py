"""From what a user asks for to specs and a context that can run: the same for ``nbeval run`` and ``nbeval.search``."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasbench_eval.errors import UsageError, unknown
from nasbench_eval.images.catalogue import DATASETS
from nasbench_eval.table import Table, find_table
from nasbench_eval.utils.files import sha256_of
from runners import tabular
from runners.context import Inputs, RunContext
from runners.lookup import TableLookup, require_known
from runners.presets import load_preset, load_scale, method_names, scaled
from runners.spec import RunSpec

if TYPE_CHECKING:
    from nasbench_eval.images import ImageData
    from nasbench_eval.training.recipes import TrainingSettings


def make_specs(
    methods: str, datasets: str, seeds: Sequence[int], overrides: Mapping[str, Any], inputs: Inputs
) -> list[RunSpec]:
    """Return a spec for every combination of method, data set and seed.

    Args:
        methods: Comma-separated names, or ``all``: then tabular methods only if the table is the truth.
        datasets: Comma-separated names, or ``all``.
        seeds: The seeds.
        overrides: Settings to change.
        inputs: The rest of what the user gave; its scale and its split file are part of a spec.

    Raises:
        UsageError: If a name is unknown or a list is empty.
    """
    load_scale(inputs.scale)
    presets = [load_preset(name) for name in _listed("method", methods, method_names())]
    where = _listed("data set", datasets, list(DATASETS))
    for name in where:
        if name not in DATASETS:
            raise unknown("data set", name, DATASETS)
    names = list(dict.fromkeys(preset.name for preset in presets))
    split = split_hash(inputs.split_file)
    specs = [
        RunSpec(method, dataset, seed, inputs.scale, overrides, split)
        for method, dataset, seed in itertools.product(names, where, seeds)
    ]
    if methods == "all" and inputs.truth != "table":
        specs = [spec for spec in specs if not spec.is_tabular]
    return specs


def _listed(kind: str, text: str, known: list[str]) -> list[str]:
    names = known if text == "all" else [part.strip() for part in text.split(",") if part.strip()]
    if not names:
        raise UsageError(f"no {kind} given: known are {', '.join(known)}")
    return list(dict.fromkeys(names))


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
    """Return a function that loads a data set by name, each only once."""

    @cache
    def images(name: str) -> ImageData:
        from nasbench_eval.images import load_images

        return load_images(name, root=data, split_file=split_file)

    return images


def prepare(specs: Sequence[RunSpec], inputs: Inputs) -> RunContext:
    """Return the context of some runs, after checking everything that can be checked before the first one starts.

    Raises:
        NbevalError: If a table is missing, or lacks what a search needs.
        UsageError: If a setting, the device, the table or the truth do not fit.
    """
    for spec in specs:
        _ = spec.run_id  # checks every setting
    if inputs.truth != "table" and inputs.table is not None:
        raise UsageError(f"--table has no effect with --truth {inputs.truth}")
    device = "cpu"
    if not all(spec.is_tabular for spec in specs):
        from runners.device import resolve_device

        device = resolve_device(inputs.device)
    context = RunContext(
        results_dir=inputs.results_dir,
        images=image_loader(inputs.data, inputs.split_file),
        device=device,
        tables=_tables(specs, inputs.table) if inputs.truth == "table" else {},
        training=_training(inputs.scale) if inputs.truth == "train" else None,
        workers=inputs.workers,
    )
    for spec in {spec.variant_id: spec for spec in specs if spec.is_tabular}.values():
        tabular.check(spec, context)
    return context


def _tables(specs: Iterable[RunSpec], table: Table | Path | None) -> dict[str, TableLookup]:
    found: dict[str, TableLookup] = {}
    for spec in specs:
        name = spec.search_dataset
        if name not in found:
            found[name] = TableLookup(table if isinstance(table, Table) else open_table(find_table(table, name)))
        if not spec.is_tabular:
            require_known(found[name], [name])
    return found


def open_table(path: Path) -> Table:
    """Open a table; an unchanged file is opened once per process."""
    return _open_table(path, path.stat().st_mtime_ns if path.is_file() else 0)


@cache
def _open_table(path: Path, changed: int) -> Table:
    return Table.open(path)


def _training(scale: str) -> TrainingSettings:
    from nasbench_eval.settings import build_settings
    from nasbench_eval.training.recipes import TrainingSettings

    return build_settings(TrainingSettings, scaled(vars(TrainingSettings()), scale, "truth"), owner="--truth train")
