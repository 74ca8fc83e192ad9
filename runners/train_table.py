"""Train the cells of a custom table: every distinct cell, in several processes, resumable.

The results go to a file of records beside the table, :mod:`nasbench_eval.training.records`, as each group of cells is
done: a kill loses the groups in training, one per process.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from nasbench_eval import __version__
from nasbench_eval.cell import Cell
from nasbench_eval.errors import InUseError
from nasbench_eval.training.records import Records, head_of, require_same_head, without_divergence
from nasbench_eval.utils.processes import mp_context, run_jobs
from runners.locks import Lock

if TYPE_CHECKING:
    from nasbench_eval.images import ImageData
    from nasbench_eval.training.recipes import Schedule

Job = tuple[int, tuple[int, ...]]
"""A trial, and the cells to train side by side in it."""


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
    """Train the cells that are missing from a file of records.

    Args:
        load: Returns the data set; called in every worker process.
        schedule: Network and schedule.
        path: The file of records, new or to be continued.
        trials: The seeds of the trials, one after the other.
        cells: Official indices of the cells to train, None for all distinct ones. A cell stands for every cell that
            computes the same function.
        workers: Number of processes, of one thread each.
        share: (i, n): train only the i-th of n shares of the work, to split it over n machines.

    Raises:
        NbevalError: If the file's cells were trained on other images or with another schedule, or a worker was
            killed; if another command is training cells into this file.
    """
    from nasbench_eval.equivalence import representatives
    from nasbench_eval.training.grouped import distinct_cells, groups_of

    with Lock(path.parent, path.name, f"cells for {path}") as lock:
        if (owner := lock.take()) is not None:
            raise InUseError(
                f"{owner.words} is training {owner.what}: wait for it, or give another --out, and another --share to "
                "divide the work"
            )
        head = head_of(load(), schedule)
        if path.exists():
            records = Records.read(path)
            require_same_head(records.head, head, path)
            records.write(path)  # drops a line that a kill left unfinished
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


def _run(
    load: Callable[[], ImageData], schedule: Schedule, jobs: Sequence[Job], workers: int
) -> Iterator[list[dict[str, Any]]]:
    """Train groups of cells and yield the lines of each as it finishes."""
    if workers == 1:
        _prepare(load, schedule)
        yield from (_train(*job) for job in jobs)
        return
    yield from run_jobs(
        _train,
        jobs,
        workers=workers,
        context=mp_context(["nasbench_eval.training.grouped"]),
        initializer=partial(_prepare, load, schedule),
    )


_loaded: list[Any] = []
"""The data set and the schedule of this worker process."""


def _prepare(load: Callable[[], ImageData], schedule: Schedule) -> None:
    import torch

    torch.set_num_threads(1)
    _loaded[:] = [load(), schedule]


def _train(trial: int, group: tuple[int, ...]) -> list[dict[str, Any]]:
    import torch

    from nasbench_eval.training.grouped import train_group

    data, schedule = _loaded
    outcomes, seconds = train_group([Cell.from_index(index) for index in group], data, schedule, trial)
    common = {
        "group": list(group),
        "group_seconds": round(seconds, 3),
        "nbeval": __version__,
        "torch": torch.__version__,
    }
    return [
        without_divergence({"cell": index, "trial": trial, **_rounded(dataclasses.asdict(outcome)), **common})
        for index, outcome in zip(group, outcomes, strict=True)
    ]


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return round(value, 5)
