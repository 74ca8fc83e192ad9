"""Final cells that other code found, as runs beside those of nbeval: looked up in the table and marked as imported."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from nasbench_eval import __version__
from nasbench_eval.cell import Cell, parse_cell
from nasbench_eval.errors import UsageError, nearest, unknown
from nasbench_eval.runs import IMPORTED, IMPORTED_NAME
from nasbench_eval.runs.store import Run, RunRecord, read_run, write_run
from nasbench_eval.utils.checks import parse_whole_number
from nasbench_eval.utils.paths import unreadable
from runners.device import now
from runners.lookup import TableLookup
from runners.presets import require_free_title
from runners.spec import hash_of

COLUMNS = ("cell", "seed", "search_seconds")
"""The columns that a file of cells may have; only the first is needed."""

NOT_STATED = "not stated"


@dataclass(frozen=True)
class Found:
    """What a search of other code found.

    Attributes:
        cell: Its final cell.
        seed: Its seed.
        search_seconds: Its cost; NaN if not stated.
    """

    cell: Cell
    seed: int
    search_seconds: float = math.nan


@dataclass(frozen=True)
class Origin:
    """What the user states about searches that nbeval did not run; it is recorded as it is.

    Attributes:
        name: The method's short name; the ``method`` of the runs is ``imported:NAME``.
        dataset: The data set that was searched on.
        source: Where the cells come from, such as a paper, or a repository with its commit.
        title: The name in tables and figures; empty for ``name``.
        split: Which images trained the weights and which the architecture.
        batch_norm: The BatchNorm mode of the supernet.
        device: The device that measured the cost.
        reductions: What was smaller than in the published method, such as ``channels 16 -> 4``.
        settings: Hyperparameters.
    """

    name: str
    dataset: str
    source: str
    title: str = ""
    split: str = NOT_STATED
    batch_norm: str = NOT_STATED
    device: str = NOT_STATED
    reductions: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w.-]*", self.name, re.ASCII):
            raise UsageError(f"--name is one word of letters, digits, '.', '-' and '_'; got {self.name[:40]!r}")
        require_free_title(self.title.strip() or self.name, f"the cells of {self.name}")
        if not self.source.strip():
            raise UsageError("--source says where the cells come from, such as a paper, or a repository and its commit")
        for value in self.settings.values():
            if not isinstance(value, str | bool | int | float) or value != value or value in (math.inf, -math.inf):
                raise UsageError(f"--set: a value is a number, true, false or a word; got {value!r}")


def read_cells(path: Path) -> list[Found]:
    """Read the final cells of searches, one per seed.

    Args:
        path: A csv file with the columns ``cell`` (an architecture string or official index) and, if known, ``seed``
            and ``search_seconds``; or a list without a header, one cell a line. Without seeds the cells are those of
            seeds 0, 1, ... Blank lines and lines that begin with # are left out.

    Raises:
        UsageError: If the file cannot be read or has no cells, or a line does not fit; the message names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not a text file: give the cells as csv, or one a line") from None
    except OSError as error:
        raise unreadable(path, error) from None
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip() and line.strip()[0] != "#"]
    header = ["cell"]
    if lines and "|" not in lines[0][1] and parse_whole_number(lines[0][1]) is None:
        header = [name.strip() for name in next(csv.reader([lines.pop(0)[1]]))]
        _check_header(path, header)
    found: list[Found] = []
    for number, line in lines:
        try:
            found.append(_found(dict(zip(header, _fields(line, len(header)), strict=True)), len(found)))
        except UsageError as error:
            raise UsageError(f"{path}, line {number}: {error}") from None
    if not found:
        raise UsageError(f"{path} has no cells: it needs a column {COLUMNS[0]!r}, or one cell a line")
    if twice := [seed for seed, count in Counter(each.seed for each in found).items() if count > 1]:
        raise UsageError(f"{path} has seed {twice[0]} more than once: give the final cell of each search only")
    return found


def _check_header(path: Path, header: Sequence[str]) -> None:
    for name in header:
        if name not in COLUMNS:
            raise UsageError(f"{path}: unknown column {name!r}: {nearest(name, COLUMNS)}known are {', '.join(COLUMNS)}")
    if len(set(header)) < len(header) or COLUMNS[0] not in header:
        raise UsageError(f"{path} needs a column {COLUMNS[0]!r}, and each column once; it has {', '.join(header)}")


def _fields(line: str, n: int) -> list[str]:
    fields = [each.strip() for each in next(csv.reader([line]))]
    if len(fields) != n:
        raise UsageError(f"{len(fields)} values for {n} column{'s' if n > 1 else ''}")
    return fields


def _found(row: Mapping[str, str], position: int) -> Found:
    seed = parse_whole_number(row.get("seed", str(position)))
    if seed is None or seed < 0:
        raise UsageError(f"a seed is a whole number from 0; got {row['seed'][:40]!r}")
    text = row.get("search_seconds", "")
    try:
        seconds = float(text) if text else math.nan
    except ValueError:
        seconds = -1.0
    if seconds < 0 or math.isinf(seconds) or (text and math.isnan(seconds)):
        raise UsageError(f"search_seconds is a number of seconds, or empty; got {text[:40]!r}")
    return Found(parse_cell(row["cell"]), seed, seconds)


def import_cells(
    found: Sequence[Found], origin: Origin, truth: TableLookup, results_dir: Path
) -> list[tuple[Run, bool]]:
    """Write a run for each final cell, with its true accuracies looked up in the table.

    A run that is there with the same cell is left as it is, unless its accuracies are of another table.

    Args:
        found: The final cells, at most one per seed.
        origin: What is stated about the searches.
        truth: The table.
        results_dir: The results folder.

    Returns:
        The runs, and whether each is new.

    Raises:
        UsageError: If the table lacks the data set, or a run of the same name, facts and seed is there with another
            cell or cost; nothing is written.
        NbevalError: If the table lacks a cell, or a file cannot be written.
    """
    if origin.dataset not in truth.datasets:
        raise unknown("data set in the table", origin.dataset, truth.datasets)
    moment = now()
    made = [_run(each, origin, truth, moment) for each in found]
    results = []
    for run in made:
        path = results_dir / "runs" / run.record.file_name
        there = read_run(path) if path.is_file() else None
        if there is not None and not _same_search(there, run):
            raise UsageError(
                f"seed {run.record.seed} of {run.record.method} is there with another cell or cost ({path}): give "
                "another --name, or remove that file"
            )
        known = there is not None and there.record.table == run.record.table  # else it is looked up again
        results.append((there, False) if there is not None and known else (run, True))
    for run, new in results:
        if new:
            write_run(results_dir / "runs", run)
    return results


def _same_search(one: Run, other: Run) -> bool:
    columns = ["cell", "total_seconds"]
    return one.steps[columns].equals(other.steps[columns])


def _run(found: Found, origin: Origin, truth: TableLookup, moment: str) -> Run:
    stated = {name: value for name, value in vars(origin).items() if name != "settings"}
    variant = hash_of([IMPORTED, stated, dict(origin.settings)])
    record = RunRecord(
        run_id=hash_of([variant, found.seed]),
        variant_id=variant,
        method=IMPORTED_NAME + origin.name,
        title=origin.title.strip() or origin.name,
        block=IMPORTED,
        search_dataset=origin.dataset,
        seed=found.seed,
        settings=dict(origin.settings),
        overrides={},
        reductions=origin.reductions,
        scale="full",
        cost_kind="measured",
        device=origin.device,
        threads=0,
        split=origin.split,
        batch_norm=origin.batch_norm,
        truth="table",
        truth_note=truth.note,
        table=truth.facts(),
        versions={"nbeval": __version__},
        started=moment,
        finished=moment,
        imported=origin.source.strip(),
    )
    seconds = found.search_seconds
    row = {"step": 0, "cell": str(found.cell), "seconds": seconds, "total_seconds": seconds}
    row |= {f"n_{name}": count for name, count in found.cell.counts().items()}
    return Run(record, pd.DataFrame([row | truth.look_up(found.cell)]))
