"""Tabular searches: hundreds of runs per second in one process, written as one bundle. Needs no torch."""

from __future__ import annotations

import glob
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from nasbench_eval.cell import OPS, Cell, all_archs, all_ops
from nasbench_eval.errors import Diverged, UsageError
from nasbench_eval.methods import SearchContext, SearchMethod, StepInfo
from nasbench_eval.methods.tabular.objective import TableObjective
from nasbench_eval.runs.failures import Failure, write_failure
from nasbench_eval.runs.store import TEST_ACC, Run, in_file_names, read_runs, write_bundle, write_run
from nasbench_eval.utils.rng import Streams
from runners.context import RunContext
from runners.device import now
from runners.locks import Lock, LockLost
from runners.lookup import TableLookup
from runners.outcome import InUse, Outcome
from runners.record import make_failure, make_record, stored_failure
from runners.spec import RunSpec
from runners.steps import take_steps

WRITE_EVERY = 20.0
"""Seconds after which finished runs are written even though others of their variant are still to come."""


def run_variant(
    specs: Sequence[RunSpec],
    context: RunContext,
    on_run: Callable[[Run, bool], None] = lambda run, new: None,
    lock: Lock | None = None,
) -> Outcome:
    """Return the runs of one variant, after running and writing those that are not stored yet.

    A run that diverges is written as a failure; the others go on. If somebody else has the variant, nothing is run.

    Args:
        specs: Specs that differ only in the seed.
        context: The results folder and the table.
        on_run: Called with every run, and whether it is new.
        lock: The variant's lock, if the caller has looked at it before.

    Raises:
        UsageError: If there is no table, or the budget is too small for one query.
    """
    try:
        return _run_variant(specs, context, on_run, lock)
    except LockLost:  # this process was suspended, and the variant is somebody else's now
        return _run_variant(specs, context, lambda run, new: None, None)


def _run_variant(
    specs: Sequence[RunSpec], context: RunContext, on_run: Callable[[Run, bool], None], lock: Lock | None
) -> Outcome:
    found = _files(specs, context)
    done = _current(found, specs, context)
    owner = None
    failures = [each for spec in specs if (each := stored_failure(spec, context.results_dir)) is not None]
    lost = {failure.run_id for failure in failures}
    if all(spec.run_id in done or spec.run_id in lost for spec in specs):
        _report(done, on_run)
    else:
        with lock or specs[0].lock(context.results_dir) as held:
            owner = held.take(patient=False)
            found = _files(specs, context, found)  # somebody else may just have finished
            done = _current(found, specs, context)
            _report(done, on_run)
            if owner is None:
                left = [spec for spec in specs if spec.run_id not in lost]
                failures += _run_missing(left, context, found, done, on_run, held)
    return Outcome(
        [done[spec.run_id][1] for spec in specs if spec.run_id in done],
        failures,
        [
            InUse(spec.run_id, f"seeds of {spec.method} {spec.search_dataset}", owner)  # of these, or of others
            for spec in specs
            if owner is not None and spec.run_id not in done and spec.run_id not in lost
        ],
    )


def _report(done: Mapping[str, tuple[Path, Run]], on_run: Callable[[Run, bool], None]) -> None:
    for _, run in done.values():
        on_run(run, False)


def _run_missing(
    specs: Sequence[RunSpec],
    context: RunContext,
    found: Mapping[Path, list[Run]],
    done: dict[str, tuple[Path, Run]],
    on_run: Callable[[Run, bool], None],
    lock: Lock,
) -> list[Failure]:
    """Run and write what is missing, add it to ``done``, and return what diverged."""
    fresh: list[Run] = []
    failures: list[Failure] = []
    written = time.monotonic()
    try:
        for result in _simulate([spec for spec in specs if spec.run_id not in done], context):
            if isinstance(result, Failure):
                write_failure(context.results_dir, result)
                failures.append(result)
                continue
            fresh.append(result)
            on_run(result, True)
            if time.monotonic() - written > WRITE_EVERY:
                lock.require_held()
                done |= _write(context.runs_dir, fresh)
                fresh, written = [], time.monotonic()
    finally:
        # Also what an interrupted command had finished.
        lock.require_held()
        done |= _write(context.runs_dir, fresh)
    for path, inside in found.items():
        if all(run.record.run_id in done and done[run.record.run_id][0] != path for run in inside):
            path.unlink()  # every run in it was run again
    return failures


def check(spec: RunSpec, context: RunContext) -> None:
    """Raise if a spec cannot run: the table or one of its columns is missing, or a setting does not fit."""
    new_method(spec, objective(spec, context))


def new_method(spec: RunSpec, objective: TableObjective) -> SearchMethod:
    """Return a spec's method before its first step."""
    search_context = SearchContext(spec.search_dataset, Streams(spec.seed), objective=objective)
    return spec.implementation(spec.settings, search_context)  # type: ignore[call-arg]


def _simulate(specs: Sequence[RunSpec], context: RunContext) -> Iterator[Run | Failure]:
    if not specs:
        return
    truth, queried = _table(specs[0], context), objective(specs[0], context)
    frames, shared = _frames(truth), None
    for spec in specs:
        started = now()
        method = new_method(spec, queried)
        cells, infos, totals = [], [], []
        try:
            for info, total in take_steps(method):
                cells.append(method.incumbent())
                infos.append(info)
                totals.append(total)
        except Diverged as error:
            yield make_failure(spec, error)
            continue
        steps = frames.of(cells, infos, totals)
        if shared is None:
            shared = make_record(spec, context, method, None, truth_note=truth.note, started=started, finished="")
        own = {"run_id": spec.run_id, "seed": spec.seed, "started": started, "finished": now()}
        yield Run(replace(shared, **own), steps)  # type: ignore[arg-type]


class _Frames:
    """Makes the frames of run files from whole columns of the table."""

    def __init__(self, truth: TableLookup) -> None:
        self._archs = np.array(all_archs(), dtype=object)
        self._of_cell = {f"n_{name}": (all_ops() == op).sum(axis=1) for op, name in enumerate(OPS)}
        for name in truth.datasets:
            # As `TableLookup.look_up`, for all cells at once.
            self._of_cell[f"{TEST_ACC}{name}"] = truth.column(name)

    def of(self, cells: list[Cell], infos: list[StepInfo], totals: list[float]) -> pd.DataFrame:
        index = np.array([cell.index for cell in cells])
        columns: dict[str, Any] = {
            "step": np.arange(len(cells)),
            "cell": self._archs[index],
            "seconds": [info.seconds for info in infos],
            "total_seconds": totals,
        }
        if any(info.selection_seconds for info in infos):
            columns["selection_seconds"] = [info.selection_seconds for info in infos]
        names = dict.fromkeys(name for info in infos for name in info.metrics)  # later steps may observe more
        columns |= {name: [info.metrics.get(name, np.nan) for info in infos] for name in names}
        columns |= {name: values[index] for name, values in self._of_cell.items()}
        return pd.DataFrame(columns)


_frames = cache(_Frames)


def _table(spec: RunSpec, context: RunContext) -> TableLookup:
    table = context.tables.get(spec.search_dataset)
    if table is None:
        raise UsageError(f"{spec.method} queries the benchmark table: it cannot run with --truth {context.truth}")
    return table


def missing(specs: Sequence[RunSpec], context: RunContext) -> list[RunSpec]:
    """Return those specs of one variant that are still to be run: neither complete nor known to diverge."""
    done = _current(_files(specs, context), specs, context)
    left = [spec for spec in specs if spec.run_id not in done]
    return [spec for spec in left if stored_failure(spec, context.results_dir) is None]


def objective(spec: RunSpec, context: RunContext) -> TableObjective:
    """Return what a spec's method queries.

    Raises:
        UsageError: If there is no table.
    """
    # A custom method's settings need not have it; if_known is the default of the built-in ones.
    charge = spec.values.get("validation_pass", "if_known")
    return TableObjective(_table(spec, context).table, spec.search_dataset, charge)


def _files(
    specs: Sequence[RunSpec], context: RunContext, known: Mapping[Path, list[Run]] = MappingProxyType({})
) -> dict[Path, list[Run]]:
    """Read every file that may hold a run of these specs, which differ in the seed only.

    Args:
        specs: The specs.
        context: The results folder.
        known: What was read before; the name of a bundle tells its content, so that it is not read again.
    """
    first = specs[0]
    # The name of a data set may have brackets.
    pattern = f"{glob.escape(f'{in_file_names(first.method)}-{first.search_dataset}-{first.variant_id}')}-*.parquet"
    bundles = sorted(context.runs_dir.glob(pattern))
    alone = [path for spec in specs if (path := context.run_file(spec)).is_file()]
    return {path: known[path] if path in known else read_runs(path) for path in bundles} | {
        path: read_runs(path) for path in alone
    }


def _current(
    files: Mapping[Path, list[Run]], specs: Sequence[RunSpec], context: RunContext
) -> dict[str, tuple[Path, Run]]:
    """Return the complete runs of these specs; a run made with another table had another objective and is not one."""
    content = _table(specs[0], context).facts().content_hash
    asked = {spec.run_id for spec in specs}
    return {
        run.record.run_id: (path, run)
        for path, inside in files.items()
        for run in inside
        if run.record.run_id in asked and run.record.table is not None and run.record.table.content_hash == content
    }


def _write(folder: Path, runs: list[Run]) -> dict[str, tuple[Path, Run]]:
    if not runs:
        return {}
    path = write_run(folder, runs[0]) if len(runs) == 1 else write_bundle(folder, runs)
    return {run.record.run_id: (path, run) for run in runs}
