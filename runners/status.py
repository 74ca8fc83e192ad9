"""What a results folder holds: which runs are done, running, waiting, interrupted or failed. Needs no torch."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

from nasbench_eval.analysis.labels import changes
from nasbench_eval.cell import Cell
from nasbench_eval.errors import NbevalError
from nasbench_eval.runs.failures import FOLDER as FAILED
from nasbench_eval.runs.failures import Failure, read_failure
from nasbench_eval.runs.store import RunRecord, read_records, read_runs
from nasbench_eval.utils.paths import files_in, files_under, is_dir
from runners import locks
from runners.checkpoints import Position, checkpoint_file, read_position
from runners.record import recorded_scale
from runners.spec import RunSpec, by_variant

State = Literal["running", "interrupted", "failed", "waiting", "done"]
STATES: tuple[str, ...] = get_args(State)


@dataclass(frozen=True)
class RunStatus:
    """The state of one run.

    Attributes:
        state: ``done``; ``running``; ``interrupted``, which has a checkpoint that nobody works on; ``waiting``, which
            has not begun; ``failed``, which diverged.
        method: The preset's name; for work whose run is not known, what its lock says.
        dataset: What it searches on.
        seed: The seed; None if not known.
        scale: ``full``, or a named reduction.
        run_id: The run's id; empty if not known.
        step: How many steps (epochs) are finished; None if not known.
        steps: How many it takes; None if not known.
        cell: The official index of the cell after the last finished step; None if not known.
        seconds: What the finished steps cost; None if not known.
        seconds_left: How long the rest takes at the speed of the finished steps, or of other seeds; None if not known.
        host: The host of the process that works on it; empty if none does.
        pid: The number of the process; 0 if none does.
        silent: Seconds since that process last gave a sign of life, by the clocks of two machines; it counts as running
            for ``locks.STALE`` seconds.
        cause: Why it failed.
        changed: The settings that the user changed, in brackets; empty if none, or if not known.
    """

    state: State
    method: str
    dataset: str = ""
    seed: int | None = None
    scale: str = ""
    run_id: str = ""
    step: int | None = None
    steps: int | None = None
    cell: int | None = None
    seconds: float | None = None
    seconds_left: float | None = None
    host: str = ""
    pid: int = 0
    silent: float = 0.0
    cause: str = ""
    changed: str = ""


class Folder:
    """What there is in a results folder, from small files alone.

    Args:
        path: The results folder.

    Raises:
        NbevalError: If there is none, or a file in it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        if not is_dir(path):
            raise NbevalError(f"there is no results folder {path}: run `nbeval run` first, or give another one")
        self.path = path
        files = files_under(path / "runs", ".parquet") if is_dir(path / "runs") else []
        self.files = {file: _records(file, file.stat().st_mtime_ns) for file in files}
        self.done = {record.run_id: record for records in self.files.values() for record in records}
        self.failure_files = {file: read_failure(file) for file in files_in(path / FAILED, ".json")}
        self.failed = {failure.run_id: failure for failure in self.failure_files.values()}
        self.owners = locks.owners(path)
        checkpoints = checkpoint_file(path, "").parent
        self.checkpoints = {file.stem for file in files_in(checkpoints, ".pt")}
        self.positions = {
            position.run_id: position
            for file in files_in(checkpoints, ".json")
            if file.stem in self.checkpoints and (position := read_position(file)) is not None
        }

    def is_live(self, name: str) -> bool:
        """Whether somebody has a lock and seems to be alive."""
        if name not in self.owners:
            return False
        owner, silent = self.owners[name]
        return owner.is_running if owner.is_local else silent <= locks.STALE


def status(folder: Path, specs: Sequence[RunSpec] | None = None) -> list[RunStatus]:
    """Return the state of runs: of all in a folder, or of some whether they are in it or not.

    Args:
        folder: The results folder.
        specs: The runs of a study; None: those that are in the folder, complete or not.

    Raises:
        NbevalError: If there is no such folder, or a file in it cannot be read.
    """
    there = Folder(folder)
    if specs is None:
        return _of_folder(there)
    speeds = {variant: _speed(group, there) for variant, group in by_variant(specs).items()}
    return [replace(_of_spec(spec, there, speeds[spec.variant_id]), changed=changes(spec.changed)) for spec in specs]


def _of_spec(spec: RunSpec, there: Folder, speed: float | None) -> RunStatus:
    run_id = spec.run_id
    if run_id in there.done:
        return _done(there.done[run_id])
    if run_id in there.failed:
        return _failed(there.failed[run_id])
    if run_id in there.positions:
        return _owned(_at(there.positions[run_id]), run_id, there)
    steps = spec.steps
    runs_or_steps = 1 if spec.is_tabular else steps
    left = None if speed is None or runs_or_steps is None else speed * runs_or_steps
    state: State = "interrupted" if run_id in there.checkpoints else "waiting"
    scale = recorded_scale(spec)
    begun = RunStatus(state, spec.method, spec.search_dataset, spec.seed, scale, run_id, steps=steps)
    return _owned(replace(begun, seconds_left=left), spec.lock_name, there)


def _speed(group: Sequence[RunSpec], there: Folder) -> float | None:
    """Return what a step of a variant took on average, or a whole run of a tabular one; None if none is known."""
    own = {spec.run_id for spec in group}
    missing = own - there.done.keys() - there.failed.keys() - there.positions.keys()
    if not missing:
        return None  # and nothing needs to be read
    measured = [position.seconds / position.step for run_id, position in there.positions.items() if run_id in own]
    for file, records in there.files.items():
        if not measured and own & {record.run_id for record in records}:
            measured.append(_run_seconds(records) if group[0].is_tabular else _step_seconds(file))
    return sum(measured) / len(measured) if measured else None


def _run_seconds(records: Sequence[RunRecord]) -> float:
    """Return what a run of a bundle took; their own times are whole seconds."""
    first = min(datetime.datetime.fromisoformat(record.started) for record in records)
    last = max(datetime.datetime.fromisoformat(record.finished) for record in records)
    return (last - first).total_seconds() / len(records)


def _step_seconds(file: Path) -> float:
    steps = read_runs(file)[0].steps
    return float(steps["total_seconds"].iloc[-1]) / len(steps)


@lru_cache(maxsize=100_000)
def _records(file: Path, changed: int) -> list[RunRecord]:
    return read_records(file)


def _of_folder(there: Folder) -> list[RunStatus]:
    found = [_done(record) for record in there.done.values()]
    found += [_failed(failure) for run_id, failure in there.failed.items() if run_id not in there.done]
    ended = there.done.keys() | there.failed.keys()
    unfinished = [_at(position) for run_id, position in there.positions.items() if run_id not in ended]
    # A run of an older version of nbeval, which left no file that tells how far it is.
    unfinished += [
        RunStatus("interrupted", "", run_id=run_id) for run_id in there.checkpoints - there.positions.keys() - ended
    ]
    found += [_owned(each, each.run_id, there) for each in unfinished]
    shown = {each.run_id for each in unfinished}
    found += [
        _owned(RunStatus("running", owner.what), name, there)
        for name, (owner, _) in there.owners.items()
        if name not in shown and there.is_live(name)
    ]
    return found


def _done(record: RunRecord) -> RunStatus:
    return _of_run("done", record, changed=changes(record.overrides))


def _failed(failure: Failure) -> RunStatus:
    return _of_run("failed", failure, step=failure.step, cause=failure.cause, changed=changes(failure.overrides))


def _at(position: Position) -> RunStatus:
    return _of_run(
        "interrupted",
        position,
        changed=position.changed,
        step=position.step,
        steps=position.steps,
        cell=Cell.parse(position.cell).index,
        seconds=position.seconds,
        seconds_left=None if position.steps is None else (position.steps / position.step - 1) * position.seconds,
    )


def _of_run(state: State, run: RunRecord | Failure | Position, **more: Any) -> RunStatus:
    """Return the status of a run that left a file."""
    return RunStatus(state, run.method, run.search_dataset, run.seed, run.scale, run.run_id, **more)


def _owned(run: RunStatus, lock_name: str, there: Folder) -> RunStatus:
    """Add who works on a run."""
    if lock_name not in there.owners:
        return run
    owner, silent = there.owners[lock_name]
    if there.is_live(lock_name):
        run = replace(run, state="running")
    elif owner.is_local:
        return run  # the process is gone
    return replace(run, host=owner.host, pid=owner.pid, silent=silent)
