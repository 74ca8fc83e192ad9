"""Final cells that other code found, as runs beside those of nbeval: looked up in the table and marked as imported."""

from __future__ import annotations

import csv
import math
import re
import unicodedata
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
        if not self.source.strip():
            raise UsageError("--source says where the cells come from, such as a paper, or a repository and its commit")
        if not all(text.strip() for text in self.reductions):
            raise UsageError("--reduced says what is smaller than published, such as 'channels 16 -> 4'")
        for name in ("title", "source", "split", "batch_norm", "device"):
            text = _one_line(f"--{name.replace('_', '-')}", getattr(self, name))
            object.__setattr__(self, name, text or (self.name if name == "title" else NOT_STATED))
        object.__setattr__(self, "reductions", tuple(_one_line("--reduced", text) for text in self.reductions))
        require_free_title(self.title, f"the cells of {self.name}")
        for key, value in self.settings.items():
            _one_line("--set", f"{key}={value}")
            if not isinstance(value, str | bool | int | float) or value != value or value in (math.inf, -math.inf):
                raise UsageError(f"--set: a value is a number, true, false or a word; got {value!r}")


def _one_line(option: str, text: str) -> str:
    """Return a text without space around it.

    Raises:
        UsageError: If it has a character that is not seen, such as a line break: it could hide the mark of the row.
    """
    for character in (text := text.strip()):
        if unicodedata.category(character)[0] == "C" or character in "\u2028\u2029":
            raise UsageError(f"{option} has the character {character!a}, which is not seen: leave it out")
    return text


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
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip(" \t,")]
    lines = [(n, line) for n, line in lines if line.strip()[0] != "#"]
    header = ["cell"]
    is_list = bool(lines) and ("|" in lines[0][1] or parse_whole_number(lines[0][1]) is not None)
    if lines and not is_list:
        header = _header(path, lines.pop(0)[1])
    found: list[Found] = []
    for number, line in lines:
        try:
            found.append(_found(dict(zip(header, _fields(line, len(header)), strict=True)), len(found)))
        except UsageError as error:
            raise UsageError(f"{path}, line {number}: {error}") from None
    if not found:
        raise UsageError(f"{path} has no cells: it needs a column {COLUMNS[0]!r}, or one cell a line")
    if is_list and all("|" not in line for _, line in lines) and all(each.cell.index <= 100 for each in found):
        raise UsageError(
            f"{path} may have accuracies, not cells: if they are indices, write `cell` into its first line"
        )
    if twice := [seed for seed, count in Counter(each.seed for each in found).items() if count > 1]:
        raise UsageError(f"{path} has seed {twice[0]} more than once: give the final cell of each search only")
    return found


def _header(path: Path, line: str) -> list[str]:
    """Return the columns that the first line names."""
    names = [name.strip() for name in next(csv.reader([line.rstrip(" ,")]))]
    if len(names) == 1 and (";" in line or "\t" in line):
        raise UsageError(f"{path}: separate the columns by commas")
    for name in names:
        if name not in COLUMNS:
            raise UsageError(
                f"{path}: unknown column {name[:40]!r}: {nearest(name, COLUMNS)}the first line names the columns; "
                f"known are {', '.join(COLUMNS)}, and accuracies are looked up in the table"
            )
    if len(set(names)) < len(names) or COLUMNS[0] not in names:
        raise UsageError(f"{path} needs a column {COLUMNS[0]!r}, and each column once; it has {', '.join(names)}")
    return names


def _fields(line: str, n: int) -> list[str]:
    fields = [each.strip() for each in next(csv.reader([line]))]
    if len(fields) < n or any(fields[n:]):
        raise UsageError(f"{len(fields)} values for {n} column{'s' if n > 1 else ''}")
    return fields[:n]


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
    return Found(_cell(row["cell"]), seed, seconds)


def _cell(text: str) -> Cell:
    """Read a cell, also as AutoDL-Projects prints it: ``Structure(4 nodes with |...|)``."""
    if (printed := re.fullmatch(r"Structure\(4 nodes with (\|.*\|)\)", text)) is not None:
        text = printed[1]
    if re.fullmatch(r"0\d+", text) or (text.startswith(("(", "[")) and "|" not in text):
        raise UsageError(
            f"{text[:40]!r} is no architecture string and no index: Cell.from_naslib and as_cell read other notations "
            "(docs/coming_from.md)"
        )
    return parse_cell(text)


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
    written: list[Path] = []
    try:
        for run, new in results:
            was_there = (results_dir / "runs" / run.record.file_name).is_file()
            if new:
                path = write_run(results_dir / "runs", run)
                written += [] if was_there else [path]
    except BaseException:  # such as a full disk: all seeds or none, as a part of them would be another result
        for path in written:
            path.unlink(missing_ok=True)
        raise
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
        title=origin.title,
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
        imported=origin.source,
    )
    seconds = found.search_seconds
    row = {"step": 0, "cell": str(found.cell), "seconds": seconds, "total_seconds": seconds}
    row |= {f"n_{name}": count for name, count in found.cell.counts().items()}
    return Run(record, pd.DataFrame([row | truth.look_up(found.cell)]))
