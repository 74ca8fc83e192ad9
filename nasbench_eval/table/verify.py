"""Check a table: what must hold for any table, and what is known about NAS-Bench-201. ``nbeval table verify``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from nasbench_eval.cell import N_CELLS, Cell, all_archs
from nasbench_eval.errors import NbevalError
from nasbench_eval.table.schema import MEAN, NAS_BENCH_201, Key, trials_by_mean
from nasbench_eval.table.sizes import all_sizes
from nasbench_eval.table.units import wrong_units

if TYPE_CHECKING:
    from nasbench_eval.table.table import Table

RANGES = {
    "accuracy": (0.0, 100.0),
    "loss": (0.0, np.inf),
    "eval_seconds": (0.0, np.inf),
    "train_seconds": (0.0, np.inf),
    "params_mb": (0.0, 10.0),
    "flops_m": (0.0, 1000.0),
    "latency_s": (0.0, 10.0),
}
"""The lowest and highest possible value of each metric; the bounds on sizes and latency are generous."""

OPTIMA = {"cifar10": (6111, 94.373), "cifar100": (9930, 73.513), "imagenet16-120": (857, 47.311)}
"""The best test accuracy after 200 epochs, mean over trials: index and percent (from NATS-Bench's files)."""

ALL_SKIP = {"cifar10": 54.297, "cifar100": 15.607, "imagenet16-120": 16.322}
"""The same accuracy of the cell with only skip connections, which collapsed searches return."""

ALL_SKIP_INDEX = 1835

RELEASES = {
    "NATS-tss-v1_0": {2: 7456, 3: 8169},
    "NAS-Bench-201-v1_1": {1: 2225, 2: 5439, 3: 7961},
    "NAS-Bench-201-v1_0": {1: 6219, 2: 1621, 3: 7785},
}
"""Cells by their number of 200-epoch trials: counted for NATS-Bench, as stated by the authors for the others."""

NETWORKS = {"cifar10": (10, 32), "cifar100": (100, 32), "imagenet16-120": (120, 16)}
"""The number of classes of each data set, and the height and width of its images."""

PARAMS_ERRATA = 150
"""The published number of parameters is wrong in so many cells, the same ones for all data sets."""

COUNTED = ("NATS-tss-v1_0",)


@dataclass(frozen=True)
class Check:
    """The result of one check of a table: what was checked, what is wrong, and what is only worth noting."""

    name: str
    detail: str
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Difference:
    """The largest difference between two tables in one column.

    Attributes:
        key: The column.
        largest: The difference.
        index: The cell with that difference.
        values: The two values of that cell.
        cells: Number of cells in which the two differ by more than the tolerance.
        lone: Number of cells for which only one of the two has a value.
    """

    key: Key
    largest: float
    index: int
    values: tuple[float, float]
    cells: int
    lone: int


def verify(table: Table) -> list[Check]:
    """Check a table: cells, ranges, means, known accuracies of the benchmark, trials, sizes, provenance, content.

    Returns:
        One entry per check, in this order; the table is sound if none has problems.
    """
    checks = [_cells(table), _ranges(table), _means(table)]
    if table.metadata.name == NAS_BENCH_201:
        checks += [_known(table), _trials(table), _sizes(table)]
    return [*checks, _provenance(table), _content(table)]


def compare(table: Table, other: Table, *, tolerance: float = 0.001) -> list[Difference]:
    """Compare the columns that two tables have in common; the column with the largest difference comes first.

    Args:
        table: One table.
        other: The other.
        tolerance: By how much two values may differ, in addition to the rounding of float32.
    """
    found = []
    for key in sorted(set(table.keys) & set(other.keys), key=str):
        here, there = (t.values(key).astype(np.float64) for t in (table, other))
        both = ~np.isnan(here) & ~np.isnan(there)
        gap = np.where(both, np.abs(here - there), 0.0)
        index = int(np.argmax(gap))
        found.append(
            Difference(
                key,
                largest=float(gap[index]),
                index=index,
                values=(float(here[index]), float(there[index])),
                cells=int(np.sum(both & ~np.isclose(here, there, rtol=1e-6, atol=tolerance))),
                lone=int(np.sum(np.isnan(here) != np.isnan(there))),
            )
        )
    return sorted(found, key=lambda difference: (-difference.largest, -difference.lone, str(difference.key)))


def range_errors(table: Table, *, partial: bool = False) -> Iterator[str]:
    """Yield one line for each column with a value out of range or a missing mean.

    Args:
        table: The table.
        partial: Allow missing means, as in a table of only some of the cells.
    """
    for key in table.keys:
        values = table.values(key)
        low, high = RANGES[key.metric]
        with np.errstate(invalid="ignore"):
            wrong = (values < low) | (values > high) | np.isinf(values)
        if key.trial == MEAN and not partial:
            wrong |= np.isnan(values)
        if wrong.any():
            index = int(np.flatnonzero(wrong)[0])
            expected = f"{low:g} to {high:g}" if np.isfinite(high) else f"{low:g} or more"
            yield f"{key} of {describe(index)} is {_word(values[index])}, expected {expected}{_more(wrong)}"


def check_ranges(table: Table, *, partial: bool = False) -> None:
    """Raise an error for the first value out of range.

    Raises:
        NbevalError: It names the cell, the column and the value.
    """
    for line in range_errors(table, partial=partial):
        raise NbevalError(line)


def describe(index: int) -> str:
    """Return the index and the architecture string of a cell for a message."""
    return f"cell {index} ({Cell.from_index(index)})"


def _cells(table: Table) -> Check:
    problems = []
    archs = table.archs()
    for index, (arch, expected) in enumerate(zip(archs, all_archs(), strict=True)):
        if arch != expected:
            problems.append(f"row {index} is {arch}, expected {expected}: not the official order")
            break
    there = table.metadata.cells
    if there != N_CELLS:
        problems.append(f"the table has only {there:,} of the {N_CELLS:,} cells")
    return Check("cells", f"{len(archs):,} in official order", problems)


def _ranges(table: Table) -> Check:
    problems = [*range_errors(table), *(f"{wrong.key} {wrong.found}" for wrong in wrong_units(table))]
    return Check("values", f"{len(table.keys)} columns within their ranges", problems)


def _means(table: Table) -> Check:
    problems = []
    groups = trials_by_mean(table.keys)
    for key, trials in groups.items():
        if key not in table.keys:
            problems.append(f"there is no column {key}, the mean of the trials in the table")
            continue
        values = np.stack([table.values(k) for k in trials]).astype(np.float64)
        runs = np.sum(~np.isnan(values), axis=0)
        expected = np.where(runs > 0, np.nansum(values, axis=0) / np.maximum(runs, 1), np.nan)
        found = table.values(key)
        wrong = ~np.isclose(found, expected, rtol=1e-5, atol=1e-5, equal_nan=True)
        if wrong.any():
            i = int(np.flatnonzero(wrong)[0])
            problems.append(
                f"{key} of {describe(i)} is {_word(found[i])}, but the mean of its trials is {_word(expected[i])}"
                f"{_more(wrong)}"
            )
    return Check("means", f"{len(groups)} equal the mean of their trials", problems)


def _known(table: Table) -> Check:
    problems = []
    for dataset, (index, accuracy) in OPTIMA.items():
        key = Key(dataset, 200, "test", "accuracy")
        if key not in table.keys:
            problems.append(f"there is no column {key}")
            continue
        values = table.values(key)
        for i, expected in ((index, accuracy), (ALL_SKIP_INDEX, ALL_SKIP[dataset])):
            if not abs(values[i] - expected) <= 0.001:
                problems.append(f"{key} of {describe(i)} is {_word(values[i])}, expected {expected}")
        if not np.isnan(values).all() and (best := int(np.nanargmax(values))) != index:
            problems.append(
                f"{key} is highest, {_word(values[best])}, at {describe(best)}; expected {accuracy} at cell {index}"
            )
    return Check("known cells", "the three optima and the cell with only skip connections", problems)


def _trials(table: Table) -> Check:
    counts: list[np.ndarray] = []
    for dataset in table.datasets:
        for split in dict.fromkeys(key.split for key in table.keys if key.dataset == dataset):
            if seeds := table.trials(dataset, split, epochs=200):
                trials = [table.column(dataset, split, epochs=200, trial=seed) for seed in seeds]
                counts.append(np.sum(~np.isnan(np.stack(trials)), axis=0))
    if not counts:
        return Check("trials", "means only")
    # The number of trials of a cell is the smallest over the training sets.
    numbers, cells = np.unique(np.min(np.stack(counts), axis=0), return_counts=True)
    found = {int(number): int(count) for number, count in zip(numbers, cells, strict=True)}
    words = _trial_words(found)
    release = str(table.metadata.source.get("release", ""))
    if release not in RELEASES or found == RELEASES[release]:
        return Check("trials", words + (f", as in {release}" if release in RELEASES else ""))
    line = f"{words}; {release} has {_trial_words(RELEASES[release])}"
    if release in COUNTED:
        return Check("trials", words, [line])
    return Check("trials", words, notes=[line + " according to its authors"])


def _sizes(table: Table) -> Check:
    """Compare parameters and multiply-adds with those of the cells' networks (C=16, N=5)."""
    problems: list[str] = []
    notes: list[str] = []
    count = 0
    for dataset, (classes, side) in NETWORKS.items():
        sizes = all_sizes(channels=16, cells=5, side=side, classes=classes) / 1e6
        for key, expected, tolerance in (
            (Key(dataset, None, "-", "params_mb"), sizes[:, 0], 1e-5),
            # The benchmark counts the bias of the classifier too.
            (Key(dataset, None, "-", "flops_m"), sizes[:, 1], 1e-3),
        ):
            if key not in table.keys:
                continue
            count += 1
            found = table.values(key).astype(np.float64)
            # A missing value is a matter of the check of values.
            gap = np.nan_to_num(np.abs(found - expected))
            wrong = gap > tolerance
            if wrong.any():
                worst = int(np.argmax(gap))
                first = ", ".join(map(str, np.flatnonzero(wrong)[:5]))
                line = (
                    f"{key} of {wrong.sum():,} cells ({first}{', ...' if wrong.sum() > 5 else ''}) is not that of the "
                    f"network; the largest error: {found[worst]:.6g}, not {expected[worst]:.6g}, at {describe(worst)}"
                )
                published = key.metric == "params_mb" and wrong.sum() <= PARAMS_ERRATA
                (notes if published else problems).append(line + (", as published" if published else ""))
    return Check("sizes", f"{count} columns compared with the networks of the cells", problems, notes)


def _trial_words(counts: dict[int, int]) -> str:
    return ", ".join(f"{count:,} cells with {number}" for number, count in counts.items())


def _provenance(table: Table) -> Check:
    source = table.metadata.source
    # A table is made from a file, or by training: then the schedule and the hash of the images are its origin.
    origin = "schedule" if "schedule" in source else "file"
    missing = [name for name in ("importer", origin, "sha256") if not source.get(name)]
    problems = [f"the metadata lack the {', '.join(missing)} of the source"] if missing else []
    notes = [str(source["warning"])] if "warning" in source else []
    return Check("provenance", f"{source.get('importer', '?')}: {source.get(origin, '?')}", problems, notes)


def _content(table: Table) -> Check:
    expected, found = table.metadata.content_hash, table.content_hash()
    problems = [] if found == expected else [f"is {found}, but the metadata say {expected}: values were changed"]
    return Check("content hash", found[:16], problems)


def _word(value: float) -> str:
    return "missing" if np.isnan(value) else f"{value:.7g}"


def _more(wrong: np.ndarray) -> str:
    return f" (and {wrong.sum() - 1:,} more cells)" if wrong.sum() > 1 else ""
