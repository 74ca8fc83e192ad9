"""How runs were made: each setting with the source of its preset, and the command that makes them again."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nasbench_eval.errors import NbevalError
from nasbench_eval.images.splits import HALVED_TEST, SPLIT_FILES
from nasbench_eval.methods import load_method
from nasbench_eval.report.provenance import Provenance, SettingRow
from nasbench_eval.runs import IMPORTED_NAME
from nasbench_eval.runs.store import Run, RunRecord, by_variant
from nasbench_eval.settings import complete, has_effect
from runners.presets import load_preset
from runners.spec import RunSpec, parse_overrides


def provenance(runs: Iterable[Run]) -> dict[str, Provenance]:
    """Return how the runs of each variant were made, by ``variant_id``."""
    return {variant: _provenance([run.record for run in group]) for variant, group in by_variant(runs).items()}


def _provenance(records: Sequence[RunRecord]) -> Provenance:
    first = records[0]
    seeds = [record.seed for record in records]
    if first.imported:
        return _imported(first)
    try:
        preset = load_preset(first.method)
        declared = load_method(preset.implementation).Settings
        fields = dataclasses.fields(declared)
        preset_values = RunSpec(first.method, first.search_dataset, first.seed).values
        values = complete(declared, first.settings)
        spec, split = _spec(first, fields, values)
    except NbevalError as error:
        plain = tuple(SettingRow(name, _words(value), "", "", "", True) for name, value in first.settings.items())
        command = _command(first, first.overrides, seeds, "")
        return Provenance(
            "", "", plain, command, f"The method cannot be loaded here, so its sources are left out: {error}"
        )
    settings = tuple(
        SettingRow(
            name=field.name,
            value=_words(values[field.name]),
            preset=_words(preset_values[field.name]),
            source=preset.sources.get(field.name, "default"),
            meaning=field.metadata["help"],
            has_effect=has_effect(field, values),
        )
        for field in fields
        if field.name in values
    )
    note = ""
    if spec.run_id != first.run_id:
        note = (
            "The command does not give exactly these runs: they were made with another split file, another version of "
            "nbeval or of the method's source."
        )
    return Provenance(preset.summary, preset.paper, settings, _command(first, spec.overrides, seeds, split), note)


def _imported(record: RunRecord) -> Provenance:
    """Return how the runs of other code came here; how they were made is what their user stated."""
    stated = tuple(SettingRow(name, _words(value), "", "", "", True) for name, value in record.settings.items())
    words = ["nbeval", "import", "CELLS", "--name", record.method.removeprefix(IMPORTED_NAME)]
    words += ["--dataset", record.search_dataset, "--source", record.imported, "--title", record.title]
    words += ["--split", record.split, "--batch-norm", record.batch_norm, "--device", record.device]
    words += [word for reduction in record.reductions for word in ("--reduced", reduction)]
    words += [word for name, value in record.settings.items() for word in ("--set", f"{name}={_toml(value)}")]
    note = (
        "Other code searched for these cells. nbeval only looked them up: settings, split, BatchNorm and cost are as "
        f"the user of that code stated them. Source: {record.imported}."
    )
    return Provenance("Imported final cells", "", stated, shlex.join(words), note)


def _spec(
    record: RunRecord, fields: Sequence[dataclasses.Field[Any]], values: Mapping[str, Any]
) -> tuple[RunSpec, str]:
    """Return the specification that gives the settings of a run, and the value of ``--split``.

    Settings whose preset has changed since the run become overrides; those without effect only where the identity of
    the run needs them.
    """
    official, halved = SPLIT_FILES.get(record.search_dataset), record.search_dataset in HALVED_TEST
    spec = RunSpec(record.method, record.search_dataset, record.seed, record.scale, record.overrides)
    split = "seeded" if halved and not spec.is_tabular else ""
    if official is not None and official.name in record.split:
        split, spec = "" if halved else "official", dataclasses.replace(spec, split_hash=official.sha256)
    changed = [field for field in fields if field.name in values and values[field.name] != spec.values[field.name]]
    in_force = [field for field in changed if has_effect(field, values)]
    for each in (in_force, changed):
        overrides = {**record.overrides, **{field.name: values[field.name] for field in each}}
        tried = dataclasses.replace(spec, overrides=overrides)
        if tried.run_id == record.run_id:
            break
    return tried, split


def _command(record: RunRecord, overrides: Mapping[str, Any], seeds: Sequence[int], split: str) -> str:
    words = ["nbeval", "run", "--method", record.method, "--dataset", record.search_dataset, "--seeds", _seeds(seeds)]
    words += ["--scale", record.scale] if record.scale != "full" else []
    words += ["--truth", record.truth] if record.truth != "table" else []
    words += ["--split", split] if split else []
    for name, value in overrides.items():
        words += ["--set", f"{name}={_words(value)}"]
    return shlex.join(words)


def _seeds(seeds: Sequence[int]) -> str:
    """Return seeds as ``--seeds`` takes them."""
    ordered = sorted(set(seeds))
    if ordered == list(range(len(ordered))):
        return str(len(ordered))
    return ",".join(map(str, ordered)) + ("," if len(ordered) == 1 else "")


def _toml(value: Any) -> str:
    """Return a value as ``--set`` reads it back: a word that TOML takes for something else in quotes."""
    return _words(value) if parse_overrides([f"v={_words(value)}"]) == {"v": value} else json.dumps(value)


def _words(value: Any) -> str:
    """Return a value as ``--set`` takes it."""
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
