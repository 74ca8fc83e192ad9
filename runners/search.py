"""One search that trains on images: step until the budget ends, look up true accuracies, checkpoint, write the file."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd

from nasbench_eval.analysis.labels import changes
from nasbench_eval.cell import Cell
from nasbench_eval.errors import Diverged, NbevalError
from nasbench_eval.images import ImageData
from nasbench_eval.methods import SearchContext, SearchMethod, StepInfo
from nasbench_eval.runs.failures import FOLDER as FAILURES
from nasbench_eval.runs.failures import Failure, write_failure
from nasbench_eval.runs.store import TEST_ACC, Run, read_run, write_run
from nasbench_eval.utils.paths import files_in
from nasbench_eval.utils.rng import Streams
from nasbench_eval.utils.signals import step_by_step, stop_if_asked
from runners.beginning import continue_finished, rows_of, without_truth
from runners.checkpoints import (
    Position,
    Unfinished,
    announced,
    artifact_file,
    checkpoint_file,
    load_checkpoint,
    read_position,
    read_unfinished,
    remove_checkpoint,
    save_checkpoint,
    training_file,
    using,
)
from runners.context import RunContext
from runners.device import code_version, describe, make_deterministic, now
from runners.locks import Lock, LockLost
from runners.lookup import TableLookup, train_note, with_truth
from runners.outcome import InUse
from runners.record import make_failure, make_record, other_images, plain_device, stored_failure
from runners.spec import RunSpec
from runners.step_log import step_log
from runners.steps import take_steps
from runners.threads import computing_with, resume_with, threads

logger = logging.getLogger("nbeval")

Progress = Callable[[int, Mapping[str, Any]], None]
"""Called after each step with the number of steps done and the row recorded."""


def stored(spec: RunSpec, context: RunContext, *, write: bool = False) -> Run | None:
    """Return the complete run of a spec, or None.

    A run whose accuracies came from another table, or from none, is looked up again in this one: the search itself does
    not depend on the table. If ``truth="train"`` is asked for, a run without it does not count as complete; a run with
    it keeps its accuracy, whatever is asked for, as training took long. A run whose sizes were set one by one is
    labelled with the named scale by which it is asked for.

    Args:
        spec: The spec.
        context: Where.
        write: Whether to write a run that was looked up or labelled again, unless somebody is at work on it.
    """
    path = context.run_file(spec)
    if not path.is_file():
        return None
    run = read_run(path)
    asked = _as_asked(run, spec, context)
    if write and asked is not None and asked is not run:
        with spec.lock(context.results_dir) as held:
            if held.take() is None:
                write_run(path.parent, asked)
    return asked


def _as_asked(run: Run, spec: RunSpec, context: RunContext) -> Run | None:
    if context.truth == "train" and run.record.truth != "train":
        return None
    record, steps = run.record, run.steps
    if record.scale == "full" != spec.scale and spec.is_scaled:
        record = replace(record, scale=spec.scale, overrides=spec.changed)
    table = context.tables.get(spec.search_dataset)
    if table is not None and record.truth != "train":
        facts = table.facts()
        if record.table is None or record.table.content_hash != facts.content_hash:
            steps = pd.DataFrame(with_truth(steps.to_dict("records"), table))  # type: ignore[arg-type]
            record = replace(record, truth="table", truth_note=table.note, table=facts)
    return run if record is run.record else Run(record, steps)


def known(spec: RunSpec, context: RunContext, *, write: bool = False) -> Run | Failure | None:
    """Return the complete run of a spec, as :func:`stored` does, or its failure, or None."""
    return stored(spec, context, write=write) or stored_failure(spec, context.results_dir)


def look_again(results_dir: Path) -> None:
    """Have the next look at run and failure files ask the server of a network file system, not its client's memory.

    NFS clients remember for up to a minute that a file is not there, unless they see that its folder has changed.
    """
    for name in ("runs", FAILURES):
        with suppress(OSError):  # it is not there, or somebody else's
            os.utime(results_dir / name)


def check(spec: RunSpec, context: RunContext) -> None:
    """Raise if a spec cannot run: its images are missing or damaged, or a setting does not fit them."""
    new_method(spec, context, "cpu")


def run_or_fail(spec: RunSpec, context: RunContext, progress: Progress) -> Run | Failure | InUse:
    """Run a search as :func:`run_search` does, unless somebody else is running it or has just finished it.

    Args:
        spec: What to run.
        context: Where.
        progress: Called after each step.

    Returns:
        The run; or, if it diverged, its failure, which is written; or who has it.
    """
    try:
        with spec.lock(context.results_dir) as held:
            if (owner := held.take()) is not None:
                return InUse(spec.run_id, spec.words, owner)
            look_again(context.results_dir)
            if (found := known(spec, context)) is not None:
                return found
            try:
                with computing_with(context.threads):
                    if context.run_file(spec).is_file():
                        return train_stored(spec, context, held.require_held)
                    return run_search(spec, context, progress, held.require_held)
            except Diverged as error:
                held.require_held()
                failure = make_failure(spec, error)
                write_failure(context.results_dir, failure)
                remove_checkpoint(context.results_dir, spec.run_id)
                return failure
    except LockLost:
        return run_or_fail(spec, context, progress)


def run_search(
    spec: RunSpec, context: RunContext, progress: Progress, require_held: Callable[[], None] = lambda: None
) -> Run:
    """Run a search to its end, from its checkpoint if there is one, and write its file.

    Args:
        spec: What to run.
        context: Where.
        progress: Called after each step.
        require_held: Called before anything is written; raises if the run's lock is no longer this process's.

    Raises:
        Diverged: If a step observes a number that is not finite.
        NbevalError: If images are missing, the checkpoint cannot be read, or a file cannot be written.
    """
    images = context.images(spec.search_dataset)
    table = context.tables.get(spec.search_dataset)
    make_deterministic(context.device)
    method = new_method(spec, context, context.device)
    checkpoint = checkpoint_file(context.results_dir, spec.run_id)
    rows: list[dict[str, Any]] = []
    started, continues, code, devices = now(), "", [], []
    if (unfinished := read_unfinished(context.results_dir, spec.run_id)) is not None:
        if unfinished.images not in ("", images.digest):
            raise NbevalError(
                f"{spec.words} began on other images than these: name those with --data and --split, or delete "
                f"{checkpoint} to start that run again"
            )
        if unfinished.threads is not None:
            resume_with(unfinished.threads, spec.words)
        with using(checkpoint):
            method.load_state_dict(unfinished.method)
        rows, started, continues = unfinished.rows, unfinished.started, unfinished.continues
        code, devices = unfinished.code, unfinished.devices
        logger.info("%s resumes after epoch %d", spec.words, len(rows))
    elif (earlier := continue_finished(spec, context, method)) is not None:
        rows, started, continues = rows_of(earlier), earlier.record.started, earlier.record.run_id
        code, devices = earlier.record.versions["nbeval"].split(", "), [plain_device(earlier.record.device)]
    else:
        _tell_other_version(spec, context.results_dir)
    code = list(dict.fromkeys([*code, code_version()]))
    if devices and devices[-1] != describe(context.device):
        logger.warning("%s goes on with %s: it began with %s", spec.words, describe(context.device), devices[-1])
    devices = list(dict.fromkeys([*devices, describe(context.device)]))
    if rows:
        # They may have been looked up in another table, or in none.
        rows = without_truth(rows) if table is None else with_truth(rows, table)
        progress(len(rows), rows[-1])
    spent = rows[-1]["total_seconds"] - rows[-1].get("selection_seconds", 0.0) if rows else 0.0
    with step_log(spec, context, rows) as log, step_by_step():
        stop_if_asked()
        for info, total in take_steps(method, done=len(rows), seconds=spent):
            row = _row(len(rows), method.incumbent(), info, total, table)
            rows.append(row)
            require_held()
            state = Unfinished(
                method=dict(method.state_dict()),
                rows=rows,
                started=started,
                run_id=spec.run_id,
                threads=threads(),
                continues=continues,
                code=code,
                devices=devices,
                images=images.digest,
            )
            with announced(context.results_dir, _position(spec, method, row)):
                save_checkpoint(checkpoint, vars(state))
            log(row)
            progress(len(rows), row)
            stop_if_asked()
    note = table.note if table is not None else "not looked up"
    if context.training is not None:
        note = _train_final_cell(spec, context, images, rows, require_held)
    record = make_record(
        spec,
        context,
        method,
        images,
        truth_note=note,
        started=started,
        finished=now(),
        continues=continues,
        code=code,
        devices=devices,
    )
    run = Run(record, pd.DataFrame(rows))
    artifact = method.artifact()
    require_held()
    if artifact is not None:
        save_checkpoint(artifact_file(context.results_dir, spec.run_id), artifact)
    write_run(context.runs_dir, run)  # last: a finished run has everything that belongs to it
    remove_checkpoint(context.results_dir, spec.run_id)
    return run


def train_stored(spec: RunSpec, context: RunContext, require_held: Callable[[], None] = lambda: None) -> Run:
    """Train the final cell of a complete run from scratch, without searching again, and write the run.

    The accuracies that it had are left out: those of a trained cell and of a table do not mix in one run.

    Args:
        spec: What ran.
        context: Where; it trains.
        require_held: As for :func:`run_search`.
    """
    run, images = read_run(context.run_file(spec)), context.images(spec.search_dataset)
    if (other := other_images(run.record, run.record.split, images)) is not None:
        raise NbevalError(f"{spec.words} {other}: name those of the search with --data and --split")
    make_deterministic(context.device)
    rows = rows_of(run)
    note = _train_final_cell(spec, context, images, rows, require_held)
    facts: dict[str, Any] = {"truth": context.truth, "truth_note": note, "table": None, "finished": now()}
    trained = Run(replace(run.record, **facts), pd.DataFrame(rows))
    require_held()
    write_run(context.runs_dir, trained)
    remove_checkpoint(context.results_dir, spec.run_id)
    return trained


def _row(step: int, cell: Cell, info: StepInfo, total: float, table: TableLookup | None) -> dict[str, Any]:
    """Return what is recorded of a step: its cost, what the method observed, the cell and its true accuracies."""
    row = {"step": step, "cell": str(cell), "seconds": info.seconds, "total_seconds": total, **info.metrics}
    if info.selection_seconds:
        row["selection_seconds"] = info.selection_seconds
    row |= {f"n_{name}": count for name, count in cell.counts().items()}
    return row if table is None else row | table.look_up(cell)


def _tell_other_version(spec: RunSpec, results_dir: Path) -> None:
    """Say that a search which begins leaves one alone that was interrupted before its method was edited."""
    if not spec.source:
        return
    asked = (spec.method, spec.search_dataset, spec.seed, spec.scale, changes(spec.changed))
    for path in files_in(checkpoint_file(results_dir, spec.run_id).parent, ".json"):
        with suppress(NbevalError):  # a damaged file of another run
            found = read_position(path)
            if found is None or found.run_id == spec.run_id:
                continue
            same = (found.method, found.search_dataset, found.seed, found.scale, found.changed) == asked
            if same and Lock(results_dir, found.run_id, spec.words).look() is None:
                logger.warning(
                    "%s begins anew: its files or its images have changed since a search was interrupted after epoch "
                    "%d (run %s), which is not continued",
                    spec.words,
                    found.step,
                    found.run_id,
                )


def _position(spec: RunSpec, method: SearchMethod, row: Mapping[str, Any]) -> Position:
    return Position(
        run_id=spec.run_id,
        method=spec.method,
        search_dataset=spec.search_dataset,
        seed=spec.seed,
        scale=spec.scale,
        step=row["step"] + 1,
        steps=method.budget.steps,
        seconds=row["total_seconds"],
        cell=row["cell"],
        changed=changes(spec.changed),
    )


def new_method(spec: RunSpec, context: RunContext, device: str) -> SearchMethod:
    """Return a spec's method before its first step."""
    images = context.images(spec.search_dataset)
    search_context = SearchContext(spec.search_dataset, Streams(spec.seed), images=images, device=device)
    return spec.implementation(spec.settings, search_context)  # type: ignore[call-arg]


def _train_final_cell(
    spec: RunSpec,
    context: RunContext,
    images: ImageData,
    rows: list[dict[str, Any]],
    require_held: Callable[[], None],
) -> str:
    """Train the final cell from scratch, record its accuracy in the last row, and describe the training in words."""
    from nasbench_eval.training.from_scratch import train_from_scratch
    from nasbench_eval.training.recipes import TrainingSettings

    assert context.training is not None
    cell = Cell.parse(rows[-1]["cell"])
    path = training_file(context.results_dir, spec.run_id)
    what = {"cell": str(cell), "settings": asdict(context.training), "images": images.digest}
    before = load_checkpoint(path)
    begun = before["state"] if before is not None and before.get("what") == what else None
    if begun is not None:
        logger.info("%s: the training of its final cell resumes after epoch %d", spec.words, begun["epoch"])

    def keep(state: dict[str, Any]) -> None:
        require_held()
        save_checkpoint(path, {"what": what, "state": state})
        stop_if_asked()

    with step_by_step():
        accuracy = train_from_scratch(
            cell, images, context.training, Streams(spec.seed), device=context.device, begun=begun, on_epoch=keep
        )
    column = f"{TEST_ACC}{spec.search_dataset}"
    for row in rows:
        row[column] = float("nan")
    rows[-1][column] = accuracy
    return train_note(context.training, TrainingSettings(), images)
