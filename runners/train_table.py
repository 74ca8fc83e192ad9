"""Train a table of one's own: every distinct cell, by several processes, stopped and resumed at will.

What was trained is a text file beside the table, one line for each cell and trial, after a first line that says on what
and how. A line is added when a group of cells is done: a kill loses the groups in work, one a process. Files of several
machines are merged by joining their lines.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from nasbench_eval import __version__
from nasbench_eval.cell import Cell
from nasbench_eval.errors import NbevalError
from nasbench_eval.utils.files import atomic_write
from nasbench_eval.utils.processes import context, run_jobs

if TYPE_CHECKING:
    from nasbench_eval.images import ImageData
    from nasbench_eval.training.recipes import Schedule

Done = tuple[int, int]
"""Official index of a cell, and trial."""


@dataclass
class Records:
    """What was trained so far.

    Attributes:
        head: On what and how: the first line.
        lines: One for each cell and trial.
    """

    head: dict[str, Any]
    lines: dict[Done, dict[str, Any]] = field(default_factory=dict)

    @staticmethod
    def read(path: Path) -> Records:
        """Read a file of records; a last line that a kill left unfinished is passed over.

        Raises:
            NbevalError: If it is not there, or not such a file.
        """
        try:
            first, *rest = path.read_text().split("\n")
            records = Records(json.loads(first))
            if records.head.get("format") != FORMAT:
                raise ValueError
        except FileNotFoundError:
            raise NbevalError(f"no records of trained cells at {path}") from None
        except (OSError, ValueError, AttributeError):
            raise NbevalError(f"{path} does not hold records of trained cells: its first line is not theirs") from None
        # What follows the last line end is empty, or unfinished.
        for number, text in enumerate(rest[:-1], start=2):
            try:
                line = json.loads(text)
                records.lines[line["cell"], line["trial"]] = line
            except (ValueError, KeyError, TypeError):
                raise NbevalError(
                    f"{path}, line {number} is damaged: delete that line, its cell is trained again"
                ) from None
        return records

    def write(self, path: Path) -> None:
        """Write all of it, whole or not at all."""
        with atomic_write(path) as temporary:
            temporary.write_text("".join(f"{_text(line)}\n" for line in [self.head, *self._sorted()]))

    def _sorted(self) -> list[dict[str, Any]]:
        return [self.lines[done] for done in sorted(self.lines, key=lambda done: (done[1], done[0]))]

    def append(self, path: Path, lines: Iterable[dict[str, Any]]) -> None:
        """Add lines here and to the file, on the disk when this returns."""
        lines = list(lines)
        with path.open("a") as file:
            file.write("".join(f"{_text(line)}\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())
        self.lines.update({(line["cell"], line["trial"]): line for line in lines})


FORMAT = "nbeval trained cells 1"


def _text(line: dict[str, Any]) -> str:
    return json.dumps(line, separators=(",", ":"))


def records_path(out: Path) -> Path:
    """Return where the records of a table lie."""
    return out.with_suffix(".records.jsonl")


def head_of(data: ImageData, schedule: Schedule) -> dict[str, Any]:
    """Return the first line of records: whatever must be the same for two files to be merged or a run to go on."""
    digest = hashlib.sha256()
    for part in (data.train, data.valid, data.test):
        digest.update(part.pixels.numpy().tobytes())
        digest.update(part.labels.numpy().tobytes())
    return {
        "format": FORMAT,
        "dataset": data.name,
        "classes": data.classes,
        "images": [len(data.train), len(data.valid), len(data.test)],
        "side": data.train.pixels.shape[2],
        "split": data.split,
        "sha256": digest.hexdigest(),
        "reduction": data.reduction,
        "schedule": dataclasses.asdict(schedule),
    }


def train_cells(
    load: Callable[[], ImageData],
    schedule: Schedule,
    path: Path,
    *,
    trials: Sequence[int],
    cells: Sequence[int] | None = None,
    workers: int = 1,
    share: tuple[int, int] = (1, 1),
) -> Records:
    """Train what is missing in a file of records.

    Args:
        load: Makes the data set; called in every worker process.
        schedule: Network and schedule.
        path: The file of records; it is made, or gone on with.
        trials: The seeds of the trials, one after the other.
        cells: Official indices of cells, or None for all distinct ones; a cell stands for all of its function.
        workers: Processes, of one thread each.
        share: Of the work on n machines, which part this one does: (1, n) to (n, n).

    Raises:
        NbevalError: If the file's cells were trained on something else or otherwise, or a worker was killed.
    """
    from nasbench_eval.equivalence import representatives
    from nasbench_eval.training.grouped import distinct_cells, groups_of

    head = head_of(load(), schedule)
    if path.exists():
        records = Records.read(path)
        _same(records.head, head, path)
        records.write(path)  # without a line that a kill left unfinished
    else:
        records = Records(head)
        records.write(path)
    known = representatives()
    groups = groups_of(distinct_cells() if cells is None else sorted({known[index] for index in cells}))
    mine = [group for i, group in enumerate(groups) if i % share[1] == share[0] - 1]
    jobs = [
        (trial, group)
        for trial in trials
        for group in mine
        if not all((index, trial) in records.lines for index in group)
    ]
    total = len(trials) * sum(map(len, mine))
    todo = sum(len(group) for _, group in jobs)
    with tqdm(total=total, initial=total - todo, unit="cell", disable=None, smoothing=0.02) as bar:
        for lines in _run(load, schedule, jobs, workers):
            records.append(path, lines)
            bar.update(len(lines))
    return records


def _same(there: dict[str, Any], here: dict[str, Any], path: Path) -> None:
    differing = [key for key in here if there.get(key) != here[key]]
    if differing:
        raise NbevalError(
            f"the cells in {path} were not trained alike, {', '.join(differing)} differs: choose another --out, or "
            "delete that file"
        )


def _run(
    load: Callable[[], ImageData], schedule: Schedule, jobs: Sequence[tuple[int, tuple[int, ...]]], workers: int
) -> Iterator[list[dict[str, Any]]]:
    """Train groups and yield their lines, as they come."""
    if workers == 1:
        _prepare(load, schedule)
        yield from (_train(*job) for job in jobs)
        return
    prepare = partial(_prepare, load, schedule)
    yield from run_jobs(_train, jobs, workers=workers, prepare=prepare, how=context(["nasbench_eval.training.grouped"]))


_loaded: list[Any] = []


def _prepare(load: Callable[[], ImageData], schedule: Schedule) -> None:
    import torch

    torch.set_num_threads(1)
    _loaded[:] = [load(), schedule]


def _train(trial: int, group: tuple[int, ...]) -> list[dict[str, Any]]:
    import torch

    from nasbench_eval.training.grouped import train_group

    data, schedule = _loaded
    outcomes, seconds = train_group([Cell.from_index(index) for index in group], data, schedule, trial)
    where = {
        "group": list(group),
        "group_seconds": round(seconds, 3),
        "nbeval": __version__,
        "torch": torch.__version__,
    }
    return [
        {"cell": index, "trial": trial, **_rounded(dataclasses.asdict(outcome)), **where}
        for index, outcome in zip(group, outcomes, strict=True)
    ]


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return round(value, 5)


def merge(paths: Sequence[Path]) -> Records:
    """Join the records of several machines; where a cell was trained twice the first file counts.

    Raises:
        NbevalError: If they were not trained alike.
    """
    first, *others = (Records.read(path) for path in paths)
    for path, other in zip(paths[1:], others, strict=True):
        _same(other.head, first.head, path)
        first.lines = other.lines | first.lines
    return first
