"""What a table calls a variant, and which runs count. Pure functions."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from nasbench_eval.runs.store import Run, RunRecord


def distinct_runs(runs: Iterable[Run]) -> tuple[list[Run], list[str]]:
    """Keep one run of each variant and seed, the one finished last.

    Returns:
        The runs kept, in the order given, and one sentence for each seed that was there more than once.
    """
    groups: dict[tuple[str, int], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.record.variant_id, run.record.seed), []).append(run)
    notes = []
    for (_, seed), group in groups.items():
        if len(group) > 1:
            group.sort(key=lambda run: run.record.finished)
            same = all(run.test_acc == group[-1].test_acc for run in group)
            record, how = group[-1].record, "" if same else " with different accuracies"
            notes.append(
                f"{record.title} on {record.search_dataset}, seed {seed}: found {len(group)} times{how}; "
                "only the run finished last counts"
            )
    return [group[-1] for group in groups.values()], notes


def is_reduced(record: RunRecord) -> bool:
    """Say whether a scale cut the run down."""
    return bool(record.reductions) or record.scale != "full"


def labels(runs: Iterable[Run]) -> dict[str, str]:
    """Return for each variant the name that a table prints.

    The title, and in brackets whatever sets the variant apart: that it is reduced, the settings that the user
    changed, and where two variants of one search data set still agree, the settings in which they differ.
    """
    records = {run.record.variant_id: run.record for run in runs}
    parts = {key: _parts(record) for key, record in records.items()}
    groups: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for key, record in records.items():
        groups.setdefault((record.title, record.search_dataset, tuple(parts[key])), []).append(key)
    for group in groups.values():
        if len(group) == 1:
            continue
        settings = [dict(records[key].settings) for key in group]
        names = sorted({name for each in settings for name in each})
        differing = [name for name in names if len({_canonical(each.get(name)) for each in settings}) > 1]
        for key, each in zip(group, settings, strict=True):
            told = [setting(name, each.get(name)) for name in differing]
            parts[key] = [*parts[key], *(part for part in told if part not in parts[key])]
    taken: dict[tuple[str, str], list[str]] = {}
    named = {}
    for key, record in records.items():
        named[key] = f"{record.title} [{', '.join(parts[key])}]" if parts[key] else record.title
        taken.setdefault((named[key], record.search_dataset), []).append(key)
    for group in taken.values():
        if len(group) > 1:
            named |= {key: f"{named[key]} #{key[:6]}" for key in group}
    return named


def label_order(label: str) -> str:
    """Return a label's sort key: a variant comes before those in which settings were changed."""
    return label.removesuffix("]")


def brief(names: Iterable[str]) -> dict[str, str]:
    """Return labels without the mark that a run is reduced, for where the context says so; alike ones stay whole."""
    short = {name: re.sub(r" \[reduced(: \w+)?\]|(?<=\[)reduced(: \w+)?, ", "", name) for name in names}
    counts = Counter(short.values())
    return {name: text if counts[text] == 1 else name for name, text in short.items()}


def cuts(reduced: Iterable[tuple[str, str]], names: Iterable[str]) -> str:
    """Say what was reduced: first what all reduced variants share, then the rest, each with its variants.

    Args:
        reduced: Label and reductions, parted by semicolons, of each reduced variant; empty if none is.
        names: All labels of the context, which are written in brief.
    """
    whose: dict[str, list[str]] = {}
    pairs = list(dict.fromkeys(reduced))
    for label, words in pairs:
        for cut in words.split("; "):
            whose.setdefault(cut, []).append(label)
    everyone, short = len({label for label, _ in pairs}), brief(dict.fromkeys(names))
    shared = [cut for cut, group in whose.items() if len(set(group)) == everyone]
    rest = [f"{cut} ({', '.join(short[label] for label in whose[cut])})" for cut in whose if cut not in shared]
    return "; ".join([*shared, *rest])


def _parts(record: RunRecord) -> list[str]:
    parts = [setting(name, value) for name, value in sorted(record.overrides.items())]
    if is_reduced(record):
        parts.insert(0, f"reduced: {record.scale}" if record.scale != "full" else "reduced")
    return parts


def setting(name: str, value: Any) -> str:
    """Write a setting as the command line takes it, such as ``epochs=10``."""
    return f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
