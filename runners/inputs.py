"""From what a user asks for to specs and a context that can run: the same for ``nbeval run`` and ``nbeval.search``."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasbench_eval.errors import NbevalError, UsageError, unknown
from nasbench_eval.images.catalogue import DATASETS
from nasbench_eval.images.splits import OFFICIAL, chosen_split, official_split
from nasbench_eval.official_names import name_hint
from nasbench_eval.table import Table, find_table
from nasbench_eval.table.locate import EMBEDDED
from nasbench_eval.utils.files import sha256_of
from nasbench_eval.utils.paths import children, is_dir, is_file, unreadable
from runners import tabular
from runners.context import TRUTHS, Inputs, RunContext
from runners.lookup import TableLookup, require_known
from runners.needs import missing_for, require
from runners.presets import Preset, load_preset, load_scale, method_names, scaled
from runners.spec import RunSpec
from runners.step_log import check_log
from runners.threads import share

if TYPE_CHECKING:
    from nasbench_eval.images import ImageData
    from nasbench_eval.training.recipes import TrainingSettings


def make_specs(
    methods: str, datasets: str, seeds: Sequence[int], overrides: Mapping[str, Any], inputs: Inputs
) -> tuple[list[RunSpec], list[str]]:
    """Return a spec for every combination of method, data set and seed, and what was left out.

    Args:
        methods: Comma-separated names, or ``all``: every method that can run with these inputs.
        datasets: Comma-separated names, or ``all``.
        seeds: The seeds.
        overrides: Settings to change.
        inputs: The rest of what the user gave; its scale and its split file are part of a spec.

    Returns:
        The specs, and for ``all`` one sentence for each reason to leave methods out.

    Raises:
        UsageError: If a name is unknown or a list is empty.
        NbevalError: If no method of ``all`` can run: what keeps the first one from running.
    """
    specs = all_specs(methods, datasets, seeds, overrides, inputs)
    if methods != "all":
        return specs, []
    kept, left_out = _runnable(specs, inputs)
    return kept, [*left_out, *_presets("all")[1]]


def all_specs(
    methods: str, datasets: str, seeds: Sequence[int], overrides: Mapping[str, Any], inputs: Inputs
) -> list[RunSpec]:
    """Return a spec for every combination, whether it can run or not; see :func:`make_specs`."""
    load_scale(inputs.scale)
    presets, _ = _presets(methods)
    where = _listed("data set", datasets, list(DATASETS))
    for name in where:
        if name not in DATASETS and inputs.table is None:  # a table of the user's may have others
            raise unknown("data set", name, DATASETS)
    names = list(dict.fromkeys(preset.name for preset in presets))
    splits = {name: split_hash(inputs.split_file, name) if name in DATASETS else "" for name in where}
    return [
        RunSpec(method, dataset, seed, inputs.scale, overrides, splits[dataset])
        for method, dataset, seed in itertools.product(names, where, seeds)
    ]


def _presets(methods: str) -> tuple[list[Preset], list[str]]:
    """Return the presets of methods; of ``all``, those that can be loaded, and one sentence for each other one."""
    presets, broken = [], []
    for name in _listed("method", methods, method_names()):
        try:
            presets.append(load_preset(name))
        except UsageError as error:
            if methods != "all":
                raise
            broken.append(f"left out {name}, which cannot be loaded: {error}")
    return presets, broken


def _runnable(specs: Sequence[RunSpec], inputs: Inputs) -> tuple[list[RunSpec], list[str]]:
    kept: list[RunSpec] = []
    left_out: dict[tuple[str, str], list[str]] = {}  # the methods, by data set and reason
    errors: list[NbevalError] = []
    images = image_loader(inputs.data, inputs.split_file)  # one for all, so that each data set is loaded once
    for (method, dataset), group in itertools.groupby(specs, key=lambda spec: (spec.method, spec.search_dataset)):
        seeds = list(group)
        try:
            check(seeds[:1], replace(prepare(seeds[:1], inputs), images=images))
        except NbevalError as error:
            errors.append(error)
            left_out.setdefault((dataset, " ".join(str(error).split())), []).append(method)
        else:
            kept += seeds
    if not kept:
        raise errors[0]
    return kept, [f"left out {', '.join(who)} on {where}: {why}" for (where, why), who in left_out.items()]


def _listed(kind: str, text: str, known: list[str]) -> list[str]:
    names = known if text == "all" else [part.strip() for part in text.split(",") if part.strip()]
    if not names:
        raise UsageError(f"no {kind} given: known are {', '.join(known)}")
    return list(dict.fromkeys(names))


def split_hash(split_file: Path | None, dataset: str) -> str:
    """Return what a spec on a data set remembers of its split file; empty for seeded halves.

    Raises:
        UsageError: If there is no such file, or the data set has no official split.
        NbevalError: If it cannot be read.
    """
    chosen = chosen_split(dataset, split_file)
    if chosen is None:
        return ""
    if chosen == OFFICIAL:
        return official_split(dataset).sha256
    if not is_file(chosen):
        raise UsageError(f"--split {chosen}: there is no such file; `--split official` takes that of the data set")
    try:
        return sha256_of(chosen)
    except OSError as error:
        raise unreadable(chosen, error) from None


def image_loader(data: Path | None, split_file: Path | None) -> Callable[[str], ImageData]:
    """Return a function that loads a data set by name, each only once."""

    @cache
    def images(name: str) -> ImageData:
        from nasbench_eval.images import load_images

        return load_images(name, root=data, split_file=split_file)

    return images


def prepare(specs: Sequence[RunSpec], inputs: Inputs) -> RunContext:
    """Return the context of some runs, after checking settings, device and tables.

    Raises:
        NbevalError: If a table is missing, or lacks what a search needs; if the results folder cannot be read.
        UsageError: If a setting, the device, the table or the truth do not fit.
    """
    for spec in specs:
        _ = spec.run_id  # checks every setting
        name = spec.search_dataset
        if name not in DATASETS and not _of_their_table(spec, inputs):
            raise unknown("data set", name, DATASETS)
    if inputs.truth not in TRUTHS:
        raise unknown("truth", str(inputs.truth), TRUTHS)
    require(missing_for(specs, inputs), list(dict.fromkeys(spec.search_dataset for spec in specs)))
    if inputs.truth != "table" and inputs.table is not None:
        raise UsageError(f"--table has no effect with --truth {inputs.truth}")
    _check_results(inputs.results_dir)
    check_log(inputs.log)
    device, threads = "cpu", 1
    if not all(spec.is_tabular for spec in specs):
        from runners.device import resolve_device

        device = resolve_device(inputs.device, elsewhere=inputs.elsewhere)
        threads = share(inputs.workers, inputs.threads)
    return RunContext(
        results_dir=inputs.results_dir,
        images=image_loader(inputs.data, inputs.split_file),
        device=device,
        tables=_tables(specs, inputs.table) if inputs.truth == "table" else {},
        training=_training(inputs.scale) if inputs.truth == "train" else None,
        side_by_side=inputs.side_by_side or inputs.workers,
        log=inputs.log,
        threads=threads,
    )


def _of_their_table(spec: RunSpec, inputs: Inputs) -> bool:
    """Return whether a data set that we do not know can be one of a table of the user's."""
    if not spec.is_tabular or inputs.table is not None:
        return spec.is_tabular
    try:
        find_table()
    except NbevalError:  # there is none where one is looked for without --table
        return False
    return not name_hint(spec.search_dataset, DATASETS)


def _check_results(folder: Path) -> None:
    """Check that a results folder can be read: runs that are hidden in it would be repeated."""
    for each in (folder, folder / "runs"):
        if is_file(each):
            raise UsageError(f"the results folder {each} is a file: give another one with --results")
        if is_dir(each):
            children(each)


def check(specs: Sequence[RunSpec], context: RunContext) -> None:
    """Check everything that can be checked before the first step: images, columns of the table, settings that clash.

    Weight-sharing variants whose runs are all complete need nothing and are not checked.

    Raises:
        NbevalError: What keeps a spec from running.
    """
    for _, group in itertools.groupby(sorted(specs, key=_variant), key=_variant):
        seeds = list(group)
        if seeds[0].is_tabular:
            tabular.check(seeds[0], context)
            continue
        from runners import search  # imports torch

        missing = [spec for spec in seeds if search.known(spec, context) is None]
        if missing:
            search.check(missing[0], context)


def _variant(spec: RunSpec) -> str:
    return spec.variant_id


def _tables(specs: Sequence[RunSpec], table: Table | Path | None) -> dict[str, TableLookup]:
    found = table_lookups(table, [spec.search_dataset for spec in specs])
    for name in dict.fromkeys(spec.search_dataset for spec in specs if not spec.is_tabular):
        require_known(found[name], [name])
    return found


def table_lookups(table: Table | Path | None, datasets: Iterable[str]) -> dict[str, TableLookup]:
    """Return the true accuracies of several data sets, by name.

    A table of the user's that has only some of the data sets is joined by the tables in the package.

    Args:
        table: The table, as for :func:`table_lookup`.
        datasets: The data sets, each as often as you like.
    """
    found = {name: table_lookup(table, name) for name in dict.fromkeys(datasets)}
    lacks = [name for name, truth in found.items() if name in EMBEDDED and name not in truth.table.datasets]
    joined = lacks if len(lacks) < len(found) else []
    return found | {name: table_lookup(None, name) for name in joined}


def table_lookup(table: Table | Path | None, dataset: str) -> TableLookup:
    """Return the true accuracies of a table, given as it is, as a path, or None: where ``find_table`` finds it."""
    return TableLookup(table if isinstance(table, Table) else open_table(find_table(table, dataset)))


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
