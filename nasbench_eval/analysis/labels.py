"""The names of variants in tables and figures, which runs count, and what was reduced. Pure functions."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nasbench_eval.runs.failures import Failure
from nasbench_eval.runs.store import Run, RunRecord

if TYPE_CHECKING:
    import pandas as pd

FEW_SEEDS = 5
"""A note on repeated seeds names so many of them."""


def distinct_runs(runs: Iterable[Run]) -> tuple[list[Run], list[str]]:
    """Keep one run per variant and seed, the one that finished last.

    Returns:
        The runs kept, in the given order, and one sentence for each variant of which seeds were found more than once.
    """
    runs = list(runs)
    groups: dict[tuple[str, int], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.record.variant_id, run.record.seed), []).append(run)
    repeated: dict[str, list[list[Run]]] = {}
    for (variant, _), group in groups.items():
        group.sort(key=lambda run: run.record.finished)
        if len(group) > 1:
            repeated.setdefault(variant, []).append(group)
    notes = []
    named = labels(runs) if repeated else {}
    for variant, several in repeated.items():
        record, numbers = several[0][-1].record, sorted(group[-1].record.seed for group in several)
        listed = ", ".join(map(str, numbers[:FEW_SEEDS])) + (" and others" if len(numbers) > FEW_SEEDS else "")
        same = all(run.test_acc == group[-1].test_acc for group in several for run in group)
        notes.append(
            f"{named[variant]} on {record.search_dataset}, seed{'s' if len(numbers) > 1 else ''} {listed}: found more "
            f"than once{'' if same else ' with different accuracies'}; only the last one to finish counts"
        )
    return [group[-1] for group in groups.values()], notes


def is_reduced(record: RunRecord) -> bool:
    """Return whether the run was made at a reduced scale."""
    return bool(record.reductions) or record.scale != "full"


def labels(runs: Iterable[Run], shown: Sequence[str] = ()) -> dict[str, str]:
    """Return the label of each variant: its title, and in brackets what distinguishes it from other variants.

    The brackets hold whether it is imported or reduced, and the settings that the user changed. If two variants on one
    search data set still have the same label, the names of their methods are added if they differ, else the settings
    that do.

    Args:
        runs: The runs.
        shown: Settings that the labels hold in any case.
    """
    records = {run.record.variant_id: run.record for run in runs}
    parts = {key: _parts(record, shown) for key, record in records.items()}
    parts |= _of_other_code(records, parts)
    for group in _alike(records, parts):
        if len({records[key].method for key in group}) > 1:
            parts |= {key: [*parts[key], records[key].method] for key in group}
    for group in _alike(records, parts):
        if len(group) == 1:
            continue
        settings = [dict(records[key].settings) for key in group]
        names = sorted({name for each in settings for name in each})
        differing = [name for name in names if len({_canonical(each.get(name)) for each in settings}) > 1]
        for key, each in zip(group, settings, strict=True):
            shown = [setting_text(each, name) for name in differing]
            parts[key] = [*parts[key], *(part for part in shown if part not in parts[key])]
    taken: dict[tuple[str, str], list[str]] = {}
    named = {}
    for key, record in records.items():
        named[key] = f"{record.title} [{', '.join(parts[key])}]" if parts[key] else record.title
        taken.setdefault((named[key], record.search_dataset), []).append(key)
    for group in taken.values():
        if len(group) > 1:
            named |= {key: f"{named[key]} #{key[:6]}" for key in group}
    return named


def _of_other_code(records: Mapping[str, RunRecord], parts: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return what tells imported variants apart whose labels would be the same, also on several search data sets.

    A label that several data sets share stands for one method, with one source and the same facts.
    """
    found: dict[str, list[str]] = {}
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for key, record in records.items():
        if record.imported:
            groups.setdefault((record.title, tuple(parts[key])), []).append(key)
    for group in groups.values():
        stated = {key: _stated(records[key]) for key in group}
        if len(set(stated.values())) > 1:
            found |= {key: [*parts[key], f"#{hashlib.sha256(stated[key].encode()).hexdigest()[:6]}"] for key in group}
    return found


def _stated(record: RunRecord) -> str:
    facts = (record.method, record.imported, record.split, record.batch_norm, record.device, dict(record.settings))
    return _canonical(facts)


def _alike(records: Mapping[str, RunRecord], parts: Mapping[str, list[str]]) -> list[list[str]]:
    """Return the variants in groups of those on one search data set whose labels would be the same."""
    groups: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for key, record in records.items():
        groups.setdefault((record.title, record.search_dataset, tuple(parts[key])), []).append(key)
    return list(groups.values())


def label_order(label: str) -> str:
    """Return the sort key of a label: a variant comes before those with changed settings."""
    return label.removesuffix("]")


def brief(names: Iterable[str]) -> dict[str, str]:
    """Return labels without the mark of reduced runs, except where two labels would become equal."""
    short = {name: re.sub(r" \[reduced(: \w+)?\]|(?<=\[)reduced(: \w+)?, ", "", name) for name in names}
    counts = Counter(short.values())
    return {name: text if counts[text] == 1 else name for name, text in short.items()}


def _shared_first(reduced: Iterable[tuple[str, str]]) -> tuple[list[str], dict[str, list[str]]]:
    """Return the reductions that all reduced variants share, and the labels that each of the others belongs to."""
    whose: dict[str, list[str]] = {}
    pairs = list(dict.fromkeys(reduced))
    for label, words in pairs:
        for reduction in words.split("; "):
            whose.setdefault(reduction, []).append(label)
    n_reduced = len({label for label, _ in pairs})
    shared = [reduction for reduction, group in whose.items() if len(set(group)) == n_reduced]
    return shared, {reduction: group for reduction, group in whose.items() if reduction not in shared}


def reductions_text(reduced: Iterable[tuple[str, str]], names: Iterable[str]) -> str:
    """Describe what was reduced: first what all reduced variants share, then the rest, each with its variants.

    Args:
        reduced: Label and reductions (separated by semicolons) of each reduced variant.
        names: All labels of the table or figure; variants are named by their :func:`brief` labels.

    Returns:
        The reductions, separated by semicolons; empty if nothing was reduced.
    """
    shared, others = _shared_first(reduced)
    short = brief(dict.fromkeys(names))
    # A label can stand for the searches on several data sets.
    whose = {reduction: dict.fromkeys(short[label] for label in group) for reduction, group in others.items()}
    rest = [f"{reduction} ({', '.join(those)})" for reduction, those in whose.items()]
    return "; ".join([*shared, *rest])


def divergence_notes(failures: Iterable[Failure], runs: Iterable[Run]) -> list[str]:
    """Return a sentence for each variant of which runs diverged: how many of how many, and why.

    Args:
        failures: Runs that diverged.
        runs: Complete runs; one that is complete does not count as diverged.
    """
    complete: dict[str, set[int]] = {}
    for run in runs:
        complete.setdefault(run.record.variant_id, set()).add(run.record.seed)
    groups: dict[str, dict[int, Failure]] = {}
    for failure in failures:
        if failure.seed not in complete.get(failure.variant_id, ()):
            groups.setdefault(failure.variant_id, {})[failure.seed] = failure
    notes = []
    for variant, group in groups.items():
        first, total = next(iter(group.values())), len(group) + len(complete.get(variant, ()))
        parts = [] if first.scale == "full" else [first.scale]
        parts += [assignment(name, value) for name, value in sorted(first.overrides.items())]  # as in labels
        which = f" [{', '.join(parts)}]" if parts else ""
        causes = ", ".join(dict.fromkeys(each.cause for each in group.values()))
        notes.append(
            f"{len(group)} of {total} runs of {first.title}{which} on {first.search_dataset} "
            f"diverged and are no results ({causes})"
        )
    return notes


def reduced_note(frame: pd.DataFrame) -> str:
    """Return a sentence on what was reduced; empty if nothing was.

    Args:
        frame: A frame with the columns ``label``, ``reduced`` and ``reductions``.
    """
    reduced = frame[frame["reduced"].astype(bool)]
    words = reductions_text(zip(reduced["label"], reduced["reductions"], strict=True), frame["label"])
    return f"REDUCED runs, smaller than the published setting: {words}." if words else ""


def caption_notes(frame: pd.DataFrame) -> list[str]:
    """Return short sentences for captions about what was reduced and what diverged.

    What not all reduced variants share is named without its values: tables and the csv have them.

    Args:
        frame: As for :func:`reduced_note`; ``frame.attrs["notes"]`` has further sentences.
    """
    reduced = frame[frame["reduced"].astype(bool)]
    shared, others = _shared_first(zip(reduced["label"], reduced["reductions"], strict=True))
    rest = ", ".join(dict.fromkeys(reduction.partition(" ")[0] for reduction in others))
    words = "; ".join([*shared, *([f"by method: {rest}"] if rest else [])])
    said = [f"REDUCED runs: {words}."] if words else []
    if frame["label"].astype(str).str.contains("[imported", regex=False).any():
        said.append("[imported]: searched by other code, with facts and cost as stated by its user.")
    return [*said, *(f"{note}." for note in frame.attrs.get("notes", ()))]


def panel_titles(frame: pd.DataFrame) -> dict[str, str]:
    """Return the title of each variant's panel: without the mark of reduced runs if all are, as the caption says so."""
    names = [str(label) for label in dict.fromkeys(frame["label"])]
    return brief(names) if frame["reduced"].all() else {name: name for name in names}


def _parts(record: RunRecord, shown: Sequence[str]) -> list[str]:
    values = {name: record.settings[name] for name in shown if name in record.settings} | dict(record.overrides)
    parts = [assignment(name, value) for name, value in sorted(values.items())]
    if is_reduced(record):
        parts.insert(0, f"reduced: {record.scale}" if record.scale != "full" else "reduced")
    return ["imported", *parts] if record.imported else parts


def assignment(name: str, value: Any) -> str:
    """Return a setting and its value as the command line takes them, such as ``epochs=10``."""
    if isinstance(value, bool) or value is None:
        return f"{name}={str(value).lower()}"
    return f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"


def setting_text(settings: Mapping[str, Any], name: str) -> str:
    """Return a setting of a run and its value; ``no epochs`` if the run does not have the setting."""
    return assignment(name, settings[name]) if name in settings else f"no {name}"


def changes(overrides: Mapping[str, Any]) -> str:
    """Return changed settings as labels have them, such as `` [arch_lr=4, zero_op=false]``; empty if there are none."""
    words = ", ".join(assignment(name, value) for name, value in overrides.items())
    return f" [{words}]" if words else ""


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
